"""What a person or a program is shown when something went wrong."""

import logging
import sys

from django.core.exceptions import DisallowedHost
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

log = logging.getLogger(__name__)

TITLES: dict[int, str | Promise] = {
    400: gettext_lazy("That did not work"),
    403: gettext_lazy("You may not do this"),
    404: gettext_lazy("There is no such page"),
    405: gettext_lazy("Not this way"),
    409: gettext_lazy("Not now"),
    413: gettext_lazy("Too large"),
    429: gettext_lazy("Too often"),
    500: gettext_lazy("Something broke on our side"),
    502: gettext_lazy("The other side did not answer"),
    503: gettext_lazy("The database cannot be reached"),
}


def is_api(request: HttpRequest) -> bool:
    """Whether the request came by the JSON API."""
    return request.path.startswith("/api/")


def is_device(request: HttpRequest) -> bool:
    """Whether a device asks, by IoTtalk."""
    return request.path.startswith("/iottalk/")


def shown_path(request: HttpRequest) -> str:
    """The path as it may be written down: a device's ends in its uuid, which may be a secret."""
    return "/".join(request.path.split("/")[:3]) + "/…" if is_device(request) else request.path


def error_response(
    request: HttpRequest, status: int, text: str, *, number: str = ""
) -> HttpResponse:
    """The answer to an error: JSON ``{"error": text}`` for the API, ``{"reason": text}`` for
    devices, else a page in plain words.

    ``number`` names a bug in the server's log.
    """
    if not text:
        text = _default_text(status)
    if is_api(request):
        body = {"error": text, "number": number} if number else {"error": text}
        return JsonResponse(body, status=status)
    if is_device(request):
        return JsonResponse({"reason": text}, status=status)
    context = {"title": TITLES.get(status, TITLES[400]), "text": text, "number": number}
    return render(request, "web/error.html", context, status=status)


def _default_text(status: int) -> str:
    if status == 404:
        return _("Perhaps it was retired, or the address has a slip in it.")
    if status == 403:
        return _("You are not permitted to see or do this.")
    if status == 405:
        return _(
            "This address takes a form, not a visit. Open the page again and repeat what you did."
        )
    if status == 413:
        return _("What was sent is larger than this server takes. Send less at once.")
    if status == 503:
        return _("It is probably starting again. Wait a few seconds and load the page once more.")
    if status >= 500:
        return _("It is not your fault, and nothing that you entered was half done. Try again.")
    return _("The server did not understand what was sent.")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler400; its texts are for programmers, so they are not shown."""
    if isinstance(exception, DisallowedHost) and is_device(request):
        # Whoever sets up a device reads it, and has no other way to find out.
        return error_response(
            request,
            400,
            "the server does not know this name or address as its own: "
            "its operator adds it to GRIDTALK_ALLOWED_HOSTS",
        )
    return error_response(request, 400, "")


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler403."""
    return error_response(request, 403, str(exception))


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001
    """Django's handler404."""
    return error_response(request, 404, "")


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's handler500: an exception outside a view; one inside is the work of ``Errors``."""
    error = sys.exc_info()[1]
    path = shown_path(request)
    log.error("failed outside a view: %s %s", request.method, path, exc_info=error)
    unreachable = isinstance(error, OperationalError | InterfaceError)
    return error_response(request, 503 if unreachable else 500, "")


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:  # noqa: ARG001
    """The page for a form that did not come from one of our pages, or came too late."""
    return error_response(
        request,
        403,
        _(
            "This form was not sent from a page of this server, or the page was open for too long. "
            "Go back, load the page again and repeat what you did."
        ),
    )
