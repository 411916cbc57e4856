"""The log of devices: who registered, who was refused and why, what went wrong."""

from datetime import timedelta

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from gridtalk.core import clock
from gridtalk.iottalk.models import DeviceEvent
from gridtalk.iottalk.selectors import device_log
from gridtalk.users.models import Permission
from gridtalk.users.permissions import requires
from gridtalk.web.device_forms import ALL_DAYS, DeviceLogFilterForm
from gridtalk.web.paging import page_of

DEFAULT_DAYS = 7


@require_safe
@requires(Permission.VIEW)
def devices_log(request: HttpRequest) -> HttpResponse:
    """What happened to all devices, newest first, by what the filters say."""
    form = DeviceLogFilterForm(request.GET)
    valid = form.is_valid()
    found = DeviceEvent.objects.none()
    if valid:
        days = form.cleaned_data["days"]
        found = device_log(
            search=form.cleaned_data["q"],
            kind=form.cleaned_data["kind"],
            since=None
            if days == ALL_DAYS
            else clock.now() - timedelta(days=int(days or DEFAULT_DAYS)),
        )
    context = {
        "section": "devices",
        "form": form,
        "filtered": any(form.cleaned_data.values()),
        "page": page_of(request, found),
    }
    return render(request, "web/devices/log.html", context, status=200 if valid else 400)
