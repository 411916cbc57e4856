"""Telling consumers: at most one text a day for each kind and circuit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.db.models import Exists, OuterRef

from gridtalk.alerts.kinds.base import AlertKind
from gridtalk.alerts.models import Alert
from gridtalk.grid.models import Circuit
from gridtalk.messaging.models import CommunicationInterface, IncomingMessage
from gridtalk.messaging.services import message_queue, texts_interface
from gridtalk.messaging.texts import render

#: A consumer is not told the same of the same circuit again before this has passed, also where the
#: alert was cleared and raised again in between.
TOLD_AGAIN_AFTER = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Telling:
    """An alert whose consumer is to be told: ``credit`` is what its cause said, if it said any."""

    alert_id: int
    circuit_id: int
    credit: Decimal | None = None
    origin_id: int | None = None


def consumers_tell(*, kind: AlertKind, tellings: Sequence[Telling], now: datetime) -> int:
    """Queue the texts and note them on the alerts; returns how many. Assumes a transaction.

    Nobody is told of a kind without a text, of a circuit without an account or phone, or of one
    that is retired, nor twice within a day. The text is in the account's language and goes to its
    phone through the meter's interface, or the one that carries the texts of its devices; nobody is
    told where there is none.
    """
    if not kind.text_key or not tellings:
        return 0
    told = Alert.objects.filter(
        kind=kind.model.KIND,
        circuit=OuterRef("pk"),
        consumer_told_at__gt=now - TOLD_AGAIN_AFTER,
    )
    circuits = (
        Circuit.objects.filter(
            ~Exists(told),
            pk__in=[telling.circuit_id for telling in tellings],
            retired_at__isnull=True,
            account__retired_at__isnull=True,
            account__phone__gt="",
        )
        .select_related("account", "meter__communication_interface")
        .in_bulk()
    )
    wanted = [telling for telling in tellings if telling.circuit_id in circuits]
    origins: Mapping[int, IncomingMessage] = IncomingMessage.objects.in_bulk(
        {telling.origin_id for telling in wanted if telling.origin_id is not None}
    )
    carriers: dict[int, CommunicationInterface | None] = {}
    noted = []
    for telling in wanted:
        circuit = circuits[telling.circuit_id]
        account = circuit.account
        assert account is not None
        own = circuit.meter.communication_interface
        if own.pk not in carriers:
            carriers[own.pk] = texts_interface(interface=own)
        carrier = carriers[own.pk]
        if carrier is None:
            continue
        credit = circuit.credit if telling.credit is None else telling.credit
        message = message_queue(
            interface=carrier,
            number=account.phone,
            text=render(account.lang, kind.text_key, account=circuit.pin, credit=credit),
            incoming=origins.get(telling.origin_id) if telling.origin_id is not None else None,
        )
        noted.append(Alert(pk=telling.alert_id, consumer_message=message, consumer_told_at=now))
    Alert.objects.bulk_update(noted, ["consumer_message", "consumer_told_at"])
    return len(noted)
