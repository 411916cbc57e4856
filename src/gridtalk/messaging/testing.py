"""Things that tests of messages make."""

from typing import Any

from gridtalk.core import secrets
from gridtalk.messaging.models import CommunicationInterface, KannelInterface, NetbookInterface
from gridtalk.messaging.wire import HandOver, HttpRequest, Outcome

KEY = "test-key"


def kannel(name: str = "Malitel", **fields: Any) -> KannelInterface:
    """A Kannel interface whose inbound key is ``KEY``."""
    values: dict[str, Any] = {
        "host": "kannel.example.org",
        "username": "gw",
        "password": "hush",
        "phone": "444",
        "region": "ML",
        "inbound_key_hash": secrets.key_hash(KEY),
    }
    interface: KannelInterface = KannelInterface.objects.create(name=name, **(values | fields))
    return interface


def netbook(name: str = "Village", *, key: str = KEY, **fields: Any) -> NetbookInterface:
    """A netbook interface with that key."""
    interface: NetbookInterface = NetbookInterface.objects.create(
        name=name, inbound_key_hash=secrets.key_hash(key), **fields
    )
    return interface


def base(interface: CommunicationInterface) -> CommunicationInterface:
    """The interface's base row as it is now."""
    return CommunicationInterface.objects.get(pk=interface.pk)


class FakeTransport:
    """Hands nothing over: notes the requests and answers as told, the last answer going on."""

    def __init__(self, *answers: HandOver | Exception) -> None:
        self.answers = list(answers) or [ACCEPTED]
        self.requests: list[HttpRequest] = []

    def __call__(self, request: HttpRequest, provider: object) -> HandOver:
        """Answer the next request."""
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


ACCEPTED = HandOver(Outcome.ACCEPTED, "0: Accepted for delivery")
BUSY = HandOver(Outcome.REFUSED_TEMPORARY, "Kannel answered 503: try later")
AWAY = HandOver(Outcome.REFUSED_TEMPORARY, "k:1 could not be reached", reached=False)
WRONG = HandOver(Outcome.REFUSED_PERMANENT, "Kannel answered 403: Authorization failed")
SILENT = HandOver(Outcome.UNKNOWN, "k:1: no answer within 10 s")
