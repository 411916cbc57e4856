"""Messages: all that came and went, and one with what came of it."""

from datetime import timedelta
from typing import Any

from django.contrib import messages as notes
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from gridtalk.alerts.models import Alert
from gridtalk.core import clock, phones
from gridtalk.core.errors import UserError
from gridtalk.core.fields import id_at
from gridtalk.jobs.models import Job, JobMessage
from gridtalk.messaging.families import MESSAGES
from gridtalk.messaging.models import Message
from gridtalk.messaging.services import message_queue
from gridtalk.users.audit import audit
from gridtalk.users.models import Permission
from gridtalk.users.once import once
from gridtalk.users.permissions import requires, signed_in
from gridtalk.web.forms import MessageFilter, MessageForm
from gridtalk.web.paging import page_of
from gridtalk.web.rows import message_rows
from gridtalk.web.words import error_text

DEFAULT_DAYS = 7
RELATED = 50


@require_safe
@requires(Permission.VIEW)
def messages(request: HttpRequest) -> HttpResponse:
    """All messages, newest first, by what the filters say."""
    form = MessageFilter(request.GET)
    valid = form.is_valid()
    found = _filtered(form.cleaned_data) if valid else Message.objects.none()
    context = {
        "section": "messages",
        "form": form,
        "filtered": any(form.cleaned_data.values()),
        "page": page_of(
            request, found.select_related("communication_interface"), finish=message_rows
        ),
        "may_send": signed_in(request).may(Permission.SEND),
    }
    return render(request, "web/messages.html", context, status=200 if valid else 400)


def _filtered(data: dict[str, Any]) -> QuerySet[Message]:
    """The table is huge: number, interface, time have an index; the rest gets a span of time."""
    found = Message.objects.all()
    number = data["number"].strip()
    region = data["interface"].region if data["interface"] else ""
    if number:
        found = found.filter(number__in={number, phones.loose(number, region=region)})
    if data["interface"]:
        found = found.filter(communication_interface=data["interface"])
    if data["kind"]:
        found = found.filter(kind=data["kind"])
    if data["state"]:
        found = found.filter(state=data["state"])
    if data["failed"]:
        found = found.filter(Q(last_error__gt="") | Q(incomingmessage__error__gt=""))
    # Without any filter "all" costs no more than a week: pages go by key.
    narrow = data["kind"] or data["state"] or data["failed"]
    if data["days"] != "all" or (narrow and not number):
        days = 365 if data["days"] == "all" else int(data["days"] or DEFAULT_DAYS)
        found = found.filter(pk__gte=id_at(clock.now() - timedelta(days=days)))
    return found


@require_safe
@requires(Permission.VIEW)
def message(request: HttpRequest, message_id: int) -> HttpResponse:
    """One message: its delivery, its answers, what it asked for, what it was the answer to."""
    base = get_object_or_404(
        Message.objects.select_related("communication_interface"), pk=message_id
    )
    found = MESSAGES.child(base)
    context: dict[str, Any] = {
        "section": "messages",
        "row": message_rows([base])[0],
        "message_shown": found,
        "zone": "UTC",
    }
    if base.kind == "incoming":
        jobs = Job.objects.filter(incoming_id=base.pk).select_related("circuit__meter")
        context |= {
            "answers": message_rows(_interface_known(found.answers.order_by("pk")[:RELATED])),
            "carriers": message_rows(
                _interface_known(JobMessage.objects.filter(incoming_id=base.pk)[:RELATED])
            ),
            "jobs": jobs.order_by("pk")[:RELATED],
            "alerts": Alert.objects.filter(origin_message_id=base.pk)[:RELATED],
            "logs": found.logs.order_by("pk")[:RELATED].count(),
        }
    elif base.kind == "outgoing":
        context["asked"] = message_rows([found.incoming]) if found.incoming_id else []
    else:
        context["jobs"] = Job.objects.filter(pk=found.job_id).select_related("circuit__meter")
    return render(request, "web/message.html", context)


def _interface_known(found: QuerySet[Any]) -> QuerySet[Any]:
    return found.select_related("communication_interface")


@require_http_methods(["GET", "POST"])
@requires(Permission.SEND)
def message_send(request: HttpRequest) -> HttpResponse:
    """Send a text to a phone."""
    form = MessageForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        data, user = form.cleaned_data, signed_in(request)
        interface = data["communication_interface"]
        try:
            number = phones.parse(data["number"], region=interface.region)
        except UserError as error:
            form.add_error("number", error_text(error))
        else:
            done = once(
                user=user,
                key=data["once"],
                what=f"message {interface.pk} {number}",
                make=lambda: (
                    message_queue(interface=interface, number=number, text=data["text"]).pk
                ),
            )
            if done.first:
                audit(user=user, action="message_send", target=f"message {done.id}")
            notes.success(request, _("The text is on its way; this page shows what comes of it."))
            return redirect("web:message", done.id)
    context = {"section": "messages", "form": form}
    return render(request, "web/message_send.html", context, status=400 if form.errors else 200)
