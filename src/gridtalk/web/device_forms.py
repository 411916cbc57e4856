"""Forms of the pages of registered devices."""

import json
from typing import Any

from django import forms
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from gridtalk.grid.models import Meter
from gridtalk.grid.services import MOST_CIRCUITS
from gridtalk.iottalk.models import RegisteredFeature
from gridtalk.iottalk.selectors import STATES
from gridtalk.web.forms import zone_choices
from gridtalk.web.words import DEVICE_EVENTS, DEVICE_STATES, choices

LONGEST_VALUE = 2000
MOST_METERS = 500
ALL_DAYS = "all"


def _free_meters() -> QuerySet[Meter]:
    """The meters that no device is bound to; the first of them where they are many."""
    free = Meter.objects.filter(retired_at__isnull=True, registered_device__isnull=True)
    first = free.order_by("name").values("pk")[:MOST_METERS]
    # A field looks a choice up in its query, which a query with a limit does not allow.
    return Meter.objects.filter(pk__in=first).order_by("name")


class DeviceFilterForm(forms.Form):
    """Which devices to list."""

    q = forms.CharField(label=gettext_lazy("Name, model or meter"), required=False, max_length=64)
    state = forms.ChoiceField(
        label=gettext_lazy("State"),
        required=False,
        choices=choices({name: DEVICE_STATES[name] for name in STATES}),
    )


class DeviceLogFilterForm(forms.Form):
    """Which lines of the devices' log to show."""

    q = forms.CharField(label=gettext_lazy("Name, model or meter"), required=False, max_length=64)
    kind = forms.ChoiceField(
        label=gettext_lazy("What"), required=False, choices=choices(DEVICE_EVENTS)
    )
    days = forms.ChoiceField(
        label=gettext_lazy("Time"),
        required=False,
        choices=[
            ("", gettext_lazy("last 7 days")),
            ("1", gettext_lazy("last 24 hours")),
            ("30", gettext_lazy("last 30 days")),
            (ALL_DAYS, gettext_lazy("all")),
        ],
    )


class BindForm(forms.Form):
    """The meter which a device is."""

    meter = forms.ModelChoiceField(label=gettext_lazy("Meter"), queryset=_free_meters())


class NewMeterForm(forms.Form):
    """A meter made of a device."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=64)
    circuits = forms.IntegerField(
        label=gettext_lazy("Consumers' circuits"), min_value=1, max_value=MOST_CIRCUITS, initial=2
    )
    time_zone = forms.ChoiceField(
        label=gettext_lazy("Time zone"), choices=zone_choices, initial="UTC"
    )
    location = forms.CharField(label=gettext_lazy("Place"), max_length=128, required=False)


class SendForm(forms.Form):
    """A value for each parameter of an ODF; one field with a JSON list where it names no types."""

    def __init__(self, *args: Any, feature: RegisteredFeature, **kwargs: Any) -> None:
        kwargs.setdefault("prefix", f"f{feature.pk}")
        super().__init__(*args, **kwargs)
        self.types = [str(one) for one in feature.params if isinstance(one, str)]
        if len(self.types) != len(feature.params):
            self.types = []
        if not self.types:
            self.fields["value"] = forms.CharField(
                label=_("Value"),
                max_length=LONGEST_VALUE,
                help_text=_("A number, a word, or a JSON list such as [1, 2]."),
            )
        for place, type_name in enumerate(self.types):
            self.fields[f"p{place}"] = _field(place, type_name)

    def value(self) -> list[Any]:
        """The list to send, once the form is valid."""
        if self.types:
            return [
                _plain(self.cleaned_data[f"p{place}"], name)
                for place, name in enumerate(self.types)
            ]
        text = self.cleaned_data["value"]
        try:
            read = json.loads(text, parse_constant=_refuse)
        except ValueError:
            read = text
        return read if isinstance(read, list) else [read]


def _field(place: int, type_name: str) -> forms.Field:
    label = f"{place + 1}: {type_name}"
    match type_name:
        case "int":
            return forms.IntegerField(label=label, min_value=-(2**53), max_value=2**53)
        case "float":
            return forms.FloatField(label=label, widget=forms.NumberInput(attrs={"step": "any"}))
        case "bool" | "boolean":
            return forms.BooleanField(label=label, required=False)
        case _:
            return forms.CharField(label=label, max_length=LONGEST_VALUE, required=False)


def _plain(value: Any, type_name: str) -> Any:
    if type_name in {"int", "float", "bool", "boolean", "string"}:
        return value
    try:
        return json.loads(value, parse_constant=_refuse)
    except ValueError:
        return value


def _refuse(name: str) -> None:
    raise ValueError(name)
