"""Raising, clearing and acknowledging alerts.

All of these run in the caller's transaction. Who raises several in one transaction does it in the
order of circuits, as all who lock circuits do.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import connection
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Greatest

from gridtalk.alerts.catalogue import ALERT_KINDS
from gridtalk.alerts.families import ALERTS
from gridtalk.alerts.kinds.base import AlertKind, Seen, Verdict
from gridtalk.alerts.models import Alert, UnresponsiveJob
from gridtalk.alerts.rows import NewAlert, alerts_close, alerts_open
from gridtalk.alerts.telling import Telling, consumers_tell
from gridtalk.core import clock
from gridtalk.core.errors import UserError
from gridtalk.grid.models import Circuit, Meter
from gridtalk.jobs.models import AddCredit, Job
from gridtalk.messaging.models import IncomingMessage
from gridtalk.users.audit import audit
from gridtalk.users.models import User


@dataclass(frozen=True, slots=True)
class Raised:
    """The open alert (as its child), and whether it is new; otherwise a repeat was counted."""

    alert: Any
    created: bool


@dataclass(frozen=True, slots=True)
class CircuitChange:
    """What a batch of reports, or an acknowledgement, changed on one circuit.

    ``credit`` and ``status`` are what the circuit has now, null where the report did not touch them
    (an older report, a clock ahead, a mains without credit); ``credit_before`` is what it had.
    ``reported``: a report came, however old; false for an acknowledgement, which breaks no
    silence. ``origin_id``: the incoming message.
    """

    circuit_id: int
    credit_before: Decimal | None = None
    credit: Decimal | None = None
    status: int | None = None
    reported: bool = True
    origin_id: int | None = None


def alert_raise(
    *,
    kind: str,
    meter: Meter,
    circuit: Circuit | None = None,
    topic: str = "",
    origin: IncomingMessage | None = None,
    credit: Decimal | None = None,
    **child_fields: Any,
) -> Raised:
    """Raise an alert, or count a repeat on the one that is open for the kind, circuit and topic.

    The consumer is told, at most once a day. ``credit`` is for that text (by default the circuit's
    present one); ``child_fields`` are the columns of the kind's own table. Two workers that raise
    the same at once open one. Raises :class:`UserError` where the alert needs a circuit and has
    none, or the circuit is another meter's; ``ImproperlyConfigured`` for a kind nobody listed.
    """
    rule = ALERT_KINDS.kind_get(kind)
    circuit = rule.circuit_for(topic=topic, circuit=circuit)
    if circuit is not None and circuit.meter_id != meter.pk:
        raise UserError(f"circuit {circuit.ip_address} is not one of meter “{meter.name}”")
    now = clock.now()
    new = NewAlert(
        meter_id=meter.pk,
        circuit_id=None if circuit is None else circuit.pk,
        topic=topic,
        origin_id=None if origin is None else origin.pk,
        fields=child_fields,
    )
    (opened,) = alerts_open(model=rule.model, news=[new], now=now, event=rule.event)
    if circuit is not None:
        telling = Telling(opened.alert_id, circuit.pk, credit=credit, origin_id=new.origin_id)
        consumers_tell(kind=rule, tellings=[telling], now=now)
    return Raised(rule.model.objects.get(pk=opened.alert_id), opened.created)


def alert_from_meter(
    *,
    code: str,
    meter: Meter,
    circuit: Circuit | None = None,
    credit: Decimal | None = None,
    origin: IncomingMessage | None = None,
) -> Raised:
    """Raise what a meter's alert code means (``meter-protocol.md``, alert codes).

    Raises :class:`UserError` for an unknown code, and where the code needs a circuit and none is
    given.
    """
    code = code.strip().lower()
    rule = ALERT_KINDS.code_get(code)
    return alert_raise(
        kind=rule.model.KIND,
        meter=meter,
        circuit=circuit,
        topic=rule.topic(code),
        origin=origin,
        credit=credit,
        **rule.child_fields(code),
    )


def alert_clear(
    *, kind: str, meter: Meter, circuit: Circuit | None = None, topic: str | None = None
) -> int:
    """Close the open alerts of a kind on a circuit; without one, those of the meter itself.

    Without a topic those of every topic. Returns how many were open.
    """
    model = ALERT_KINDS.kind_get(kind).model
    found = Alert.objects.filter(
        kind=model.KIND, meter=meter, circuit=circuit, cleared_at__isnull=True
    )
    if topic is not None:
        found = found.filter(topic=topic)
    return alerts_close(ids=list(found.values_list("pk", flat=True)), now=clock.now())


def alert_acknowledge(*, alert: Alert, user: User) -> Alert:
    """Note that somebody has seen the alert; the first who did stays. It is in the audit trail.

    What nothing else would ever clear (a meter's fault, a job that has ended without an answer) is
    closed with it. Returns the alert as its child.
    """
    locked = Alert.objects.select_for_update(no_key=True).get(pk=alert.pk)
    child: Alert = ALERTS.child(locked)
    if child.acknowledged_at is not None:
        return child
    child.acknowledged_at, child.acknowledged_by = clock.now(), user
    rule = ALERT_KINDS.kind_get(child.kind)
    closed = child.cleared_at is None and rule.closed_by_acknowledgement(child)
    if closed:
        child.cleared_at = child.acknowledged_at
    child.save(update_fields=["acknowledged_at", "acknowledged_by", "cleared_at"])
    audit(
        user=user,
        action="alert_acknowledge",
        target=f"alert {child.pk}",
        data={"kind": child.kind, "closed": closed},
    )
    return child


# One look at the whole batch: rows come back only for circuits on which something is open or the
# credit is low, so a healthy village costs this one query. Locked by nobody: whoever brings reports
# holds the circuits.
_WORTH_A_LOOK = """
SELECT change.circuit_id, circuits.meter_id, circuits.retired_at IS NULL AND NOT circuits.is_main,
       meters.low_credit_threshold,
       array_agg(alerts.kind ORDER BY alerts.id), array_agg(alerts.id ORDER BY alerts.id)
FROM unnest(%(circuits)s::int[], %(credits)s::numeric[]) AS change(circuit_id, credit)
JOIN circuits ON circuits.id = change.circuit_id
JOIN meters ON meters.id = circuits.meter_id
LEFT JOIN alerts ON alerts.circuit_id = change.circuit_id AND alerts.circuit_id IS NOT NULL
     AND alerts.cleared_at IS NULL AND alerts.kind = ANY(%(kinds)s)
WHERE alerts.id IS NOT NULL OR change.credit <= 0 OR change.credit < meters.low_credit_threshold
GROUP BY change.circuit_id, circuits.id, meters.id
ORDER BY change.circuit_id
"""


def alerts_after_reports(*, changes: Sequence[CircuitChange]) -> None:
    """Raise and clear what the newest reports of these circuits mean. One change for each circuit.

    Set-based: one query where nothing changes. A report that still shows low or no credit counts as
    a repeat, but only a new alert is told to the consumer: the meter's own messages remind them.
    Nothing is raised for a mains or a retired circuit. The caller has locked the circuits.
    """
    if not changes:
        return
    rules = [rule for rule in ALERT_KINDS.kinds if rule.follows_reports]
    by_circuit = {change.circuit_id: change for change in changes}
    with connection.cursor() as cursor:
        cursor.execute(
            _WORTH_A_LOOK,
            {
                "circuits": list(by_circuit),
                "credits": [change.credit for change in by_circuit.values()],
                "kinds": [rule.model.KIND for rule in rules],
            },
        )
        rows = cursor.fetchall()
    clear: list[int] = []
    again: list[int] = []
    raise_: dict[AlertKind, list[NewAlert]] = {rule: [] for rule in rules}
    for circuit_id, meter_id, spends, threshold, open_kinds, ids in rows:
        open_ids = dict(zip(open_kinds, ids, strict=True))
        change = by_circuit[circuit_id]
        seen = Seen(
            threshold=threshold,
            credit_before=change.credit_before,
            credit=change.credit,
            status=change.status,
            reported=change.reported,
        )
        for rule in rules:
            verdict = rule.after_report(seen)
            open_id = open_ids.get(rule.model.KIND)
            if verdict is Verdict.CLEAR and open_id is not None:
                clear.append(open_id)
            elif verdict is Verdict.RAISE and open_id is not None:
                again.append(open_id)
            elif verdict is Verdict.RAISE and spends:
                raise_[rule].append(NewAlert(meter_id, circuit_id, origin_id=change.origin_id))
    now = clock.now()
    alerts_close(ids=clear, now=now)
    if again:
        Alert.objects.filter(pk__in=again, cleared_at__isnull=True).update(
            repeats=F("repeats") + 1, last_raised_at=Greatest("last_raised_at", now)
        )
    for rule, news in raise_.items():
        opened = alerts_open(model=rule.model, news=news, now=now)
        tellings = [
            Telling(
                one.alert_id,
                circuit_id,
                credit=by_circuit[circuit_id].credit,
                origin_id=one.new.origin_id,
            )
            for one in opened
            if one.created and (circuit_id := one.new.circuit_id) is not None
        ]
        consumers_tell(kind=rule, tellings=tellings, now=now)


def alert_after_report(
    *, alert: Alert, credit_before: Decimal | None, credit: Decimal | None, status: int | None
) -> bool:
    """Close an alert just raised if what was reported since its message clears it; whether it did.

    For a report that was stored before the alert though its message came after it. The caller has
    locked the circuit.
    """
    rule = ALERT_KINDS.kind_get(alert.kind)
    seen = Seen(
        threshold=alert.meter.low_credit_threshold,
        credit_before=credit_before,
        credit=credit,
        status=status,
        reported=True,
    )
    if not rule.follows_reports or rule.after_report(seen) is not Verdict.CLEAR:
        return False
    return alerts_close(ids=[alert.pk], now=clock.now()) > 0


def unresponsive_jobs_raise(*, jobs: Iterable[Job]) -> list[UnresponsiveJob]:
    """Raise UnresponsiveJob for each of the jobs; returns the new ones, in order of job.

    A job whose alert is open already is left alone, so that its requester is told once.
    """
    wanted = {job.pk for job in jobs}
    facts = Job.objects.filter(pk__in=wanted).values_list("pk", "circuit_id", "circuit__meter_id")
    opened = alerts_open(
        model=UnresponsiveJob,
        news=[
            NewAlert(meter_id, circuit_id, topic=str(job_id), fields={"job": job_id})
            for job_id, circuit_id, meter_id in facts
        ],
        now=clock.now(),
        count_repeats=False,
    )
    ids = [one.alert_id for one in opened]
    return list(UnresponsiveJob.objects.filter(pk__in=ids).select_related("job").order_by("job_id"))


def unresponsive_jobs_clear() -> int:
    """Close the open UnresponsiveJob alerts of jobs that have ended; returns how many.

    An expired job, or one that failed, never had its answer: its alert is closed when its meter has
    acknowledged another job since. Credit that failed still waits for a person: it stays open.
    """
    answered = Job.objects.filter(
        circuit__meter=OuterRef("meter"),
        state=Job.State.DONE,
        ended_at__gt=OuterRef("last_raised_at"),
    )
    settled = Q(job__state__in=[Job.State.DONE, Job.State.CANCELLED])
    over = Q(job__state=Job.State.EXPIRED) | (
        Q(job__state=Job.State.FAILED) & ~Q(job__kind=AddCredit.KIND)
    )
    found = UnresponsiveJob.objects.filter(
        settled | (over & Q(Exists(answered))),
        # So said that the index of what is open can be used: this runs with every drain of jobs.
        kind=UnresponsiveJob.KIND,
        circuit__isnull=False,
        cleared_at__isnull=True,
    )
    return alerts_close(ids=list(found.values_list("pk", flat=True)), now=clock.now())
