"""Who calls the API: a program with a key, or a signed-in person's page."""

from django.conf import settings
from django.http import HttpRequest
from ninja.security import APIKeyCookie, HttpBearer
from ninja.utils import check_csrf

from gridtalk.api.bodies import body_prepare
from gridtalk.core.errors import NotAllowed
from gridtalk.users.models import User
from gridtalk.users.services import api_key_find


class KeyAuth(HttpBearer):
    """``Authorization: Bearer <key>``: needs no CSRF token, since no browser sends it by itself."""

    def authenticate(self, request: HttpRequest, token: str) -> User | None:
        """The key's user, who from now on is the request's; None for a key that opens nothing."""
        user = api_key_find(token)
        if user is not None:
            request.user = user
            body_prepare(request)
        return user


class SessionAuth(APIKeyCookie):
    """The session of a signed-in person, for calls that pages make (the workshop's alone).

    What changes something must bring the page's CSRF token as the header ``X-CSRFToken``.
    """

    param_name = settings.SESSION_COOKIE_NAME

    def __init__(self) -> None:
        # The check is ours: who is not signed in is told so, and not about a token.
        super().__init__(csrf=False)

    def authenticate(self, request: HttpRequest, key: str | None) -> User | None:  # noqa: ARG002
        """The signed-in user; :class:`NotAllowed` where the CSRF token is absent or wrong."""
        user = request.user
        if not isinstance(user, User) or not user.is_active:
            return None
        body_prepare(request)
        if check_csrf(request) is not None:
            raise NotAllowed(
                "this call did not come from a page of this server, or the page is too old: load "
                "it again (programs: send a key as Authorization: Bearer KEY)"
            )
        return user
