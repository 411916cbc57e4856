"""Meters: the list, one meter, a new one."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import Count, Max, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from gridtalk.alerts.selectors import alert_list, alert_open_counts
from gridtalk.core import clock
from gridtalk.core.errors import UserError
from gridtalk.grid.models import Circuit, Meter
from gridtalk.grid.selectors import mains_get, meter_number
from gridtalk.grid.services import circuit_create, meter_create
from gridtalk.iottalk.models import RegisteredDevice
from gridtalk.jobs import services as jobs_services
from gridtalk.jobs.models import Job
from gridtalk.messaging.models import Message
from gridtalk.messaging.services import texts_interface
from gridtalk.telemetry.selectors import Uptime, uptime_list
from gridtalk.users.audit import audit
from gridtalk.users.models import Permission
from gridtalk.users.permissions import requires, signed_in
from gridtalk.web.forms import CircuitForm, FindForm, MeterForm
from gridtalk.web.rows import message_rows
from gridtalk.web.series import SPANS, span_get
from gridtalk.web.words import error_text

METERS_PER_PAGE = 100
RECENT = 15


@dataclass(frozen=True)
class MeterRow:
    """A meter as a list shows it."""

    meter: Meter
    state: str
    last_reported_at: datetime | None
    circuits: int
    circuits_on: int
    open_alerts: int
    uptime: Uptime | None = None


def meters_with_facts() -> QuerySet[Meter]:
    """The meters that are not retired, with their last report and their circuits counted."""
    household = Q(circuits__is_main=False, circuits__retired_at__isnull=True)
    return (
        Meter.objects.filter(retired_at__isnull=True)
        .select_related("communication_interface")
        .annotate(
            last_reported_at=Max("circuits__last_reported_at"),
            circuit_count=Count("circuits", filter=household),
            circuits_on=Count("circuits", filter=household & Q(circuits__status=1)),
        )
        .order_by("name")
    )


def meter_rows(meters: Iterable[Any]) -> list[MeterRow]:
    """The annotated meters as rows; one query more, for their alerts."""
    found = list(meters)
    open_alerts = alert_open_counts(meters=found) if found else {}
    return [
        MeterRow(
            meter=meter,
            state=meter_state(meter, meter.last_reported_at),
            last_reported_at=meter.last_reported_at,
            circuits=meter.circuit_count,
            circuits_on=meter.circuits_on,
            open_alerts=open_alerts.get(meter.pk, 0),
        )
        for meter in found
    ]


def rows_with_uptime(rows: Iterable[MeterRow]) -> list[MeterRow]:
    """The rows that a page shows, with the uptime of those that ever reported; one query."""
    found = list(rows)
    ids = [row.meter.pk for row in found if row.last_reported_at is not None]
    uptimes = uptime_list(meter_ids=ids) if ids else {}
    return [replace(row, uptime=uptimes.get(row.meter.pk)) for row in found]


def meter_state(meter: Meter, last_reported_at: datetime | None) -> str:
    """``reporting``, ``silent``, ``new`` (never reported) or ``inactive``."""
    if not meter.active:
        return "inactive"
    if last_reported_at is None:
        return "new"
    silent = clock.now() - last_reported_at > settings.CIRCUIT_SILENCE
    return "silent" if silent else "reporting"


@require_safe
@requires(Permission.VIEW)
def meters(request: HttpRequest) -> HttpResponse:
    """All meters; a word finds meters by name, phone or place, and circuits by account."""
    form = FindForm(request.GET)
    form.is_valid()
    word = form.cleaned_data.get("q", "").strip()
    found = meters_with_facts()
    circuits: list[Circuit] = []
    if word:
        found = found.filter(
            Q(name__icontains=word)
            | Q(location__icontains=word)
            | Q(phone__endswith=word.removeprefix("0"))
            | Q(phone=word)
        )
        circuits = list(
            Circuit.objects.filter(
                Q(pin__iexact=word) | Q(account__phone=word) | Q(account__name__icontains=word)
            )
            .select_related("meter", "account")
            .order_by("meter__name", "ip_address")[:RECENT]
        )
    page = Paginator(found, METERS_PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "section": "meters",
        "form": form,
        "word": word,
        "page": page,
        "rows": rows_with_uptime(meter_rows(page.object_list)),
        "circuits": circuits,
        "may_change": signed_in(request).may(Permission.GRID),
    }
    return render(request, "web/meters.html", context)


@require_safe
@requires(Permission.VIEW)
def meter(request: HttpRequest, meter_id: int) -> HttpResponse:
    """One meter: facts, circuits, alerts, messages."""
    found = get_object_or_404(Meter.objects.select_related("communication_interface"), pk=meter_id)
    circuits = list(
        found.circuits.select_related("account")
        .filter(retired_at__isnull=True)
        .order_by("ip_address")
    )
    last = max(
        (circuit.last_reported_at for circuit in circuits if circuit.last_reported_at), default=None
    )
    number = meter_number(meter=found)
    # Without one the page would show those of all meters without one.
    texts = Message.objects.filter(number=number) if number else Message.objects.none()
    user = signed_in(request)
    context = {
        "section": "meters",
        "meter": found,
        "number": number,
        "device": RegisteredDevice.objects.filter(meter=found).first(),
        "charts_url": reverse("web:meter-series", args=[found.pk]),
        "span": span_get(request.GET.get("span", "")),
        "spans": list(SPANS.values()),
        "state": meter_state(found, last),
        "last_reported_at": last,
        "uptime": uptime_list(meter_ids=[found.pk])[found.pk] if last else None,
        "circuits": circuits,
        "households": [circuit for circuit in circuits if not circuit.is_main],
        "alerts": alert_list(meter=found, limit=RECENT),
        "texts": message_rows(texts.order_by("-pk")[:RECENT]),
        "jobs": Job.objects.filter(circuit__in=circuits)
        .select_related("circuit", "requested_by_user")
        .order_by("-pk")[:RECENT],
        "changes": found.change_sets.select_related("key", "changed_by").order_by("-changed_at")[
            :RECENT
        ],
        "may_send": user.may(Permission.SEND),
        "may_change": user.may(Permission.GRID) and found.retired_at is None,
    }
    return render(request, "web/meter.html", context)


@require_http_methods(["GET", "POST"])
@requires(Permission.GRID)
def meter_add(request: HttpRequest) -> HttpResponse:
    """A new meter with circuits, accounts and account numbers."""
    form = MeterForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        user = signed_in(request)
        try:
            made = meter_create(**form.cleaned_data, user=user)
        except UserError as error:
            form.add_error(None, error_text(error))
        else:
            audit(user=user, action="meter_create", target=f"meter {made.name}")
            messages.success(request, _("Meter %(name)s is made.") % {"name": made.name})
            return redirect("web:meter", made.pk)
    context = {"section": "meters", "form": form}
    return render(request, "web/meter_add.html", context, status=400 if form.errors else 200)


@require_http_methods(["GET", "POST"])
@requires(Permission.GRID)
def circuit_add(request: HttpRequest, meter_id: int) -> HttpResponse:
    """One more circuit on a meter, with its customer and account number."""
    found = get_object_or_404(Meter.objects.select_related("communication_interface"), pk=meter_id)
    if found.retired_at is not None:
        raise UserError(_("This meter is retired."))
    own = found.communication_interface
    gateway = texts_interface(interface=own) or own
    form = CircuitForm(request.POST or None, region=gateway.region, initial={"lang": gateway.lang})
    if request.method == "POST" and form.is_valid():
        user = signed_in(request)
        try:
            with transaction.atomic():
                made = circuit_create(
                    meter=found, account=form.save(), user=user, **form.circuit_facts()
                )
        except UserError as error:
            form.add_error(None, error_text(error))
        else:
            audit(user=user, action="circuit_create", target=f"circuit {made.pin}")
            messages.success(
                request,
                _("The circuit is added. Its account number is %(pin)s.") % {"pin": made.pin},
            )
            return redirect("web:circuit", made.pk)
    context = {"section": "meters", "meter": found, "form": form}
    return render(request, "web/circuit_add.html", context, status=400 if form.errors else 200)


@require_POST
@requires(Permission.SEND)
def meter_ping(request: HttpRequest, meter_id: int) -> HttpResponse:
    """Ask the meter whether it is there."""
    found = get_object_or_404(Meter, pk=meter_id)
    job = jobs_services.job_request(
        kind="mping", circuit=mains_get(meter=found), user=signed_in(request)
    )
    messages.success(request, _("The meter is asked; this page shows what it answers."))
    return redirect("web:job", job.pk)
