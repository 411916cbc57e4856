"""Writing logs: hourly reports in bulk, PCU reports one by one, and the partitions they lie in.

``bulk_create`` refuses multi-table children, and tens of thousands of readings a second need COPY.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from django.db import connection

from gridtalk.core.errors import UserError
from gridtalk.telemetry import bulk
from gridtalk.telemetry.bulk import (
    CircuitChange,
    InsertResult,
    LoggedReading,
    NewReading,
    Outcome,
)
from gridtalk.telemetry.models import PCULog
from gridtalk.telemetry.partitions import partitions_ensure

__all__ = [
    "CircuitChange",
    "InsertResult",
    "LoggedReading",
    "NewReading",
    "Outcome",
    "partitions_ensure",
    "pcu_log_insert",
    "primary_logs_insert",
]


def primary_logs_insert(*, readings: Sequence[NewReading]) -> InsertResult:
    """Store circuits' reports and mirror the newest of each in its circuit, in the caller's
    transaction.

    At most one call in a transaction: it locks all circuits of the batch in order of id. A
    duplicate (circuit, meter time) is counted, not stored; of two in the batch the first counts. A
    report older than what the circuit shows is stored and leaves credit and status alone; one
    without credit never blanks it; one whose clock is over an hour ahead of its receipt is stored
    and flagged. Each report, a duplicate too, counts as heard (``last_reported_at``).

    Raises :class:`NotFound` where a circuit does not exist; ``DataError`` where a number does not
    fit its column. Source: gateway.md 6, meter-protocol.md.
    """
    return bulk.insert(readings)


def pcu_log_insert(
    *,
    meter_id: int,
    meter_time: datetime,
    values: Sequence[float | Decimal | None],
    raw: str,
    received_at: datetime,
    message_id: int | None = None,
) -> int | None:
    """Store a power unit's report; its log's id, or None where this meter and time are stored.

    ``values`` in the order of the message: kWh solar, kWh into and out of the battery, battery V,
    battery charge, battery discharge, solar A, solar V, battery °C; null for what it does not
    measure. One statement; :class:`UserError` where they are not nine.
    Source: meter-protocol.md, "PCU values"; iottalk.md for null.
    """
    if len(values) != len(_PCU_COLUMNS):
        raise UserError(
            f"a PCU report holds {len(_PCU_COLUMNS)} values; "
            f"this one holds {', '.join(map(str, values)) or 'none'}"
        )
    with connection.cursor() as cursor:
        # The child first: only it knows whether the report is new.
        cursor.execute(
            f"WITH child AS (INSERT INTO pcu_logs (id, meter_id, meter_time, raw, {_PCU_NAMES})"  # noqa: S608
            " SELECT gridtalk_next_id(), %s, %s, %s, v.* FROM (VALUES"
            " (%s::float8, %s::float8, %s::float8, %s::float8, %s::float8, %s::float8,"
            " %s::float8, %s::float8, %s::float8)) AS v"
            " ON CONFLICT (meter_id, meter_time) DO NOTHING RETURNING id)"
            " INSERT INTO logs (id, kind, received_at, message_id)"
            " SELECT id, %s, %s, %s::bigint FROM child RETURNING id",
            [meter_id, meter_time, raw, *values, PCULog.KIND, received_at, message_id],
        )
        row = cursor.fetchone()
    return int(row[0]) if row else None


_PCU_COLUMNS = (
    "cumulative_kwh_solar",
    "cumulative_kwh_battery_charge",
    "cumulative_kwh_discharge",
    "battery_volts",
    "battery_charge",
    "battery_discharge",
    "solar_amps",
    "solar_volts",
    "battery_temp",
)
_PCU_NAMES = ", ".join(_PCU_COLUMNS)
