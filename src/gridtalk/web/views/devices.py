"""Registered devices: the list, one device with its live values, what is done with it."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from gridtalk.core.errors import Conflict, UserError
from gridtalk.devicetalk.services.versions import saved_versions_get
from gridtalk.grid.models import Meter
from gridtalk.iottalk.models import RegisteredDevice, RegisteredFeature
from gridtalk.iottalk.selectors import (
    FeatureFacts,
    device_event_list,
    feature_list,
    registered_device_list,
    registered_device_state,
)
from gridtalk.iottalk.services.binding import (
    device_approve,
    device_bind,
    device_features_missing,
    device_refuse,
    device_unbind,
    meter_for_device_create,
)
from gridtalk.iottalk.services.forgetting import device_forget
from gridtalk.iottalk.services.sends import METER_OUTPUTS, feature_send
from gridtalk.users.models import Permission
from gridtalk.users.permissions import requires, signed_in
from gridtalk.web.demo_door import Part, demo_ask, demo_only
from gridtalk.web.device_forms import BindForm, DeviceFilterForm, NewMeterForm, SendForm
from gridtalk.web.device_series import DEVICE_SPANS, charted, device_span_get, number_places
from gridtalk.web.words import error_text

DEVICES_PER_PAGE = 50
RECENT = 30
#: Outputs with a form to send to them; a device may have hundreds.
MOST_FORMS = 30
#: The demo waits for a pulled device to end.
PLUG_WITHIN_S = 15.0


@dataclass(frozen=True)
class FeatureRow:
    """A feature as the page shows it; to one that is ``reserved``, a meter's, nobody sends here."""

    facts: FeatureFacts
    values: list[Any]
    form: SendForm | None
    reserved: bool = False

    @property
    def feature(self) -> RegisteredFeature:
        """The feature itself."""
        return self.facts.feature


@require_safe
@requires(Permission.VIEW)
def devices(request: HttpRequest) -> HttpResponse:
    """All registered devices by name, those that wait for an approval first."""
    form = DeviceFilterForm(request.GET)
    form.is_valid()
    wanted = form.cleaned_data
    found = registered_device_list(search=wanted.get("q", ""), state=wanted.get("state", ""))
    page = Paginator(found, DEVICES_PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "section": "devices",
        "form": form,
        "filtered": bool(wanted.get("q") or wanted.get("state")),
        "page": page,
        "rows": [(device, registered_device_state(device)) for device in page.object_list],
        "server_v2": request.build_absolute_uri("/iottalk/v2"),
        "server_v1": request.build_absolute_uri("/iottalk/v1"),
    }
    return render(request, "web/devices/list.html", context)


@require_safe
@requires(Permission.VIEW)
def device(request: HttpRequest, device_id: int) -> HttpResponse:
    """One device: is it online, what does it say, which meter is it, what happened to it."""
    return _page(request, _device(device_id))


def _page(
    request: HttpRequest,
    found: RegisteredDevice,
    *,
    forms: dict[int, SendForm] | None = None,
    meter_form: NewMeterForm | None = None,
) -> HttpResponse:
    user = signed_in(request)
    may_send = user.may(Permission.SEND) and found.deregistered_at is None
    may_change = user.may(Permission.GRID)
    rows = _rows(found, forms or {}, may_send=may_send)
    events = device_event_list(device=found, limit=RECENT + 1)
    context = {
        "section": "devices",
        "device": found,
        "state": registered_device_state(found),
        "inputs": [row for row in rows if row.feature.kind == RegisteredFeature.Kind.IDF],
        "outputs": [row for row in rows if row.feature.kind == RegisteredFeature.Kind.ODF],
        "has_numbers": any(number_places(feature) for feature in charted(found)),
        "charts_url": reverse("web:device-series", args=[found.pk]),
        "span": device_span_get(request.GET.get("span", "")),
        "spans": list(DEVICE_SPANS.values()),
        "events": events[:RECENT],
        "more_events": len(events) > RECENT,
        # The address of a bound v2 device is a secret; who may bind devices may see it.
        "address": found.address if may_change else "",
        "may_send": may_send,
        "may_change": may_change,
        "missing": device_features_missing(device=found) if found.meter is None else [],
        "bind_form": BindForm() if may_change and found.meter is None else None,
        "meter_form": meter_form or NewMeterForm(initial={"name": found.name[:64]}),
        # Computed from what is stored: not for each look of a live page.
        "saved": None
        if request.headers.get("HX-Request")
        else saved_versions_get(device_address=found.address),
    }
    return render(
        request, "web/devices/device.html", context, status=400 if forms or meter_form else 200
    )


def _rows(
    found: RegisteredDevice, forms: dict[int, SendForm], *, may_send: bool
) -> list[FeatureRow]:
    rows: list[FeatureRow] = []
    for facts in feature_list(device=found):
        feature = facts.feature
        form = None
        is_output = feature.kind == RegisteredFeature.Kind.ODF
        reserved = is_output and found.meter_id is not None and feature.name in METER_OUTPUTS
        if is_output and may_send and not reserved and len(rows) < MOST_FORMS:
            form = forms.get(feature.pk) or SendForm(feature=feature)
        rows.append(FeatureRow(facts, feature.last_value or [], form, reserved))
    return rows


@require_POST
@requires(Permission.SEND)
def device_send(request: HttpRequest, device_id: int, feature_id: int) -> HttpResponse:
    """Send a value to one of the device's outputs."""
    found = _device(device_id)
    feature = get_object_or_404(found.features.filter(present=True), pk=feature_id)
    form = SendForm(request.POST, feature=feature)
    if form.is_valid():
        try:
            feature_send(feature=feature, value=form.value(), user=signed_in(request))
        except Conflict:
            # The page as it is now has no form to show it in: the device left, or became a meter's.
            raise
        except UserError as error:
            form.add_error(None, error_text(error))
        else:
            text = (
                _("Sent to %(name)s.")
                if found.online
                else _("It waits until the device is online.")
            )
            messages.success(request, text % {"name": feature.name})
            return redirect("web:device", found.pk)
    return _page(request, found, forms={feature.pk: form})


@require_POST
@requires(Permission.GRID)
def device_bind_to(request: HttpRequest, device_id: int) -> HttpResponse:
    """Make the device a meter."""
    found = _device(device_id)
    form = BindForm(request.POST)
    if not form.is_valid():
        raise UserError(_("Choose a meter that no device is bound to."))
    meter: Meter = form.cleaned_data["meter"]
    device_bind(device=found, meter=meter, user=signed_in(request))
    messages.success(
        request,
        _("%(device)s is now the meter %(meter)s.") % {"device": found.name, "meter": meter.name},
    )
    return redirect("web:device", found.pk)


@require_POST
@requires(Permission.GRID)
def device_meter_add(request: HttpRequest, device_id: int) -> HttpResponse:
    """Make a new meter, with its circuits, of the device."""
    found = _device(device_id)
    form = NewMeterForm(request.POST)
    if form.is_valid():
        try:
            made = meter_for_device_create(
                device=found, user=signed_in(request), **form.cleaned_data
            )
        except UserError as error:
            form.add_error(None, error_text(error))
        else:
            messages.success(request, _("Meter %(name)s is made.") % {"name": made.name})
            return redirect("web:meter", made.pk)
    return _page(request, found, meter_form=form)


@require_POST
@requires(Permission.GRID)
def device_free(request: HttpRequest, device_id: int) -> HttpResponse:
    """The device is no meter any more."""
    found = _device(device_id)
    device_unbind(device=found, user=signed_in(request))
    messages.success(request, _("%(name)s is no meter any more.") % {"name": found.name})
    return redirect("web:device", found.pk)


@require_POST
@requires(Permission.GRID)
def device_let_in(request: HttpRequest, device_id: int) -> HttpResponse:
    """Let a bound device register again without its key."""
    found = _device(device_id)
    device_approve(device=found, user=signed_in(request))
    messages.success(request, _("%(name)s may register again now.") % {"name": found.name})
    return redirect("web:device", found.pk)


@require_POST
@requires(Permission.GRID)
def device_keep_out(request: HttpRequest, device_id: int) -> HttpResponse:
    """Who asked to register without the device's key is somebody else."""
    found = _device(device_id)
    device_refuse(device=found, user=signed_in(request))
    messages.success(request, _("%(name)s goes on with its key.") % {"name": found.name})
    return redirect("web:device", found.pk)


@require_POST
@requires(Permission.GRID)
def device_remove(request: HttpRequest, device_id: int) -> HttpResponse:
    """Forget the device, with what it said."""
    found = _device(device_id)
    device_forget(device=found, user=signed_in(request))
    messages.success(request, _("%(name)s is forgotten.") % {"name": found.name})
    return redirect("web:devices")


@require_POST
@requires(Permission.SEND)
def device_plug(request: HttpRequest, device_id: int) -> HttpResponse:
    """In the demo alone: pull the plug of a device that runs beside it, or put it in again."""
    demo_only()
    found = _device(device_id)
    on = request.POST.get("plug") == "in"
    answer = demo_ask(
        part=Part.PLUGS,
        wanted={"address": found.address, "on": on},
        seconds=PLUG_WITHIN_S,
        silent=_("The demo does not answer: has “gridtalk demo” ended?"),
    )
    if answer.status != HTTPStatus.ACCEPTED:
        raise UserError(_("The demo does not run this device: its plug is elsewhere."))
    text = _("The plug is in: it starts.") if on else _("The plug is pulled: it has no power.")
    messages.success(request, text)
    return redirect("web:device", found.pk)


def _device(device_id: int) -> RegisteredDevice:
    return get_object_or_404(
        RegisteredDevice.objects.select_related("meter__communication_interface", "owner"),
        pk=device_id,
    )
