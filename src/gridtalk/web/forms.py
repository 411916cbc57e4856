"""Forms: what people may enter, checked before a service sees it."""

import secrets
from decimal import Decimal
from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.utils.translation import gettext_lazy as _

from gridtalk.core import phones
from gridtalk.core.errors import UserError
from gridtalk.grid.models import Account
from gridtalk.grid.services import LONGEST_PIN, MOST_CIRCUITS
from gridtalk.messaging.interfaces.base import Way
from gridtalk.messaging.interfaces.catalogue import kinds
from gridtalk.messaging.models import CommunicationInterface, Language
from gridtalk.prepaid.services import MOST_TOKENS
from gridtalk.users.models import Group, Permission, User
from gridtalk.users.permissions import DEEDS
from gridtalk.web.words import (
    INTERFACE_KINDS,
    JOB_KINDS,
    JOB_STATES,
    MESSAGE_KINDS,
    MESSAGE_STATES,
    choices,
    error_text,
)


def zone_choices() -> list[tuple[str, str]]:
    """The time zones that a form offers."""
    names = sorted(name for name in available_timezones() if "/" in name or name == "UTC")
    return [(name, name) for name in names if not name.startswith(("Etc/", "posix/", "right/"))]


def money_input(label: Any, **options: Any) -> forms.DecimalField:
    """A field for a positive amount with two decimals."""
    options.setdefault("min_value", Decimal("0.01"))
    return forms.DecimalField(label=label, max_digits=16, decimal_places=2, **options)


def reason_input() -> forms.CharField:
    """A field for the reason of what is done with money."""
    return forms.CharField(
        label=_("Reason"),
        max_length=500,
        help_text=_("It is kept in the audit trail."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )


def interface_input(label: Any, **options: Any) -> forms.ModelChoiceField[CommunicationInterface]:
    """A field for an active interface to phones; where there is but one, it is chosen already."""
    active = (
        CommunicationInterface.objects.filter(active=True)
        .exclude(kind__in=kinds(Way.DEVICES))
        .order_by("name")
    )

    def the_only_one() -> int | None:
        found = list(active.values_list("pk", flat=True)[:2])
        return found[0] if len(found) == 1 else None

    field = forms.ModelChoiceField(label=label, queryset=active, empty_label=_("choose"), **options)
    field.initial = the_only_one  # given at once, Django would take the empty choice away
    return field


class OnceForm(forms.Form):
    """A form whose deed is done once, however often its button is pressed."""

    once = forms.CharField(
        max_length=64, widget=forms.HiddenInput, initial=lambda: secrets.token_urlsafe(16)
    )


class ProfileForm(forms.ModelForm[User]):
    """What a user may change of themselves."""

    class Meta:
        model = User
        fields = ["email", "notify"]
        labels = {"email": _("E-mail"), "notify": _("Send me mail about alerts")}
        help_texts = {"notify": ""}

    def clean(self) -> dict[str, Any]:
        """Mail needs an address."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if cleaned.get("notify") and not cleaned.get("email"):
            self.add_error("email", _("Mail about alerts needs an address."))
        return cleaned


class UserForm(forms.Form):
    """A new user."""

    name = forms.CharField(
        label=_("Name"), max_length=64, help_text=_("They sign in with it, letters as written.")
    )
    group = forms.ModelChoiceField(
        label=_("Group"), queryset=Group.objects.order_by("name"), empty_label=_("choose")
    )
    email = forms.EmailField(label=_("E-mail"), required=False)

    def clean_name(self) -> str:
        """The name is unique."""
        name: str = self.cleaned_data["name"]
        if User.objects.filter(name=name).exists():
            raise forms.ValidationError(_("There is a user with this name already."))
        return name


class UserGroupForm(forms.Form):
    """Another group for a user."""

    group = forms.ModelChoiceField(label=_("Group"), queryset=Group.objects.order_by("name"))


class GroupForm(forms.Form):
    """A group's permissions."""

    permissions = forms.MultipleChoiceField(
        label=_("Members may"),
        choices=[(permission.value, deed) for permission, deed in DEEDS.items()],
        required=False,
        initial=[Permission.VIEW],
        widget=forms.CheckboxSelectMultiple,
    )


class NewGroupForm(GroupForm):
    """A new group."""

    name = forms.CharField(label=_("Name"), max_length=64)
    field_order = ["name", "permissions"]


class ApiKeyForm(forms.Form):
    """A new API key."""

    name = forms.CharField(
        label=_("What it is for"), max_length=64, help_text=_("To tell it from others later.")
    )


class FindForm(forms.Form):
    """A word to look for among the meters and circuits."""

    q = forms.CharField(
        label=_("Meter, phone, place or account number"), required=False, max_length=64
    )


class MeterForm(forms.Form):
    """A new meter with its circuits."""

    name = forms.CharField(label=_("Name"), max_length=64, help_text=_("For example ml05."))
    phone = forms.CharField(
        label=_("Phone number of its SIM"),
        max_length=32,
        help_text=_("With its country, for example +22370008888."),
        widget=forms.TextInput(attrs={"inputmode": "tel", "autocomplete": "off"}),
    )
    communication_interface = interface_input(
        _("Interface"), help_text=_("How the gateway reaches the meter and its consumers.")
    )
    location = forms.CharField(label=_("Place"), max_length=128, required=False)
    time_zone = forms.ChoiceField(
        label=_("Time zone"),
        choices=zone_choices,
        initial="Africa/Bamako",
        help_text=_("In which the meter tells the time."),
    )
    circuits = forms.IntegerField(
        label=_("Number of consumers' circuits"),
        min_value=0,
        max_value=MOST_CIRCUITS,
        initial=20,
        help_text=_("The mains comes by itself. Each gets an account number."),
    )
    lang = forms.ChoiceField(label=_("Language of the consumers"), choices=Language.choices)
    energy_max = forms.IntegerField(
        label=_("Energy limit of a circuit, Wh a day"), min_value=0, max_value=100_000, initial=500
    )
    power_max = forms.IntegerField(
        label=_("Power limit of a circuit, W"), min_value=0, max_value=100_000, initial=100
    )
    low_credit_threshold = money_input(
        _("Credit under which a consumer is warned"), min_value=Decimal(0), initial=Decimal("0.00")
    )
    knows_job_ids = forms.BooleanField(
        label=_("It remembers applied jobs over a power cut"),
        required=False,
        help_text=_(
            "Then credit may be sent again by itself. The meters of 2012 do not: leave it off."
        ),
    )


class AccountForm(forms.ModelForm[Account]):
    """The customer behind a circuit."""

    class Meta:
        model = Account
        fields = ["name", "phone", "secondary_phone", "lang", "notes"]
        labels = {
            "name": _("Name"),
            "phone": _("Phone"),
            "secondary_phone": _("Second phone"),
            "lang": _("Language of their texts"),
            "notes": _("Notes"),
        }
        help_texts = {"phone": _("With its country, for example +22370008888.")}
        widgets = {"notes": forms.Textarea(attrs={"rows": 2})}

    def __init__(self, *args: Any, region: str = "", **kwargs: Any) -> None:
        self.region = region
        super().__init__(*args, **kwargs)

    def _number(self, name: str) -> str:
        text: str = self.cleaned_data[name]
        if not text.strip():
            return ""
        try:
            return phones.parse(text, region=self.region)
        except UserError as error:
            raise forms.ValidationError(error_text(error)) from error

    def clean_phone(self) -> str:
        """The number in E.164."""
        return self._number("phone")

    def clean_secondary_phone(self) -> str:
        """The number in E.164."""
        return self._number("secondary_phone")


class CircuitForm(AccountForm):
    """One more circuit of a meter, and the customer behind it."""

    power_max = forms.IntegerField(
        label=_("Power limit, W"), min_value=0, max_value=100_000, initial=100
    )
    energy_max = forms.IntegerField(
        label=_("Energy limit, Wh a day"), min_value=0, max_value=100_000, initial=500
    )
    number = forms.IntegerField(
        label=_("Number on the meter"),
        required=False,
        min_value=1,
        max_value=MOST_CIRCUITS,
        help_text=_("1 is 192.168.1.201, and so on. Leave it empty for the next free one."),
    )
    pin = forms.CharField(
        label=_("Account number"),
        required=False,
        max_length=LONGEST_PIN,
        help_text=_("Leave it empty to have one drawn; enter an old one to keep it."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    class Meta(AccountForm.Meta):
        fields = ["name", "phone", "lang"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"].required = True
        self.fields["name"].label = _("Customer")

    def circuit_facts(self) -> dict[str, Any]:
        """What belongs to the circuit, not to the customer."""
        return {name: self.cleaned_data[name] for name in self.declared_fields}


class CreditForm(OnceForm):
    """Credit given without a token."""

    amount = money_input(_("Credit"))
    reason = reason_input()


class ReasonForm(forms.Form):
    """Why something is done."""

    reason = reason_input()


class ReverseForm(ReasonForm):
    """Why a credit is taken back, and whether the consumer gets another token."""

    new_token = forms.BooleanField(
        label=_("Make a new token of the same value for the consumer"), required=False, initial=True
    )


class TokenBatchForm(OnceForm):
    """A new batch of tokens."""

    count = forms.IntegerField(label=_("How many"), min_value=1, max_value=MOST_TOKENS, initial=100)
    value = money_input(_("Worth each"))
    note = forms.CharField(label=_("Note"), max_length=500, required=False)


class TokenVoidForm(ReasonForm):
    """Which token is made worthless, and why."""

    number = forms.RegexField(
        label=_("Number of the token"),
        regex=r"^[0-9 ]{4,30}$",
        error_messages={"invalid": _("A token's number is digits only.")},
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"}),
    )
    field_order = ["number", "reason"]


class MessageForm(OnceForm):
    """A text to a phone."""

    number = forms.CharField(
        label=_("To the number"),
        max_length=32,
        help_text=_("With its country, for example +22370008888."),
        widget=forms.TextInput(attrs={"inputmode": "tel", "autocomplete": "off"}),
    )
    communication_interface = interface_input(_("By the interface"))
    text = forms.CharField(
        label=_("Text"), max_length=1000, widget=forms.Textarea(attrs={"rows": 3})
    )


class MessageFilter(forms.Form):
    """Which messages to show."""

    number = forms.CharField(label=_("Number"), required=False, max_length=64)
    interface = forms.ModelChoiceField(
        label=_("Interface"),
        queryset=CommunicationInterface.objects.order_by("name"),
        required=False,
        empty_label=_("all"),
    )
    kind = forms.ChoiceField(label=_("Direction"), choices=choices(MESSAGE_KINDS), required=False)
    state = forms.ChoiceField(label=_("State"), choices=choices(MESSAGE_STATES), required=False)
    days = forms.ChoiceField(
        label=_("Time"),
        required=False,
        choices=[
            ("", _("last 7 days")),
            ("1", _("last 24 hours")),
            ("30", _("last 30 days")),
            ("all", _("all")),
        ],
    )
    failed = forms.BooleanField(label=_("only errors"), required=False)


class JobFilter(forms.Form):
    """Which jobs to show."""

    state = forms.ChoiceField(label=_("State"), choices=choices(JOB_STATES), required=False)
    kind = forms.ChoiceField(label=_("Kind"), choices=choices(JOB_KINDS), required=False)


class AlertFilter(forms.Form):
    """Which alerts to show."""

    show = forms.ChoiceField(
        label=_("Show"), choices=[("", _("open ones")), ("all", _("all"))], required=False
    )


class InterfaceForm(forms.Form):
    """What every interface has."""

    name = forms.CharField(label=_("Name"), max_length=64)
    provider = forms.CharField(
        label=_("Provider"), max_length=64, required=False, help_text=_("For example Orange Mali.")
    )
    phone = forms.CharField(label=_("Our number there"), max_length=32, required=False)
    region = forms.RegexField(
        label=_("Country"),
        regex=r"^[A-Za-z]{2}$",
        required=False,
        help_text=_("Two letters, for example ML: numbers without a country are read in it."),
        error_messages={"invalid": _("Two letters, for example ML.")},
    )
    lang = forms.ChoiceField(label=_("Language of answers"), choices=Language.choices)

    def clean_region(self) -> str:
        """Countries are written in capitals."""
        return str(self.cleaned_data["region"]).upper()


class KannelForm(InterfaceForm):
    """A Kannel SMS gateway."""

    host = forms.CharField(label=_("Host of its smsbox"), max_length=255)
    port = forms.IntegerField(label=_("Port"), min_value=1, max_value=65535, initial=13013)
    username = forms.CharField(label=_("Its sendsms user"), max_length=64)
    password = forms.CharField(
        label=_("Password"),
        max_length=255,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )


class NetbookForm(InterfaceForm):
    """A modem beside a small computer which polls us."""


class DevicesForm(forms.Form):
    """Meters that are devices of this server."""

    name = forms.CharField(label=_("Name"), max_length=64)
    sms_interface = interface_input(
        _("SMS to their consumers go through"),
        help_text=_("A device is no phone: their consumers are texted through this interface."),
    )


INTERFACE_FORMS: dict[str, type[forms.Form]] = {
    "kannel": KannelForm,
    "netbook": NetbookForm,
    "iottalk": DevicesForm,
}
assert INTERFACE_FORMS.keys() <= INTERFACE_KINDS.keys()
