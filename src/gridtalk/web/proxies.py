"""Who really asks, behind the operator's proxy.

Limits on sign-ins and registrations, and the addresses that a provider may call from, go by the
client's address. Behind a proxy that is the proxy's for everybody: one hostile client would use up
what all may do. ``X-Forwarded-For`` says more, but anybody can write it; so only what the proxies
of GRIDTALK_TRUSTED_PROXIES have added to its end is believed.
"""

from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from django.conf import settings
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest, HttpResponse

Network = IPv4Network | IPv6Network
#: More hops than any installation has proxies; what a hostile client puts before is not read.
MOST_HOPS = 20


class ClientAddress:
    """Sets ``REMOTE_ADDR`` to the last address which is no trusted proxy's."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self.proxies = settings.GRIDTALK_TRUSTED_PROXIES
        if not self.proxies:
            raise MiddlewareNotUsed

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, as if the client had asked without a proxy."""
        told = request.META.get("HTTP_X_FORWARDED_FOR", "")
        if told:
            peer = request.META.get("REMOTE_ADDR", "")
            request.META["REMOTE_ADDR"] = client_address(peer, told, self.proxies)
        return self.get_response(request)


def client_address(peer: str, told: str, proxies: Sequence[Network]) -> str:
    """The client's address: from ``peer``, who has connected, back through what each proxy added.

    ``told`` is X-Forwarded-For, the client's own words first, the nearest proxy's last.
    """
    address = peer
    hops = told.rsplit(",", MOST_HOPS)[-MOST_HOPS:]
    while _is_one_of(_address(address), proxies) and hops:
        before = _address(hops.pop())
        if before is None:
            break  # nonsense: the proxy itself is all that is known
        address = str(before)
    return address


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """The address, with or without a port, brackets or an IPv4 address's IPv6 form."""
    bare = text.strip()
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        found = ip_address(bare)
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found


def _is_one_of(address: IPv4Address | IPv6Address | None, proxies: Sequence[Network]) -> bool:
    return address is not None and any(address in network for network in proxies)
