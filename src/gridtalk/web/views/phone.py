"""The demo's phone: a consumer's phone in the page, texting through the simulated network.

There only where the server runs for ``gridtalk demo`` (``GRIDTALK_DEMO_PHONES``). What is typed
goes to the network's process, which carries it as it carries every text: to the inbound address of
the server, over HTTP, in Kannel's form. Nothing here touches the gateway.
"""

import secrets
from dataclasses import dataclass
from decimal import Decimal
from http import HTTPStatus
from typing import Any

from django.db.models import F
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from gridtalk.core.errors import PeerError, UserError
from gridtalk.core.events import meter_topic, number_topic
from gridtalk.gateway.consumer.wire import WORDS
from gridtalk.grid.models import Circuit
from gridtalk.grid.selectors import meter_number
from gridtalk.messaging.models import CommunicationInterface, Message
from gridtalk.messaging.services import texts_interface
from gridtalk.prepaid.models import Token
from gridtalk.prepaid.services import token_batch_create
from gridtalk.users.models import Permission
from gridtalk.users.permissions import requires, signed_in
from gridtalk.web.demo_door import Part, demo_ask, demo_only

SHOWN = 40
CONSUMERS = 12
LONGEST_TEXT = 480
CARD_VALUE = Decimal(500)
CARDS_IN_A_BATCH = 50
#: A batch with fewer unused cards than this is left alone: two people might draw the same card.
FEWEST_LEFT = 10
CARDS_KEPT = 3
CARDS_NOTE = "scratch cards of the phone page"
TAKEN_WITHIN_S = 5.0
_SESSION = "phone_cards"


@dataclass(frozen=True)
class Sample:
    """Something to say, ready to be sent: what it does, and the text."""

    action: str
    text: str


def samples(circuit: Circuit, card: str) -> list[Sample]:
    """What this consumer may say, in their language, with their account number filled in."""
    lang = circuit.account.lang if circuit.account else "en"

    def word(action: str) -> str:
        words = WORDS[action]
        return next(found for key in (lang, "en", "") if (found := words.get(key)))[0]

    pin = circuit.pin
    found = [Sample("balance", f"{word('balance')} {pin}")]
    if card:
        found.append(Sample("add_credit", f"{word('add_credit')} {pin} {card}"))
    found += [Sample(action, f"{word(action)} {pin}") for action in ("turn_off", "turn_on")]
    return [*found, Sample("usage", f"{word('usage')} {pin}"), Sample("help", word("help"))]


def _consumers() -> list[Circuit]:
    return list(
        Circuit.objects.filter(
            is_main=False,
            retired_at__isnull=True,
            meter__retired_at__isnull=True,
            account__phone__gt="",
        )
        .select_related("account", "meter__communication_interface")
        # Those of the workshop's devices first: the villages have many.
        .order_by(F("meter__registered_device").asc(nulls_last=True), "meter_id", "ip_address")[
            :CONSUMERS
        ]
    )


@require_safe
@requires(Permission.MONEY)
def phone(request: HttpRequest) -> HttpResponse:
    """A consumer's phone: the conversation, what could be said, cards."""
    demo_only()
    consumers = _consumers()
    wanted = request.GET.get("circuit", "")
    chosen = next((one for one in consumers if str(one.pk) == wanted), None)
    chosen = chosen or (consumers[0] if consumers else None)
    cards = list(Token.objects.filter(number__in=request.session.get(_SESSION, [])).order_by("-pk"))
    fresh = next((card.number for card in cards if card.state == Token.State.NEW), "")
    context: dict[str, Any] = {
        "section": "phone",
        "consumers": consumers,
        "circuit": chosen,
        "cards": cards,
        "fresh": fresh,
        "longest": LONGEST_TEXT,
    }
    if chosen is not None and chosen.account is not None:
        number = chosen.account.phone
        gateway = _gateway(chosen)
        newest = Message.objects.filter(number=number, communication_interface=gateway).order_by(
            "-pk"
        )[:SHOWN]
        context |= {
            "gateway": gateway,
            "number": number,
            "zone": chosen.meter.time_zone,
            "topics": f"{number_topic(number)} {meter_topic(chosen.meter_id)} "
            f"{number_topic(meter_number(meter=chosen.meter))}",
            "conversation": list(reversed(newest)),
            "samples": samples(chosen, fresh),
        }
    return render(request, "web/phone.html", context)


@require_POST
@requires(Permission.MONEY)
def phone_say(request: HttpRequest) -> HttpResponse:
    """Let the consumer's phone send a text."""
    demo_only()
    circuit = _chosen(request)
    assert circuit.account is not None
    text = request.POST.get("text", "").strip()
    if not text or len(text) > LONGEST_TEXT:
        raise UserError(
            _("Type a text of at most %(n)d characters, for example: %(text)s")
            % {"n": LONGEST_TEXT, "text": samples(circuit, "")[0].text}
        )
    gateway = _gateway(circuit)
    answer = demo_ask(
        part=Part.PHONES,
        wanted={"from": circuit.account.phone, "to": gateway.phone, "text": text},
        seconds=TAKEN_WITHIN_S,
        silent=_("The simulated network does not answer: has “gridtalk demo” ended?"),
    )
    if answer.status != HTTPStatus.ACCEPTED:
        raise PeerError(_("The simulated network took no text: %(why)s") % {"why": _why(answer)})
    return redirect(_address(circuit))


@require_POST
@requires(Permission.MONEY)
def phone_card(request: HttpRequest) -> HttpResponse:
    """Buy a scratch card: a token that nobody else of the demo was given, most likely."""
    demo_only()
    circuit = _chosen(request)
    mine: list[str] = request.session.get(_SESSION, [])
    left = list(
        Token.objects.filter(batch__note=CARDS_NOTE, state=Token.State.NEW)
        .exclude(number__in=mine)
        .order_by("-pk")
        .values_list("number", flat=True)[:CARDS_IN_A_BATCH]
    )
    if len(left) < FEWEST_LEFT:
        batch = token_batch_create(
            count=CARDS_IN_A_BATCH, value=CARD_VALUE, user=signed_in(request), note=CARDS_NOTE
        )
        left = list(batch.tokens.values_list("number", flat=True))
    request.session[_SESSION] = [secrets.choice(left), *mine][:CARDS_KEPT]
    return redirect(_address(circuit))


def _chosen(request: HttpRequest) -> Circuit:
    wanted = request.POST.get("circuit", "")
    return get_object_or_404(
        Circuit.objects.select_related("account", "meter__communication_interface"),
        pk=wanted if wanted.isdecimal() and wanted.isascii() and len(wanted) < 10 else 0,
        account__phone__gt="",
    )


def _gateway(circuit: Circuit) -> CommunicationInterface:
    """The interface that the consumer texts: a meter that is a device has another for them."""
    own = circuit.meter.communication_interface
    if (found := texts_interface(interface=own)) is None:
        raise UserError(_("The interface “%(name)s” names none for SMS.") % {"name": own.name})
    return found


def _address(circuit: Circuit) -> str:
    return f"{reverse('web:phone')}?circuit={circuit.pk}"


def _why(answer: Any) -> str:
    return str(answer.data[:200].decode("utf-8", "replace"))
