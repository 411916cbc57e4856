"""Tags of our pages: states, times, amounts, fields."""

import json
from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from django import template
from django.forms import BoundField
from django.utils.formats import number_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from gridtalk.core import clock
from gridtalk.telemetry.selectors import Uptime
from gridtalk.web import frontend
from gridtalk.web.words import STATES, WORDS, Word

register = template.Library()

#: An en dash: there is nothing to show.
NOTHING = "\N{EN DASH}"
#: Between a number and its unit.
NARROW = "\N{NARROW NO-BREAK SPACE}"
#: Of a text that a device says, so many characters are shown.
LONGEST_VALUE = 120
_UNKNOWN = Word("?", "question", "warn")


@register.simple_tag
def icon(name: str) -> SafeString:
    """An icon of our sprite; decoration: the word stands beside it."""
    return format_html(
        '<svg class="icon" aria-hidden="true" focusable="false"><use href="{}#{}"></use></svg>',
        frontend.entry("icons").script,
        name,
    )


@register.simple_tag
def entry(name: str) -> SafeString:
    """The style sheets and the script of an entry of ``frontend/src``; for the page's head."""
    built = frontend.entry(name)
    styles = format_html_join(
        "\n", '<link rel="stylesheet" href="{}">', ((href,) for href in built.styles)
    )
    imports = format_html_join(
        "\n", '<link rel="modulepreload" href="{}">', ((href,) for href in built.imports)
    )
    script = (
        format_html('<script type="module" src="{}"></script>', built.script)
        if built.script
        else ""
    )
    return format_html("{}{}{}", styles, imports, script)


@register.simple_tag
def entry_first(name: str) -> SafeString | str:
    """The script of an entry that must run before anything is drawn."""
    built = frontend.entry(name)
    return format_html('<script src="{}"></script>', built.script) if built.script else ""


@register.filter
def control(field: BoundField) -> SafeString:
    """The field's widget with the kit's classes, and all that Django says of it."""
    kind = field.widget_type
    if kind in {"checkboxselectmultiple", "radioselect"}:
        css = "choices"  # Django gives it to the list and to each of its boxes
    elif kind == "checkbox":
        css = "form-check-input"
    elif kind in {"select", "selectmultiple", "nullbooleanselect"}:
        css = "form-select"
    else:
        css = "form-control"
    if field.errors:
        css += " is-invalid"
    return field.as_widget(attrs={"class": css})


@register.simple_tag
def state(family: str, value: object) -> SafeString:
    """A state as icon, word and colour."""
    word = STATES[family].get(str(value), _UNKNOWN)
    return format_html(
        '<span class="state {}">{}<span>{}</span></span>', word.tone, icon(word.icon), word.text
    )


@register.simple_tag
def word(family: str, value: object) -> str:
    """The word for a kind; an unknown kind is shown as it is."""
    return str(WORDS[family].get(str(value), value))


def relative(instant: datetime) -> str:
    """How long ago, or how far ahead, in one unit."""
    seconds = (clock.now() - instant).total_seconds()
    ahead, seconds = seconds < 0, abs(seconds)
    if seconds < 45:
        return _("now")
    if seconds < 90 * 60:
        number = max(1, round(seconds / 60))
        text = ngettext("%(n)d minute", "%(n)d minutes", number)
    elif seconds < 36 * 3600:
        number = round(seconds / 3600)
        text = ngettext("%(n)d hour", "%(n)d hours", number)
    elif seconds < 60 * 86400:
        number = round(seconds / 86400)
        text = ngettext("%(n)d day", "%(n)d days", number)
    else:
        number = round(seconds / (30.44 * 86400))
        text = ngettext("%(n)d month", "%(n)d months", number)
    return (_("in %(span)s") if ahead else _("%(span)s ago")) % {"span": text % {"n": number}}


@register.simple_tag
def when(instant: datetime | None, zone: str = "UTC", never: str = NOTHING) -> SafeString | str:
    """A relative time, with the exact one in that zone at hand."""
    if instant is None:
        return never
    exact = f"{instant.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M:%S} {zone}"
    return format_html(
        '<time datetime="{}" title="{}">{}</time>', instant.isoformat(), exact, relative(instant)
    )


@register.simple_tag
def exact(instant: datetime | None, zone: str = "UTC", never: str = NOTHING) -> SafeString | str:
    """An exact time in that zone, with the relative one at hand."""
    if instant is None:
        return never
    return format_html(
        '<time datetime="{}" title="{} ({})">{}</time>',
        instant.isoformat(),
        relative(instant),
        zone,
        f"{instant.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}",
    )


@register.filter
def amount(value: Decimal | None) -> str:
    """An amount of credit with two decimals and groups of three."""
    return NOTHING if value is None else number_format(value, 2, force_grouping=True)


@register.filter
def count(value: int) -> str:
    """A whole number with groups of three."""
    return number_format(value, 0, force_grouping=True)


@register.filter
def dfvalue(value: object) -> str:
    """A value of a device feature: numbers as the page's language writes them, texts cut."""
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, int | float):
        return number_format(f"{value:.6g}" if isinstance(value, float) else value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"


@register.simple_tag
def uptime(value: Uptime | None) -> SafeString | str:
    """An uptime in per cent, with its hours at hand."""
    if value is None:
        return NOTHING
    hours = _("reports in %(hours)d of the last %(of)d hours") % {
        "hours": value.hours,
        "of": value.of,
    }
    # Rounded down: 100 % is every hour.
    percent = number_format(int(value.share * 100), 0)
    return format_html('<span title="{}">{}{}%</span>', hours, percent, NARROW)


@register.filter
def duration(seconds: float) -> str:
    """Seconds as hours and minutes; what is under a minute, as seconds."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole}{NARROW}s"
    hours, rest = divmod(whole // 60, 60)
    return f"{hours}{NARROW}h {rest:02d}{NARROW}min" if hours else f"{rest}{NARROW}min"


@register.filter
def minutes(value: timedelta) -> int:
    """A span in whole minutes, rounded up."""
    return -int(-value.total_seconds() // 60)
