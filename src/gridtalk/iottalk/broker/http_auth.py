"""``POST /iottalk/broker/auth``: an outside broker asks whether a user may enter.

For brokers with HTTP authentication (EMQX 5: “Password-Based, HTTP Server”): JSON with ``username``
and ``password``, answered with 200 and ``{"result": "allow" | "deny", "is_superuser": bool}``, as
EMQX wants it. Open to everybody: it tells only whether 128 random bits are right.
"""

import hmac
import json

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from gridtalk.iottalk import credentials
from gridtalk.iottalk.broker.address import read_url
from gridtalk.iottalk.models import RegisteredDevice

LARGEST_BYTES = 4096


@csrf_exempt
@login_not_required
@require_POST
def broker_auth(request: HttpRequest) -> JsonResponse:
    """Whether that user may enter the broker; anything that is not understood is a deny."""
    username, password = _asked(request)
    server = _is_server(username, password)
    allowed = server or _is_device(username, password)
    return JsonResponse({"result": "allow" if allowed else "deny", "is_superuser": server})


def _asked(request: HttpRequest) -> tuple[str, str]:
    """User name and password; empty where they are not given as text."""
    if len(request.body) > LARGEST_BYTES:
        return "", ""
    try:
        said = json.loads(request.body)
    except (ValueError, RecursionError):
        return "", ""
    if not isinstance(said, dict):
        return "", ""
    username, password = said.get("username"), said.get("password")
    if not isinstance(username, str) or not isinstance(password, str) or not username.isprintable():
        return "", ""
    return username, password


def _is_server(username: str, password: str) -> bool:
    """Whether it is our own client, with the password of GRIDTALK_MQTT_URL."""
    if not settings.GRIDTALK_MQTT_URL:
        return False
    url = read_url(settings.GRIDTALK_MQTT_URL)
    if not url.username or not url.password or username != url.username:
        return False
    return hmac.compare_digest(password.encode("utf-8", "replace"), url.password.encode())


def _is_device(username: str, password: str) -> bool:
    epoch = (
        RegisteredDevice.objects.filter(
            handle=username, protocol=RegisteredDevice.Protocol.V2, deregistered_at=None
        )
        .values_list("key_epoch", flat=True)
        .first()
    )
    return epoch is not None and credentials.password_matches(
        password, handle=username, key_epoch=epoch
    )
