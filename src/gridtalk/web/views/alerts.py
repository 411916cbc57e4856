"""Alerts: what meters and the gateway noticed."""

from django.contrib import messages
from django.db.models import prefetch_related_objects
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from gridtalk.alerts.families import ALERTS
from gridtalk.alerts.models import Alert
from gridtalk.alerts.services import alert_acknowledge
from gridtalk.users.models import Permission
from gridtalk.users.permissions import requires, signed_in
from gridtalk.web.forms import AlertFilter
from gridtalk.web.paging import page_of


def _children(found: list[Alert]) -> list[Alert]:
    children = ALERTS.children(found)
    prefetch_related_objects(children, "meter", "circuit__account", "acknowledged_by")
    return children


@require_safe
@requires(Permission.VIEW)
def alerts(request: HttpRequest) -> HttpResponse:
    """Open alerts, or all, newest first."""
    form = AlertFilter(request.GET)
    form.is_valid()
    found = Alert.objects.all()
    if form.cleaned_data.get("show") != "all":
        found = found.filter(cleared_at__isnull=True)
    context = {
        "section": "alerts",
        "form": form,
        "page": page_of(request, found, finish=_children),
        "may_acknowledge": signed_in(request).may(Permission.SEND),
    }
    return render(request, "web/alerts.html", context)


@require_POST
@requires(Permission.SEND)
def alert_seen(request: HttpRequest, alert_id: int) -> HttpResponse:
    """Note that somebody has seen the alert and looks after it."""
    alert = get_object_or_404(Alert, pk=alert_id)
    alert_acknowledge(alert=alert, user=signed_in(request))
    messages.success(request, _("Noted: you have seen this alert."))
    return redirect("web:alerts")
