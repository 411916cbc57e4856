"""A device that is thrown out: another password, no registration for a while, a line in the log."""

import pytest
import time_machine

from gridtalk.core import clock
from gridtalk.iottalk.limits import Wait
from gridtalk.iottalk.models import DeviceEvent
from gridtalk.iottalk.services.expulsion import BAR, devices_expel
from gridtalk.iottalk.services.registration import device_register
from gridtalk.iottalk.services.testing_meters import device_make
from gridtalk.iottalk.wire_v2 import registration_read

pytestmark = pytest.mark.django_db
BODY = b'{"idf_list": [["A-I", []]], "accept_protos": ["mqtt"]}'


def test_thrown_out_once_and_let_in_again() -> None:
    calm, loud = device_make("calm"), device_make("loud")
    registration = registration_read(BODY, address=loud.address, features_most=9)
    with time_machine.travel(clock.now(), tick=False) as time:
        began = clock.now()
        assert devices_expel(handles=[loud.handle, "unknown"], did="shouted") == [loud.handle]
        assert devices_expel(handles=[loud.handle], did="shouted") == [], "another was first"
        for device, epoch, until in ((loud, 1, began + BAR), (calm, 0, None)):
            device.refresh_from_db()
            assert (device.key_epoch, device.barred_until) == (epoch, until)
        event = DeviceEvent.objects.get()
        assert (event.device, event.kind) == (loud, DeviceEvent.Kind.ERROR)
        assert event.text == (
            "it shouted, and was thrown out: it must register again, which it may after 60 s"
        )

        time.move_to(began + BAR / 2)
        with pytest.raises(Wait, match="thrown out for flooding the server; wait 30 s"):
            device_register(registration=registration, source="")
        time.move_to(began + BAR)
        assert device_register(registration=registration, source="").device == loud
        assert devices_expel(handles=[loud.handle], did="shouted") == [loud.handle]
        loud.refresh_from_db()
        assert loud.key_epoch == 2
