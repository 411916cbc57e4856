"""Headers that every answer carries, and errors mapped to a status, once for pages and API."""

import logging
import secrets
from collections.abc import Callable

from django.conf import settings
from django.core.exceptions import (
    BadRequest,
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
)
from django.db import DatabaseError
from django.http import Http404, HttpRequest, HttpResponse
from django.http.multipartparser import MultiPartParserError

from gridtalk.core.errors import GridtalkError
from gridtalk.core.models import SystemLog
from gridtalk.core.services import system_log_create
from gridtalk.web.error_pages import error_response, shown_path
from gridtalk.web.words import error_text

log = logging.getLogger(__name__)

CONTENT_SECURITY_POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


#: Exceptions which Django itself answers, with our handlers of 400, 403 and 404.
DJANGO_ANSWERS = (Http404, PermissionDenied, SuspiciousOperation, BadRequest, MultiPartParserError)


class SecurityHeaders:
    """Sets what Django's own middleware leaves out, and what it sets, in one cheap step.

    Django's SecurityMiddleware and XFrameOptionsMiddleware would do half of it at twice the cost,
    and this runs on the way of every inbound message.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self.headers = {
            "Content-Security-Policy": CONTENT_SECURITY_POLICY,
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "Referrer-Policy": settings.SECURE_REFERRER_POLICY or "same-origin",
            "Cross-Origin-Opener-Policy": settings.SECURE_CROSS_ORIGIN_OPENER_POLICY
            or "same-origin",
            "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
        }
        if settings.SECURE_HSTS_SECONDS:
            self.headers["Strict-Transport-Security"] = f"max-age={settings.SECURE_HSTS_SECONDS}"

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, with the headers added."""
        response = self.get_response(request)
        for name, value in self.headers.items():
            response.headers.setdefault(name, value)
        return response


class Errors:
    """Answers the errors that a view raised: ours by their status, others as a bug, written down.

    The last in the list, so that it sees a view's exception first. A bug is logged with its
    traceback and a number which the person is shown too; the query string is never logged, since
    it carries inbound keys, nor a device's uuid.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer; what a view shows a signed-in person is kept out of caches."""
        response = self.get_response(request)
        match = request.resolver_match
        if response.status_code == 405 and match is not None and match.app_name == "web":
            # Met after signing in again, when the session had ended before a form was sent.
            allow = response.headers.get("Allow", "")
            response = error_response(request, 405, "")
            response["Allow"] = allow
        # After sign-out, "back" must not show what a shared computer's cache still holds.
        if not response.has_header("Cache-Control") and "cookie" in request.headers:
            response["Cache-Control"] = "private, no-store"
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """The answer to an exception of a view; None leaves Django's own (404, 403, 400) to it."""
        if isinstance(exception, GridtalkError):
            return error_response(request, exception.status, error_text(exception))
        if isinstance(exception, RequestDataTooBig):
            return error_response(request, 413, "")
        if isinstance(exception, DJANGO_ANSWERS):
            return None
        number = secrets.token_hex(4)
        path = shown_path(request)
        log.error("bug %s in %s %s", number, request.method, path, exc_info=exception)
        try:
            system_log_create(
                source="web",
                level=SystemLog.Level.ERROR,
                text=f"bug {number} in {request.method} {path}: "
                f"{type(exception).__name__}: {exception}",
            )
        except DatabaseError as error:
            log.warning("bug %s could not be stored for the operator: %s", number, error)
        return error_response(request, 500, "", number=number)
