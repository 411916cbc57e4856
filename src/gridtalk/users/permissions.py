"""Who may do what: a check for services' callers, and a decorator for views."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from gridtalk.core.errors import NotAllowed
from gridtalk.users.models import Permission, User

P = ParamSpec("P")
R = TypeVar("R")

#: What each permission allows, to be read after "may" or "may not".
DEEDS: dict[Permission, str | Promise] = {
    Permission.VIEW: gettext_lazy("see meters, circuits, messages, jobs and alerts"),
    Permission.SEND: gettext_lazy("send messages, pings and on/off jobs"),
    Permission.MONEY: gettext_lazy("add credit, make tokens, resend, confirm and reverse"),
    Permission.GRID: gettext_lazy("change meters, circuits, accounts and interfaces"),
    Permission.DEVICES: gettext_lazy("build devices in the workshop"),
    Permission.WORKSHOP: gettext_lazy(
        "keep languages, basic files and device models, and share devices"
    ),
    Permission.USERS: gettext_lazy("manage users, groups and API keys"),
}


def permission_check(user: User, permission: Permission) -> None:
    """Raise :class:`NotAllowed`, in plain words, unless the user's group has the permission."""
    if not user.may(permission):
        raise NotAllowed(
            _("Your group “%(group)s” may not %(deed)s. Ask an administrator to change your group.")
            % {"group": user.group.name, "deed": DEEDS[permission]}
        )


def signed_in(request: HttpRequest) -> User:
    """The signed-in user of a request; :class:`NotAllowed` where nobody is signed in."""
    user = request.user
    if not isinstance(user, User):
        raise NotAllowed(_("Sign in first."))
    return user


def requires(
    permission: Permission,
) -> Callable[[Callable[Concatenate[HttpRequest, P], R]], Callable[Concatenate[HttpRequest, P], R]]:
    """A view, or a call of the API, which only users with this permission may use.

    Others get :class:`NotAllowed`, which becomes a 403 that says why. The view carries the
    permission as its attribute ``permission``, for the test that sweeps all addresses.
    """

    def decorate(
        view: Callable[Concatenate[HttpRequest, P], R],
    ) -> Callable[Concatenate[HttpRequest, P], R]:
        @wraps(view)
        def checked(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> R:
            permission_check(signed_in(request), permission)
            return view(request, *args, **kwargs)

        checked.permission = permission  # type: ignore[attr-defined]
        return checked

    return decorate
