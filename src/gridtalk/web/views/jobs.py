"""Jobs: what meters were told to do, and what came of it."""

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from gridtalk.grid.selectors import meter_number
from gridtalk.jobs import services as jobs_services
from gridtalk.jobs.credit import credit_confirm, credit_resend, credit_reverse
from gridtalk.jobs.families import JOBS
from gridtalk.jobs.models import Job
from gridtalk.jobs.selectors import job_rows
from gridtalk.prepaid.models import LedgerEntry
from gridtalk.users.models import Permission
from gridtalk.users.permissions import requires, signed_in
from gridtalk.web.forms import JobFilter, ReasonForm, ReverseForm
from gridtalk.web.paging import page_of
from gridtalk.web.rows import message_rows


@require_safe
@requires(Permission.VIEW)
def jobs(request: HttpRequest) -> HttpResponse:
    """All jobs, newest first."""
    form = JobFilter(request.GET)
    form.is_valid()
    state, kind = form.cleaned_data.get("state") or "", form.cleaned_data.get("kind") or ""
    # A table shows of the children the credit alone, so it is joined.
    found = job_rows(state=state, kind=kind).select_related(
        "circuit__meter", "requested_by_user", "addcredit"
    )
    context = {
        "section": "jobs",
        "form": form,
        "filtered": bool(state or kind),
        "page": page_of(request, found),
    }
    return render(request, "web/jobs.html", context)


def _job(job_id: int) -> Any:
    base = get_object_or_404(Job, pk=job_id)
    model = JOBS.model(base.kind)
    related = ["circuit__meter__communication_interface", "circuit__account", "incoming"]
    related += ["requested_by_user", "requested_by_device"]
    related += ["token__batch"] if base.kind == "add_credit" else []
    return model.objects.select_related(*related).get(pk=job_id)


@require_safe
@requires(Permission.VIEW)
def job(request: HttpRequest, job_id: int) -> HttpResponse:
    """One job: its life, its messages, and what a person can do where it hangs."""
    return _page(request, _job(job_id))


def _page(
    request: HttpRequest,
    found: Any,
    *,
    confirm_form: ReasonForm | None = None,
    resend_form: ReasonForm | None = None,
    reverse_form: ReverseForm | None = None,
) -> HttpResponse:
    user = signed_in(request)
    money = found.kind == "add_credit"
    never_left = found.state == Job.State.QUEUED and found.sent_at is None
    hangs = money and found.state in {Job.State.UNCONFIRMED, Job.State.FAILED}
    forms = (confirm_form, resend_form, reverse_form)
    failed = any(form is not None and form.errors for form in forms)
    context = {
        "section": "jobs",
        "job": found,
        "circuit": found.circuit,
        "meter": found.circuit.meter,
        "number": meter_number(meter=found.circuit.meter),
        "zone": found.circuit.meter.time_zone,
        "texts": message_rows(
            found.job_messages.select_related("communication_interface").order_by("-pk")[:50]
        ),
        "entries": LedgerEntry.objects.filter(job_id=found.pk)
        .select_related("user")
        .order_by("pk"),
        "confirm_form": confirm_form or ReasonForm(prefix="confirm"),
        "resend_form": resend_form or ReasonForm(prefix="resend"),
        "reverse_form": reverse_form or ReverseForm(prefix="reverse"),
        "may_confirm": money
        and found.state == Job.State.UNCONFIRMED
        and user.may(Permission.MONEY),
        "may_resend": hangs and user.may(Permission.MONEY),
        "may_reverse": (hangs or (money and never_left)) and user.may(Permission.MONEY),
        "may_cancel": not money and never_left and user.may(Permission.SEND),
        "applied_twice_possible": found.state == Job.State.UNCONFIRMED
        and not found.circuit.meter.knows_job_ids,
    }
    return render(request, "web/job.html", context, status=400 if failed else 200)


@require_POST
@requires(Permission.MONEY)
def job_confirm(request: HttpRequest, job_id: int) -> HttpResponse:
    """Note that the meter has the credit, though it never said so, with a reason."""
    found = _job(job_id)
    form = ReasonForm(request.POST, prefix="confirm")
    if not form.is_valid():
        return _page(request, found, confirm_form=form)
    credit_confirm(job=found, user=signed_in(request), reason=form.cleaned_data["reason"])
    messages.success(request, _("The credit is confirmed."))
    return redirect("web:job", found.pk)


@require_POST
@requires(Permission.MONEY)
def job_resend(request: HttpRequest, job_id: int) -> HttpResponse:
    """Send credit again that did not arrive, with a reason."""
    found = _job(job_id)
    form = ReasonForm(request.POST, prefix="resend")
    if not form.is_valid():
        return _page(request, found, resend_form=form)
    credit_resend(job=found, user=signed_in(request), reason=form.cleaned_data["reason"])
    messages.success(request, _("The credit is sent again."))
    return redirect("web:job", found.pk)


@require_POST
@requires(Permission.MONEY)
def job_reverse(request: HttpRequest, job_id: int) -> HttpResponse:
    """Take credit back that did not arrive, with a reason; a new token is shown once."""
    found = _job(job_id)
    form = ReverseForm(request.POST, prefix="reverse")
    if not form.is_valid():
        return _page(request, found, reverse_form=form)
    token = credit_reverse(
        job=found,
        user=signed_in(request),
        reason=form.cleaned_data["reason"],
        new_token=form.cleaned_data["new_token"],
    )
    if token is None:
        messages.success(request, _("The credit is reversed."))
        return redirect("web:job", found.pk)
    context = {"section": "jobs", "job": found, "token": token}
    return render(request, "web/token_once.html", context)


@require_POST
@requires(Permission.SEND)
def job_cancel(request: HttpRequest, job_id: int) -> HttpResponse:
    """Take back a job that no provider has yet."""
    found = Job.objects.filter(pk=job_id).first()
    if found is None:
        raise Http404
    jobs_services.job_cancel(job=found, user=signed_in(request))
    messages.success(request, _("The job is taken back."))
    return redirect("web:job", job_id)
