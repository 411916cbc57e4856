"""All kinds of communication interface, in one explicit list. A new one is added here.

``docs/howto/add-a-provider.md`` names the files. The sweep in ``test_catalogue.py`` holds every
member to the contract of :class:`gridtalk.messaging.interfaces.base.Provider`.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from django.core.exceptions import ImproperlyConfigured

from gridtalk.messaging.interfaces.base import Provider, Way
from gridtalk.messaging.interfaces.iottalk.provider import IoTtalk
from gridtalk.messaging.interfaces.kannel.provider import Kannel
from gridtalk.messaging.interfaces.netbook.provider import Netbook


class Twilio(Provider):
    """Twilio: its table is there, its sending is not."""

    kind = "twilio"
    label = "Twilio"


class Airtel(Provider):
    """Airtel: its table is there, its sending is not."""

    kind = "airtel"
    label = "Airtel"


class Yo(Provider):
    """Yo! Uganda: its table is there, its sending is not."""

    kind = "yo"
    label = "Yo! Uganda"


PROVIDERS: tuple[Provider, ...] = (Kannel(), Netbook(), Twilio(), Airtel(), Yo(), IoTtalk())


def by_kind(providers: Iterable[Provider]) -> Mapping[str, Provider]:
    """The providers by kind; :class:`ImproperlyConfigured` where two claim one kind."""
    found: dict[str, Provider] = {}
    for member in providers:
        if member.kind in found:
            raise ImproperlyConfigured(f"two providers are of kind {member.kind}")
        found[member.kind] = member
    return MappingProxyType(found)


_BY_KIND = by_kind(PROVIDERS)


def provider(kind: str) -> Provider:
    """The provider of a kind; :class:`ImproperlyConfigured` if nobody listed it."""
    try:
        return _BY_KIND[kind]
    except KeyError:
        raise ImproperlyConfigured(
            f"no provider of kind “{kind}”; there are: {', '.join(_BY_KIND)}"
        ) from None


def kinds(*ways: Way) -> list[str]:
    """The kinds whose texts leave in one of these ways."""
    return [member.kind for member in PROVIDERS if member.way in ways]
