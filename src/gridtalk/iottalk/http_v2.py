"""IoTtalk v2's HTTP side (spec/iottalk.md, v2): registration. Data go by MQTT.

Read from top to bottom it is the whole story: checked, stored, admitted by the broker, answered.
"""

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from gridtalk.core.errors import NotAllowed, NotFound, PeerError, SetupError, UserError
from gridtalk.iottalk import topics
from gridtalk.iottalk.broker.address import public_address
from gridtalk.iottalk.broker.admission import credentials_admit, credentials_end
from gridtalk.iottalk.credentials import device_password
from gridtalk.iottalk.http_common import (
    EVERY_METHOD,
    body_of,
    device_address,
    json_answer,
    json_refusal,
    refused_note,
    source_of,
)
from gridtalk.iottalk.limits import registration_admit
from gridtalk.iottalk.models import RegisteredDevice
from gridtalk.iottalk.services.registration import device_deregister, device_register
from gridtalk.iottalk.wire_v2 import (
    LARGEST_BODY_BYTES,
    address_read,
    deregistration_read,
    registration_read,
)


@device_address("GET", "HEAD", refuse=json_refusal)
def index(request: HttpRequest) -> HttpResponse:  # noqa: ARG001
    """Something to answer: devices wait until this address does."""
    return json_answer({"server": "Gridtalk", "protocol": "IoTtalk v2"})


@device_address("PUT", "DELETE", refuse=json_refusal)
def device(request: HttpRequest, address: str) -> HttpResponse:
    """A device registers, or leaves."""
    registration_admit(source=source_of(request))
    known = ""
    try:
        known = address_read(address)
        act = _register if request.method == "PUT" else _deregister
        return act(request, known)
    except (NotFound, NotAllowed):
        raise
    except (UserError, PeerError, SetupError) as error:
        # Also what is our side's: a device that the broker does not let in is not to be a riddle.
        refused_note(request, device=_find(known), reason=f"{request.method}: {error}")
        raise


@device_address(*EVERY_METHOD, refuse=json_refusal)
def unknown(request: HttpRequest) -> HttpResponse:  # noqa: ARG001
    """Any other address below."""
    raise NotFound("there is no such address; a device registers with PUT <base>/<its UUID>")


def _register(request: HttpRequest, address: str) -> HttpResponse:
    registration = registration_read(
        body_of(request, largest_bytes=LARGEST_BODY_BYTES),
        address=address,
        features_most=settings.DEVICE_FEATURES_MOST,
    )
    host, port, tls = public_address(request_host=request.get_host())
    registered = device_register(registration=registration, source=source_of(request)).device
    # Outside the transaction: it waits for the broker.
    credentials_admit(handles=[registered.handle])
    return json_answer(
        {
            "id": registered.address,
            "name": registered.name,
            "url": {"scheme": "mqtts" if tls else "mqtt", "host": host, "port": port},
            "ctrl_chans": [
                topics.control_in(registered.shard, registered.handle),
                topics.control_out(registered.shard, registered.handle),
            ],
            "rev": str(registered.rev),
            "username": registered.handle,
            "password": device_password(handle=registered.handle, key_epoch=registered.key_epoch),
        }
    )


def _deregister(request: HttpRequest, address: str) -> HttpResponse:
    rev = deregistration_read(body_of(request, largest_bytes=LARGEST_BODY_BYTES))
    known = _find(address)
    if known is None:
        raise NotFound("this device is not registered")
    device_deregister(device=known, rev=rev, source=source_of(request))
    credentials_end(handles=[known.handle])
    return json_answer({"id": address, "rev": str(rev)})


def _find(address: str) -> RegisteredDevice | None:
    """The device of that address, registered or not any more."""
    return RegisteredDevice.objects.filter(protocol="v2", address=address).first()
