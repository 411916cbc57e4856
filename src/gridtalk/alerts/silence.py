"""Circuits that have fallen silent: the check, and the mail about it."""

import smtplib
from collections.abc import Sequence
from datetime import datetime
from itertools import groupby

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q

from gridtalk.alerts.models import Alert, UnresponsiveCircuit
from gridtalk.alerts.rows import NewAlert, alerts_close, alerts_open
from gridtalk.core import clock
from gridtalk.core.models import SystemLog
from gridtalk.core.services import system_log_create
from gridtalk.grid.models import Circuit
from gridtalk.users.models import Permission, User

#: So many circuits of a meter are named in the mail; of more, the rest are counted.
NAMED_PER_METER = 12


def unresponsive_circuits_check(*, now: datetime) -> list[UnresponsiveCircuit]:
    """Raise UnresponsiveCircuit for what has been silent since ``now - settings.CIRCUIT_SILENCE``.

    Only circuits that reported before, of active meters, not retired. Returns the new alerts, by
    meter and address. Users with ``notify`` whose group may view get one mail about them all, sent
    after the commit; where it cannot be sent a system log says so. Owns its transaction.
    """
    with transaction.atomic(durable=True):
        _overtaken_close(now=now)
        alerts = _silent_raise(now=now)
    if alerts:
        _digest_send(alerts=alerts)
    return alerts


def _overtaken_close(*, now: datetime) -> None:
    """Close what the next report cannot: circuits retired or heard from since, meters taken out."""
    over = UnresponsiveCircuit.objects.filter(
        Q(circuit__retired_at__isnull=False)
        | Q(meter__active=False)
        | Q(meter__retired_at__isnull=False)
        | Q(circuit__last_reported_at__gt=F("last_heard_from")),
        kind=UnresponsiveCircuit.KIND,
        circuit__isnull=False,
        cleared_at__isnull=True,
    )
    alerts_close(ids=list(over.values_list("pk", flat=True)), now=now)


def _silent_raise(*, now: datetime) -> list[UnresponsiveCircuit]:
    known = Alert.objects.filter(
        kind=UnresponsiveCircuit.KIND, circuit=OuterRef("pk"), cleared_at__isnull=True
    )
    # A circuit that is locked is being reported on at this moment; if not, the next run takes it.
    silent = (
        Circuit.objects.filter(
            ~Exists(known),
            last_reported_at__lt=now - settings.CIRCUIT_SILENCE,
            retired_at__isnull=True,
            meter__active=True,
            meter__retired_at__isnull=True,
        )
        .order_by("pk")
        .select_for_update(of=("self",), no_key=True, skip_locked=True)
        .values_list("pk", "meter_id", "last_reported_at")
    )
    opened = alerts_open(
        model=UnresponsiveCircuit,
        news=[
            NewAlert(meter_id, circuit_id, fields={"last_heard_from": heard})
            for circuit_id, meter_id, heard in silent
        ],
        now=now,
        count_repeats=False,
    )
    return list(
        UnresponsiveCircuit.objects.filter(pk__in=[one.alert_id for one in opened])
        .select_related("meter", "circuit")
        .order_by("meter__name", "meter_id", "circuit__ip_address")
    )


def _digest_send(*, alerts: Sequence[UnresponsiveCircuit]) -> None:
    receivers = [
        user.email
        for user in User.objects.filter(notify=True, is_active=True, email__gt="")
        .select_related("group")
        .order_by("pk")
        if user.may(Permission.VIEW)
    ]
    if not receivers:
        return
    subject, body = digest(alerts=alerts)
    try:
        EmailMessage(subject=subject, body=body, to=receivers).send()
    except (smtplib.SMTPException, OSError) as error:
        system_log_create(
            source="alerts",
            level=SystemLog.Level.ERROR,
            text=f"the mail about {len(alerts)} unresponsive circuits was not sent: "
            f"{type(error).__name__}: {error}. The alerts stand. Check GRIDTALK_EMAIL_HOST, "
            "GRIDTALK_EMAIL_PORT, GRIDTALK_EMAIL_USER and GRIDTALK_EMAIL_TLS.",
        )


def digest(*, alerts: Sequence[UnresponsiveCircuit]) -> tuple[str, str]:
    """Subject and body of the mail: a paragraph for each meter, times in the meter's zone.

    ``alerts`` are sorted by meter, with meter and circuit fetched.
    """
    count = len(alerts)
    circuits = "1 circuit is" if count == 1 else f"{count} circuits are"
    minutes = int(settings.CIRCUIT_SILENCE.total_seconds() // 60)
    lines = [f"Nothing has been heard for {minutes} minutes or longer:", ""]
    for _, group in groupby(alerts, key=lambda alert: alert.meter_id):
        silent = list(group)
        meter = silent[0].meter
        place = f" ({' '.join(meter.location.split())})" if meter.location.strip() else ""
        lines.append(f"{meter.name}{place}: {len(silent)} silent")
        zone = clock.zone(meter.time_zone)
        for alert in silent[:NAMED_PER_METER]:
            assert alert.circuit is not None
            heard = alert.last_heard_from.astimezone(zone)
            what = "mains" if alert.circuit.is_main else f"account {alert.circuit.pin}"
            lines.append(
                f"  {alert.circuit.ip_address}  {what}  "
                f"last heard {heard:%Y-%m-%d %H:%M} {meter.time_zone}"
            )
        if len(silent) > NAMED_PER_METER:
            lines.append(f"  and {len(silent) - NAMED_PER_METER} more")
        lines.append("")
    lines.append(f"See {settings.PUBLIC_URL}")
    return f"Gridtalk: {circuits} silent", "\n".join(lines)
