"""What is notified arrives, when it is committed."""

import contextlib

import psycopg
import pytest
from django.db import connection, transaction

from gridtalk.core.events import (
    ALL,
    CHANNEL,
    LONGEST_PAYLOAD,
    events_notify,
    meter_topic,
    number_topic,
)


@pytest.mark.django_db(transaction=True)
def test_what_is_notified_arrives_when_it_is_committed() -> None:
    parameters = connection.get_connection_params()
    wanted = {name: parameters[name] for name in ("host", "port", "dbname", "user", "password")
              if parameters.get(name)}  # fmt: skip
    with contextlib.closing(psycopg.connect(**wanted, autocommit=True)) as other:
        other.execute(f"LISTEN {CHANNEL}")
        with transaction.atomic():
            events_notify([meter_topic(3), number_topic("+223 70"), meter_topic(3)])
            assert list(other.notifies(timeout=0.05)) == []
        events_notify([])
        events_notify(f"meter:{number}" for number in range(2000))
        said = [notice.payload for notice in other.notifies(timeout=1, stop_after=2)]
        assert said == ["meter:3 number:+22370", ALL]
        assert len(said[0]) < LONGEST_PAYLOAD
