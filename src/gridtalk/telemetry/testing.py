"""Hand-made meters, circuits and logs for tests."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

from gridtalk.grid.models import MAINS_ADDRESS, Circuit, Meter
from gridtalk.messaging.models import KannelInterface
from gridtalk.telemetry.models import PrimaryLog

_numbers = count(1)


def meter_make(**facts: Any) -> Meter:
    """A meter which a Kannel reaches."""
    number = next(_numbers)
    interface, _ = KannelInterface.objects.get_or_create(
        name="telemetry tests", defaults={"host": "127.0.0.1", "username": "u", "password": "p"}
    )
    given = {"name": f"ml{number:04}", "phone": f"+2237{number:07}", **facts}
    return Meter.objects.create(communication_interface=interface, **given)


def circuit_make(meter: Meter | None = None, *, last: int = 1, **facts: Any) -> Circuit:
    """A circuit with the address ``192.168.1.2<last>``; 0 is the mains."""
    address = f"192.168.1.{200 + last}"
    return Circuit.objects.create(
        meter=meter or meter_make(),
        pin=f"{22_222_222 + next(_numbers)}",
        ip_address=address,
        is_main=address == MAINS_ADDRESS,
        **facts,
    )


def instant(text: str) -> datetime:
    """``2012-08-31T12:00`` as UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def log_make(
    circuit: Circuit,
    meter_time: str | datetime,
    *,
    credit: Any = None,
    watthours: float | str = 0,
    latency_s: int = 60,
    status: int = 1,
) -> PrimaryLog:
    """A stored report, past all rules of the bulk insert; ``meter_time`` in UTC."""
    amount: Any = credit if credit is None else Decimal(str(credit))
    time = instant(meter_time) if isinstance(meter_time, str) else meter_time
    return PrimaryLog.objects.create(
        circuit=circuit,
        meter_time=time,
        received_at=time + timedelta(seconds=latency_s),
        latency_s=latency_s,
        watthours=Decimal(str(watthours)),
        use_time_s=Decimal(0),
        status=status,
        credit=amount,
        clock_ahead=latency_s < -3600,
    )
