"""One circuit: what it is, what it reported, what was paid, and what a person can do to it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from gridtalk.alerts.selectors import alert_list
from gridtalk.core import clock
from gridtalk.core.errors import UserError
from gridtalk.grid.models import Circuit
from gridtalk.grid.selectors import meter_number
from gridtalk.jobs import services as jobs_services
from gridtalk.jobs.credit import credit_add
from gridtalk.jobs.models import Job
from gridtalk.messaging.services import texts_interface
from gridtalk.prepaid.models import LedgerAccount, LedgerEntry
from gridtalk.telemetry.models import PrimaryLog
from gridtalk.users.audit import audit
from gridtalk.users.models import Permission
from gridtalk.users.once import once
from gridtalk.users.permissions import requires, signed_in
from gridtalk.web.forms import AccountForm, CreditForm
from gridtalk.web.series import SPANS, span_get

LOGS_SHOWN = 24
#: How far back the reports on this page go: a span lets PostgreSQL open few partitions.
LOGS_SPAN = timedelta(days=14)
RECENT = 20
KINDS = {"turn_on", "turn_off", "cping"}


@dataclass(frozen=True)
class LedgerLine:
    """A ledger row as the circuit sees it: positive what came, negative what went."""

    entry: LedgerEntry
    amount: Decimal


def _circuit(circuit_id: int) -> Circuit:
    return get_object_or_404(
        Circuit.objects.select_related("meter__communication_interface", "account"), pk=circuit_id
    )


def ledger_lines(circuit: Circuit) -> list[LedgerLine]:
    """The newest ledger rows of a circuit."""
    account = LedgerAccount.objects.filter(circuit=circuit).first()
    if account is None:
        return []
    lines = []
    # Two index scans that stop at RECENT rows; one with OR would read all of a circuit's rows.
    for column, sign in (("credit_account", 1), ("debit_account", -1)):
        entries = (
            LedgerEntry.objects.filter(**{column: account})
            .select_related("user")
            .order_by("-occurred_at", "-pk")[:RECENT]
        )
        lines += [LedgerLine(entry=entry, amount=sign * entry.amount) for entry in entries]
    lines.sort(key=lambda line: (line.entry.occurred_at, line.entry.pk), reverse=True)
    return lines[:RECENT]


def last_logs(circuit: Circuit) -> list[Any]:
    """The newest reports of a circuit, at most :data:`LOGS_SHOWN` of the last two weeks."""
    now = clock.now()
    span: tuple[datetime, datetime] = (now - LOGS_SPAN, now + timedelta(days=1))
    return list(
        PrimaryLog.objects.filter(circuit=circuit, meter_time__range=span)
        .order_by("-meter_time")
        .values("meter_time", "watthours", "use_time_s", "status", "credit", "clock_ahead")[
            :LOGS_SHOWN
        ]
    )


@require_safe
@requires(Permission.VIEW)
def circuit(request: HttpRequest, circuit_id: int) -> HttpResponse:
    """The circuit's page."""
    return _page(request, _circuit(circuit_id), CreditForm())


def _page(request: HttpRequest, found: Circuit, credit_form: CreditForm) -> HttpResponse:
    user = signed_in(request)
    context = {
        "section": "meters",
        "circuit": found,
        "meter": found.meter,
        "number": meter_number(meter=found.meter),
        "zone": found.meter.time_zone,
        "charts_url": reverse("web:circuit-series", args=[found.pk]),
        "span": span_get(request.GET.get("span", "")),
        "spans": list(SPANS.values()),
        "jobs": Job.objects.filter(circuit=found)
        .select_related("requested_by_user", "addcredit")
        .order_by("-pk")[:RECENT],
        "logs": last_logs(found),
        "ledger": ledger_lines(found),
        "alerts": alert_list(circuit=found, limit=RECENT),
        "credit_form": credit_form,
        "may_send": user.may(Permission.SEND) and found.retired_at is None,
        "may_credit": user.may(Permission.MONEY) and not found.is_main and found.retired_at is None,
        "may_change": user.may(Permission.GRID) and found.account is not None,
    }
    status = 400 if credit_form.errors else 200
    return render(request, "web/circuit.html", context, status=status)


@require_POST
@requires(Permission.SEND)
def circuit_job(request: HttpRequest, circuit_id: int) -> HttpResponse:
    """Switch the circuit on or off, or ask for its state."""
    kind = request.POST.get("kind", "")
    if kind not in KINDS:
        raise UserError(_("Choose what to do: turn on, turn off or ping."))
    job = jobs_services.job_request(
        kind=kind, circuit=_circuit(circuit_id), user=signed_in(request)
    )
    messages.success(request, _("The meter is told; this page shows what it answers."))
    return redirect("web:job", job.pk)


@require_POST
@requires(Permission.MONEY)
def circuit_credit(request: HttpRequest, circuit_id: int) -> HttpResponse:
    """Give the circuit credit without a token."""
    found = _circuit(circuit_id)
    form = CreditForm(request.POST)
    if not form.is_valid():
        return _page(request, found, form)
    user = signed_in(request)
    amount, reason = form.cleaned_data["amount"], form.cleaned_data["reason"]
    done = once(
        user=user,
        key=form.cleaned_data["once"],
        what=f"credit {found.pk} {amount}",
        make=lambda: credit_add(circuit=found, amount=amount, user=user, reason=reason).pk,
    )
    if done.first:
        messages.success(request, _("The credit is on its way to the meter."))
    else:
        messages.warning(request, _("This was asked for before; nothing was added a second time."))
    return redirect("web:job", done.id)


@require_http_methods(["GET", "POST"])
@requires(Permission.GRID)
def account_edit(request: HttpRequest, circuit_id: int) -> HttpResponse:
    """Change the customer of a circuit."""
    found = _circuit(circuit_id)
    account = found.account
    if account is None:
        raise UserError(_("This circuit has no customer."))
    own = found.meter.communication_interface
    region = (texts_interface(interface=own) or own).region
    form = AccountForm(request.POST or None, instance=account, region=region)
    if request.method == "POST" and form.is_valid():
        changed = {name: str(form.cleaned_data[name]) for name in form.changed_data}
        form.save()
        audit(
            user=signed_in(request),
            action="account_edit",
            target=f"account {account.pk}",
            data=changed,
        )
        messages.success(request, _("Saved."))
        return redirect("web:circuit", found.pk)
    context = {"section": "meters", "circuit": found, "meter": found.meter, "form": form}
    return render(request, "web/account_edit.html", context, status=400 if form.errors else 200)
