"""Who calls the API: a program with a key, acting as its user."""

from django.http import HttpRequest
from ninja.security import HttpBearer

from gridtalk.users.models import User
from gridtalk.users.services import api_key_find


class KeyAuth(HttpBearer):
    """``Authorization: Bearer <key>``. A session never opens the API, so it needs no CSRF token."""

    def authenticate(self, request: HttpRequest, token: str) -> User | None:
        """The key's user, who from now on is the request's; None for a key that opens nothing."""
        user = api_key_find(token)
        if user is not None:
            request.user = user
        return user
