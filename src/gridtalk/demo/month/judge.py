"""What the month must have come to: the books, the meters and the texts agree."""

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TextIO

from gridtalk.core import money
from gridtalk.demo.month.operator import applied
from gridtalk.demo.month.play import Month
from gridtalk.grid.models import Circuit
from gridtalk.jobs.models import AddCredit, Job
from gridtalk.jobs.verify import Report, verify
from gridtalk.messaging.models import IncomingMessage, Message
from gridtalk.prepaid.models import LedgerEntry
from gridtalk.telemetry.models import PrimaryLog

State = Job.State


@dataclass
class Verdict:
    """``wrong`` must be empty. ``facts`` are told whether or not; ``report`` is verify's."""

    report: Report
    wrong: list[str] = field(default_factory=list)
    facts: dict[str, int] = field(default_factory=dict)

    @property
    def clean(self) -> bool:
        """Whether all agree."""
        return self.report.clean and not self.wrong


def month_judge(month: Month) -> Verdict:
    """Compare the database with the meters' own memory and with what the network was answered."""
    verdict = Verdict(report=verify())
    _credits(month, verdict)
    _shown(month, verdict)
    _texts(month, verdict)
    verdict.facts |= {
        "texts in": month.network.texts["up"],
        "texts out": month.network.texts["down"],
        "answers of the server lost on the way": month.network.texts["answers lost"],
        "outages of the server": len(month.troubles.server_down),
        "outages of Kannel": len(month.troubles.kannel_down),
        "power cuts": sum("has no power" in line for line in month.story),
        "wrong clocks": sum("has a clock that shows" in line for line in month.story),
        "readings": PrimaryLog.objects.count(),
        "readings ahead of time": PrimaryLog.objects.filter(clock_ahead=True).count(),
        "credits asked for": AddCredit.objects.count(),
        "settled by a report": AddCredit.objects.filter(note__startswith="seen in").count(),
        "said again for a technician": month.operator.repeated,
        "confirmed by a person": month.operator.confirmed,
        "sent again by a person": sum(month.operator.resent.values()),
        "reversed by a person": month.operator.reversed,
        "forgotten by meters": sum(sum(m.forgotten.values()) for m in month.meters.values()),
        "rounds of the server": month.rig.rounds,
    }
    return verdict


def _credits(month: Month, verdict: Verdict) -> None:
    """Each credit is on its meter as often as the books say; more only where the air did it."""
    jobs = AddCredit.objects.select_related("circuit__meter").order_by("pk")
    held = {pk: applied(meter) for pk, meter in month.meters.items()}
    ever = {
        pk: Counter(credit.job_id for credit in meter.meter.applied)
        for pk, meter in month.meters.items()
    }
    for job in jobs:
        meter_id = job.circuit.meter_id
        times, total = held[meter_id][job.pk], ever[meter_id][job.pk]
        what = f"job {job.pk} over {job.credit} ({job.state})"
        if job.state == State.DONE and not total:
            verdict.wrong.append(f"{what}: no meter ever had it")
        if job.state == State.CANCELLED and times > 0:
            verdict.wrong.append(f"{what}: was taken back, and the meter has it")
        if job.state not in {State.DONE, State.CANCELLED}:
            verdict.wrong.append(f"{what}: is still open after the calm at the end")
        if times > 1:
            allowed = 1 + month.operator.resent[job.pk]
            if job.circuit.meter.knows_job_ids or month.network.handed[job.pk] > allowed:
                verdict.wrong.append(f"{what}: the server made the meter apply it {times} times")
            verdict.facts["applied twice by an old meter, repeated by the air"] = (
                verdict.facts.get("applied twice by an old meter, repeated by the air", 0) + 1
            )
    _delivered(verdict)


def _delivered(verdict: Verdict) -> None:
    done = AddCredit.objects.filter(state=State.DONE)
    in_jobs = sum((job.credit for job in done), money.ZERO)
    delivered = LedgerEntry.objects.filter(cause=LedgerEntry.Cause.DELIVERY)
    in_books = sum((entry.amount for entry in delivered), money.ZERO)
    if in_jobs != in_books:
        verdict.wrong.append(f"jobs done over {in_jobs}, delivered in the ledger {in_books}")
    verdict.facts["worth"] = int(in_books)


def _shown(month: Month, verdict: Verdict) -> None:
    """After the calm each circuit shows what its meter said last."""
    for meter_id, meter in month.meters.items():
        for circuit in Circuit.objects.filter(meter=meter_id, is_main=False):
            said: Decimal | None = meter.said.get(circuit.ip_address)
            if said is not None and circuit.credit != said:
                verdict.wrong.append(
                    f"{meter.meter.name} {circuit.ip_address} shows {circuit.credit}; "
                    f"its meter said {said}"
                )


def _texts(month: Month, verdict: Verdict) -> None:
    stored = set(
        IncomingMessage.objects.exclude(dedupe_key=None).values_list("dedupe_key", flat=True)
    )
    known = {key.partition(":")[2] for key in stored if key}
    lost = [one for one in month.network.answered if one not in known]
    verdict.wrong += [f"text {one} was accepted, and is not in the database" for one in lost]
    for label, count in (
        ("texts were never handled", IncomingMessage.objects.filter(handled_at=None).count()),
        (
            "texts made the server fail",
            IncomingMessage.objects.filter(outcome="failed").count()
            + IncomingMessage.objects.filter(tries__gt=0).count(),
        ),
        (
            "texts were never sent",
            Message.objects.filter(state__in=[Message.State.QUEUED, Message.State.SENDING]).count(),
        ),
    ):
        if count:
            verdict.wrong.append(f"{count} {label}")
    for error in month.diary.failures:
        verdict.wrong.append(f"the simulator failed: {error!r}")


def verdict_tell(month: Month, verdict: Verdict, out: TextIO) -> None:
    """Print how it ended."""
    out.writelines(f"  {count:>9,} {name}\n" for name, count in verdict.facts.items())
    for name, found in verdict.report.errors.items():
        out.write(f"WRONG  not so: {name}\n")
        out.writelines(f"       {line}\n" for line in found[:20])
    out.writelines(f"WRONG  {line}\n" for line in verdict.wrong[:40])
    if len(verdict.wrong) > 40:
        out.write(f"WRONG  and {len(verdict.wrong) - 40} more\n")
    out.writelines(f"note   {line}\n" for line in verdict.report.notes)
    out.write(
        f"story {month.digest:08x}, {month.seconds:.0f} s. "
        + (
            "The ledger is clean, and every meter has what the books say.\n"
            if verdict.clean
            else "The month did NOT end well.\n"
        )
    )
