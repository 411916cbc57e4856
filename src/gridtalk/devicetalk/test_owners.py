"""Whose a registering device is."""

import pytest

from gridtalk.devicetalk.models import Device
from gridtalk.devicetalk.services.owners import device_owner_get
from gridtalk.devicetalk.testing import basic_file_make, device_make, user_make

pytestmark = pytest.mark.django_db


def test_the_one_user_who_saved_the_address() -> None:
    basic_file = basic_file_make()
    amina, moussa = user_make("amina"), user_make("moussa")
    address = "6d9f4c1e-0f5c-4b8e-9d52-1f1f3a8f7a10"
    hers = device_make(basic_file, amina)
    device_make(basic_file, None)
    assert device_owner_get(device_address=address) is None
    Device.objects.update(device_address=address)
    assert device_owner_get(device_address=address) == amina, "one for all is nobody's"
    assert device_owner_get(device_address=hers.device_address) is None
    device_make(basic_file, moussa)
    Device.objects.update(device_address=address)
    assert device_owner_get(device_address=address) is None, "who says so first is not known"
