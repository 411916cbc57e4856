"""Communication interfaces: how each fares, and new ones."""

from django.contrib import messages
from django.db import transaction
from django.db.models import Count, Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from gridtalk.core.errors import UserError
from gridtalk.messaging.interfaces.catalogue import provider
from gridtalk.messaging.models import CommunicationInterface
from gridtalk.messaging.services import (
    interface_create,
    interface_key_set,
    interface_set_up,
)
from gridtalk.users.audit import audit
from gridtalk.users.models import Permission
from gridtalk.users.permissions import requires, signed_in
from gridtalk.web.forms import INTERFACE_FORMS
from gridtalk.web.views.overview import interface_state
from gridtalk.web.words import error_text


@require_safe
@requires(Permission.VIEW)
def interfaces(request: HttpRequest) -> HttpResponse:
    """All interfaces with their state, their last error and what waits for them."""
    found = CommunicationInterface.objects.order_by("name").annotate(
        meter_count=Count("meters", filter=Q(meters__retired_at__isnull=True))
    )
    context = {
        "section": "interfaces",
        "rows": [(interface, interface_state(interface)) for interface in found],
        "kinds": [(kind, provider(kind).label) for kind in INTERFACE_FORMS],
        "may_change": signed_in(request).may(Permission.GRID),
    }
    return render(request, "web/interfaces.html", context)


@require_http_methods(["GET", "POST"])
@requires(Permission.GRID)
def interface_add(request: HttpRequest, kind: str) -> HttpResponse:
    """A new interface; its inbound key is shown once, in this answer alone."""
    if kind not in INTERFACE_FORMS:
        raise Http404
    form = INTERFACE_FORMS[kind](request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            with transaction.atomic():
                made, key = interface_create(kind=kind, **form.cleaned_data)
                audit(
                    user=signed_in(request),
                    action="interface_create",
                    target=f"interface {made.name}",
                    data={"kind": kind},
                )
        except UserError as error:
            form.add_error(None, error_text(error))
        else:
            if key:
                return _key_page(request, made, key)
            messages.success(request, _("%(name)s is made.") % {"name": made.name})
            return redirect("web:interfaces")
    context = {"section": "interfaces", "form": form, "label": provider(kind).label}
    return render(request, "web/interface_add.html", context, status=400 if form.errors else 200)


def _key_page(request: HttpRequest, interface: CommunicationInterface, key: str) -> HttpResponse:
    context = {
        "section": "interfaces",
        "interface": interface,
        "key": key,
        "lines": interface_set_up(interface=interface, key=key),
    }
    return render(request, "web/interface_key.html", context)


@require_POST
@requires(Permission.GRID)
def interface_key(request: HttpRequest, interface_id: int) -> HttpResponse:
    """A new inbound key, shown once; the old one ends."""
    found = get_object_or_404(CommunicationInterface, pk=interface_id)
    with transaction.atomic():
        key = interface_key_set(interface=found)
        audit(user=signed_in(request), action="interface_key_set", target=f"interface {found.name}")
    return _key_page(request, found, key)


@require_POST
@requires(Permission.GRID)
def interface_activity(request: HttpRequest, interface_id: int) -> HttpResponse:
    """Let the interface send and receive, or not."""
    found = get_object_or_404(CommunicationInterface, pk=interface_id)
    active = request.POST.get("active") == "yes"
    with transaction.atomic():
        CommunicationInterface.objects.filter(pk=found.pk).update(active=active)
        audit(
            user=signed_in(request),
            action="interface_activate" if active else "interface_deactivate",
            target=f"interface {found.name}",
        )
    text = _("%(name)s is active.") if active else _("%(name)s neither sends nor receives now.")
    messages.success(request, text % {"name": found.name})
    return redirect("web:interfaces")
