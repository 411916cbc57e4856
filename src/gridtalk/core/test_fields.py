"""Time-ordered ids, and columns encrypted at rest."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from gridtalk.core.fields import EncryptedTextField, id_at

EPOCH = datetime(2010, 1, 1, tzinfo=UTC)


def one(sql: str, *values: object) -> int:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return int(cursor.fetchone()[0])


@pytest.mark.parametrize(
    "instant",
    [
        EPOCH,
        EPOCH + timedelta(milliseconds=1),
        EPOCH + timedelta(microseconds=999),
        EPOCH + timedelta(seconds=1, milliseconds=1),  # 1.001 * 1000 is 1000.9999… in floats
        datetime(2026, 11, 23, 15, 21, 7, 290_001, tzinfo=UTC),
        datetime(2043, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    ],
)
@pytest.mark.django_db
def test_python_and_the_database_reckon_alike(instant: datetime) -> None:
    assert id_at(instant) == one("SELECT gridtalk_id_at(%s)", instant)


@pytest.mark.django_db
def test_an_id_lies_between_those_of_the_instants_around_it() -> None:
    now = "SELECT gridtalk_id_at(clock_timestamp())"
    before, made, after = one(now), one("SELECT gridtalk_next_id()"), one(now)
    assert before <= made < after + 2**13
    assert made < 2**53


@pytest.mark.django_db
def test_many_ids_at_once_are_different() -> None:
    made = one("SELECT count(DISTINCT gridtalk_next_id()) FROM generate_series(1, 5000)")
    assert made == 5000


@given(
    st.datetimes(datetime(2010, 1, 1), datetime(2043, 1, 1)),  # noqa: DTZ001  made aware below
    st.timedeltas(timedelta(milliseconds=1), timedelta(days=1)),
)
def test_later_is_larger_and_readable_in_javascript(moment: datetime, step: timedelta) -> None:
    instant = moment.replace(tzinfo=UTC)
    assert 0 <= id_at(instant) < id_at(instant + step) < 2**53


def test_an_empty_secret_stays_empty() -> None:
    field = EncryptedTextField()
    assert field.get_prep_value("") == ""
    assert field.from_db_value("", None, None) == ""
    assert field.from_db_value(None, None, None) is None
    stored = field.get_prep_value("secret")
    assert stored != "secret"
    assert field.from_db_value(stored, None, None) == "secret"
