"""Sign-in by name and password."""

from typing import Any

from django.contrib.auth.backends import BaseBackend
from django.http import HttpRequest

from gridtalk.users.models import User


class NameBackend(BaseBackend):
    """Checks a name and password; spends the same time on a name that does not exist."""

    def authenticate(
        self,
        request: HttpRequest | None,  # noqa: ARG002  Django passes it to every backend
        username: str | None = None,
        password: str | None = None,
        **_ignored: Any,
    ) -> User | None:
        """The user, where the password is theirs and they are active."""
        if username is None or password is None:
            return None
        user = User.objects.filter(name=username).select_related("group").first()
        if user is None:
            User().set_password(password)
            return None
        return user if user.check_password(password) and user.is_active else None

    def get_user(self, user_id: int) -> User | None:
        """The user of a session, with their group."""
        return User.objects.select_related("group").filter(pk=user_id, is_active=True).first()
