"""The first page: is everything all right?"""

from datetime import timedelta

from django.conf import settings
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import ngettext
from django.views.decorators.http import require_safe

from gridtalk.alerts.selectors import alert_list
from gridtalk.core import clock
from gridtalk.core.fields import id_at
from gridtalk.iottalk.selectors import devices_waiting_count
from gridtalk.jobs.models import OPEN_STATES, Job
from gridtalk.messaging.models import CommunicationInterface, Message
from gridtalk.messaging.services import in_streak
from gridtalk.users.models import Permission
from gridtalk.users.permissions import requires, signed_in
from gridtalk.web.rows import feed_rows, message_rows
from gridtalk.web.views.meters import rows_with_uptime
from gridtalk.web.views.overview_figures import meter_figures, sold_today

#: The last hour's messages are counted up to here; above it the page says "10,000+".
MOST_COUNTED = 10_000
SHOWN = 12
#: Of so many of the newest messages the feed is made: reports in a row become one line.
FEED_READ = 150


@require_safe
@requires(Permission.VIEW)
def overview(request: HttpRequest) -> HttpResponse:
    """Meters, alerts, interfaces, open jobs, and what came in the last hour."""
    figures = meter_figures(shown=SHOWN)
    interfaces = list(CommunicationInterface.objects.order_by("name"))
    failing = [interface for interface in interfaces if interface_state(interface) == "failing"]
    jobs = dict(
        Job.objects.filter(state__in=OPEN_STATES)
        .order_by()
        .values_list("state")
        .annotate(number=Count("pk"))
    )
    alerts = alert_list(open_only=True, limit=SHOWN)
    hour = last_hour()
    context = {
        "section": "overview",
        "rows": rows_with_uptime(figures.worst),
        "meters": figures.meters,
        "more_meters": max(0, figures.meters - SHOWN),
        "silent": figures.silent,
        "circuits": figures.circuits,
        "alerts": alerts,
        "open_alerts": figures.open_alerts,
        "failing": failing,
        "interfaces": len(interfaces),
        "jobs_waiting": jobs.get("queued", 0) + jobs.get("sent", 0),
        "jobs_unconfirmed": jobs.get("unconfirmed", 0),
        "hour": hour,
        "sold_today": sold_today(),
        "feed": feed_rows(message_rows(Message.objects.order_by("-pk")[:FEED_READ]))[:SHOWN],
        "may_play": bool(settings.GRIDTALK_DEMO_PHONES)
        and signed_in(request).may(Permission.MONEY),
        "troubles": _troubles(figures.silent, jobs.get("unconfirmed", 0), failing, hour),
    }
    return render(request, "web/overview.html", context)


def interface_state(interface: CommunicationInterface) -> str:
    """``failing`` where its last error is newer than the last message that it took."""
    if not interface.active:
        return "inactive"
    if in_streak(interface):
        return "failing"
    return "new" if interface.last_sent_at is None else "working"


def last_hour() -> dict[str, int | bool]:
    """How many messages came and went in the last hour, up to :data:`MOST_COUNTED`."""
    newest = Message.objects.filter(pk__gte=id_at(clock.now() - timedelta(hours=1)))
    counted: dict[str, int | bool] = dict(
        newest.order_by("-pk")[:MOST_COUNTED].aggregate(
            received=Count("pk", filter=Q(kind="incoming")),
            sent=Count("pk", filter=Q(state__in=["sent", "delivered"])),
            waiting=Count("pk", filter=Q(state__in=["queued", "sending"])),
            failed=Count("pk", filter=Q(state__in=["failed", "expired"])),
            total=Count("pk"),
        )
    )
    counted["more"] = counted["total"] >= MOST_COUNTED
    return counted


def _troubles(
    silent: int,
    unconfirmed: int,
    failing: list[CommunicationInterface],
    hour: dict[str, int | bool],
) -> list[tuple[str, str]]:
    """What needs a person, as sentences with the page to go to."""
    found = []
    if silent:
        text = ngettext("%(n)d meter is silent", "%(n)d meters are silent", silent)
        found.append((text % {"n": silent}, "web:meters"))
    if unconfirmed:
        text = ngettext(
            "%(n)d credit is unconfirmed: confirm it, send it again or reverse it",
            "%(n)d credits are unconfirmed: confirm them, send them again or reverse them",
            unconfirmed,
        )
        found.append((text % {"n": unconfirmed}, "web:jobs"))
    if failing:
        text = ngettext(
            "%(n)d interface fails: %(names)s", "%(n)d interfaces fail: %(names)s", len(failing)
        )
        names = ", ".join(interface.name for interface in failing[:5])
        found.append((text % {"n": len(failing), "names": names}, "web:interfaces"))
    if failed := int(hour["failed"]):
        text = ngettext(
            "%(n)d message of the last hour could not be sent",
            "%(n)d messages of the last hour could not be sent",
            failed,
        )
        found.append((text % {"n": failed}, "web:messages"))
    if waiting := devices_waiting_count():
        text = ngettext(
            "%(n)d meter's device asks to register again without its key",
            "%(n)d meters' devices ask to register again without their keys",
            waiting,
        )
        found.append((text % {"n": waiting}, "web:devices"))
    return found
