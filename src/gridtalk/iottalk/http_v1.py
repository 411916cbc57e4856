"""IoTtalk v1 (spec/iottalk.md, v1): devices push and pull over HTTP.

Errors are a line of text. That of an unknown device holds the words by which clients know that they
must register again. The header ``password-key`` carries what the registration answered.
"""

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from gridtalk.core.errors import NotAllowed, NotFound, UserError
from gridtalk.iottalk import wire_v1
from gridtalk.iottalk.http_common import (
    EVERY_METHOD,
    body_of,
    device_address,
    json_answer,
    refused_note,
    source_of,
    text_answer,
    text_refusal,
)
from gridtalk.iottalk.limits import registration_admit, request_admit
from gridtalk.iottalk.models import RegisteredDevice
from gridtalk.iottalk.services import v1, v1_data

#: What a body holds beside the values of one message.
FRAME_BYTES = 256


@device_address("GET", "HEAD", refuse=text_refusal)
def index(request: HttpRequest) -> HttpResponse:  # noqa: ARG001
    """Something to answer: clients look whether the server is there."""
    return text_answer("Gridtalk: IoTtalk v1")


@device_address("GET", refuse=text_refusal)
def tree(request: HttpRequest) -> HttpResponse:
    """The registered devices."""
    request_admit(address="/tree", source=source_of(request))
    return json_answer(v1.v1_tree())


@device_address("POST", "DELETE", refuse=text_refusal)
def device(request: HttpRequest, address: str) -> HttpResponse:
    """A device registers, or leaves."""
    registration_admit(source=source_of(request))
    address = wire_v1.address_read(address)
    if request.method == "DELETE":
        v1.v1_device_leave(device=_known(request, address), source=source_of(request))
        return json_answer({"mac_addr": address})
    try:
        registration = wire_v1.registration_read(
            body_of(request, largest_bytes=wire_v1.LARGEST_REGISTRATION_BYTES),
            address=address,
            features_most=settings.DEVICE_FEATURES_MOST,
        )
    except UserError as error:
        known = RegisteredDevice.objects.filter(protocol="v1", address=address).first()
        refused_note(request, device=known, reason=f"POST: {error}")
        raise
    admitted = v1.v1_device_register(
        registration=registration, key=_key(request), source=source_of(request)
    )
    return json_answer({"d_name": admitted.device.name, "password": admitted.key})


@device_address("GET", "PUT", refuse=text_refusal)
def feature(request: HttpRequest, address: str, name: str) -> HttpResponse:
    """A device says the values of a feature, or asks for them."""
    address = wire_v1.address_read(address)
    request_admit(address=address, source=source_of(request))
    known = _known(request, address)
    act = _push if request.method == "PUT" else _pull
    answer = act(request, known, name)
    v1.v1_device_seen(device=known)
    return answer


@device_address("GET", refuse=text_refusal)
def alias_get(request: HttpRequest, address: str, name: str) -> HttpResponse:
    """The alias of a feature."""
    known = _known_to_all(request, address)
    return json_answer({"alias_name": v1.v1_aliases(device=known, name=name)})


@device_address("GET", "PUT", "POST", refuse=text_refusal)
def alias_set(request: HttpRequest, address: str, name: str) -> HttpResponse:
    """Give a feature an alias; with GET, as clients do it."""
    known = _known_to_all(request, address)
    alias = wire_v1.alias_read(request.GET.get("name", ""))
    return json_answer({"alias_name": v1.v1_alias_set(device=known, name=name, alias=alias)})


@device_address(*EVERY_METHOD, refuse=text_refusal)
def unknown(request: HttpRequest) -> HttpResponse:  # noqa: ARG001
    """Any other address below."""
    raise NotFound("there is no such address; a device registers with POST /<its MAC>")


def _push(request: HttpRequest, known: RegisteredDevice, name: str) -> HttpResponse:
    largest = settings.DEVICE_MESSAGE_LARGEST_BYTES + FRAME_BYTES
    try:
        values = wire_v1.data_read(body_of(request, largest_bytes=largest), largest_bytes=largest)
        if name == wire_v1.CONTROL_IN:
            v1.v1_control_answer(device=known, values=values)
        elif name in {wire_v1.CONTROL_OUT, wire_v1.PROFILE}:
            raise UserError(f"“{name}” is written by the server, or at registration")
        else:
            v1_data.v1_data_store(device=known, name=name, values=values)
    except UserError as error:
        refused_note(request, device=known, reason=f"PUT {name[:100]}: {error}")
        raise
    return text_answer("ok")


def _pull(_request: HttpRequest, known: RegisteredDevice, name: str) -> HttpResponse:
    if name == wire_v1.PROFILE:
        return json_answer({"samples": v1.v1_profile(device=known)})
    if name == wire_v1.CONTROL_OUT:
        samples = v1.v1_control_pull(device=known)
    elif name == wire_v1.CONTROL_IN:
        samples = []
    else:
        samples = v1_data.v1_samples_pull(device=known, name=name)
    return json_answer(wire_v1.samples_value(samples))


def _key(request: HttpRequest) -> str:
    return request.headers.get("password-key", "").strip()


def _known(request: HttpRequest, address: str) -> RegisteredDevice:
    """The device that asks, with its key. A wrong key is noted for the operator."""
    try:
        return v1.v1_device_get(address=address, key=_key(request))
    except NotAllowed as error:
        found = v1.v1_device_find(address=address)
        refused_note(request, device=found, reason=f"{request.method}: {error}")
        raise


def _known_to_all(request: HttpRequest, address: str) -> RegisteredDevice:
    """The device whose aliases are meant: clients send no key for them, a meter's must."""
    address = wire_v1.address_read(address)
    request_admit(address=address, source=source_of(request))
    found = v1.v1_device_find(address=address)
    return found if found.meter_id is None else _known(request, address)
