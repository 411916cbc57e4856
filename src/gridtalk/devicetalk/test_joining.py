"""Which functions count, and which libraries are needed."""

from datetime import UTC, datetime

import pytest

from gridtalk.devicetalk.models import DeviceLibrary, SaFunction
from gridtalk.devicetalk.services.joining import functions_join, libraries_needed
from gridtalk.devicetalk.testing import basic_file_make, library_make


def function(name: str, day: int, df_type: int = 1) -> SaFunction:
    when = datetime(2026, 1, day, tzinfo=UTC)
    return SaFunction(name=name, function_type_id=df_type, updated_at=when)


def joined(*groups: list[SaFunction]) -> list[SaFunction]:
    return [*functions_join(*groups).values()]


def test_of_two_functions_the_newer_counts() -> None:
    old, new = function("f", 1), function("f", 2)
    assert joined([new], [old]) == [new]
    assert joined([old], [new]) == [new]
    other = function("f", 1, df_type=2)
    assert joined([new], [other]) == [new, other]
    # As old as each other: the later given.
    twin = function("f", 2)
    assert joined([new], [twin])[0] is twin


@pytest.mark.django_db
def test_device_libraries_need_what_they_depend_on() -> None:
    basic_file = basic_file_make()
    dht, relay = library_make(basic_file, "dht"), library_make(basic_file, "relay")
    pool = DeviceLibrary.objects.create(name="d_library", basic_file=basic_file)
    pool.dependency_library.add(dht, relay)
    assert libraries_needed([relay.pk], [pool]) == {dht.pk, relay.pk}
    assert libraries_needed([], []) == set()
