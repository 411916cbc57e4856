"""How the story ended: counted in the database, compared with the meter, verified."""

from datetime import timedelta
from decimal import Decimal

from django.db.models import Sum

from gridtalk.alerts.models import Alert
from gridtalk.core import clock, money
from gridtalk.demo.network import Network
from gridtalk.demo.telling import Teller
from gridtalk.demo.village import Village
from gridtalk.jobs.models import AddCredit
from gridtalk.jobs.verify import main as verify
from gridtalk.messaging.models import IncomingMessage, Message
from gridtalk.telemetry.models import PrimaryLog
from gridtalk.web.views.phone import CARDS_NOTE


def summary_tell(
    teller: Teller,
    village: Village,
    network: Network,
    redeemed: list[str],
    token_value: Decimal,
    seconds: float,
) -> bool:
    """Tell how it ended; whether the books, the meter and the story agree."""
    mine = Message.objects.filter(communication_interface=village.interface)
    incoming = IncomingMessage.objects.filter(communication_interface=village.interface)
    circuits = village.row.circuits.all()
    began = clock.now() - timedelta(seconds=seconds + 1)
    reports = PrimaryLog.objects.filter(circuit__in=circuits, received_at__gte=began)
    teller.chapter("The end of the day")
    teller.plain(
        f"  {incoming.count()} texts came in, "
        f"{mine.filter(kind='outgoing').count()} went to people and "
        f"{mine.filter(kind='job').count()} to the meter; {reports.count()} readings and "
        f"{Alert.objects.filter(meter=village.row).count()} alerts were stored, in {seconds:.0f} s."
    )
    wrong = differences(village, network, redeemed, token_value)
    for text in wrong:
        teller.plain(f"  {text}", "red")
    sold = money.shown(token_value * len(redeemed))
    if not wrong:
        teller.plain(
            f"  {len(redeemed)} tokens were redeemed, worth {sold}: each is on the meter once.",
            "green",
        )
    teller.plain()
    return verify() == 0 and not wrong


def differences(
    village: Village, network: Network, redeemed: list[str], token_value: Decimal
) -> list[str]:
    """What differs between the story, the meter and the database; empty where nothing does."""
    found = [f"the simulated network failed: {error!r}" for error in network.failures]
    applied = village.meter.look(lambda meter: list(meter.applied))
    at_meter = sum((credit.amount for credit in applied), money.ZERO)
    jobs = AddCredit.objects.filter(circuit__meter=village.row)
    in_books = jobs.filter(state="done").aggregate(total=Sum("credit"))["total"] or money.ZERO
    # Who played with the phone of the page meanwhile bought cards of their own.
    played = jobs.filter(state="done", token__batch__note=CARDS_NOTE)
    told = token_value * len(redeemed) + (played.aggregate(total=Sum("credit"))["total"] or 0)
    if not at_meter == in_books == told:
        found.append(f"credit: story {told}, meter {at_meter}, database {in_books}")
    if len({credit.job_id for credit in applied}) != len(applied):
        found.append("the meter applied a job twice")
    stored = set(
        IncomingMessage.objects.filter(communication_interface=village.interface)
        .exclude(dedupe_key=None)
        .values_list("dedupe_key", flat=True)
    )
    lost = [one for one in network.answered if f"{village.interface.pk}:{one}" not in stored]
    found += [f"text {one} was accepted, and is not in the database" for one in lost]
    unhandled = IncomingMessage.objects.filter(
        communication_interface=village.interface, handled_at=None
    )
    found += [f"text {one.pk} was never handled" for one in unhandled]
    failed = IncomingMessage.objects.filter(
        communication_interface=village.interface, outcome="failed"
    )
    found += [f"text {one.pk} made the server fail: {one.error}" for one in failed]
    return found
