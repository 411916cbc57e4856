"""Users and groups as an administrator changes them; every change is in the audit trail."""

import secrets
from collections.abc import Iterable

from axes.utils import reset as attempts_forget
from django.db import transaction
from django.utils.translation import gettext as _

from gridtalk.core.errors import Conflict, UserError
from gridtalk.users.audit import audit
from gridtalk.users.models import ApiKey, Group, Permission, User
from gridtalk.users.services import (
    api_key_create,
    api_key_revoke,
    user_create,
    user_password_set,
)

#: Letters and digits which nobody takes for another; 16 of them carry 79 bits.
_PASSWORD_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # noqa: S105  an alphabet, no password


def password_new() -> str:
    """A password to be told to somebody: four groups of four letters and digits."""
    groups = ("".join(secrets.choice(_PASSWORD_LETTERS) for _ in range(4)) for _ in range(4))
    return "-".join(groups)


@transaction.atomic
def user_add(*, name: str, group: Group, by: User, email: str = "") -> tuple[User, str]:
    """A new user, and their password, which nobody can read again.

    Raises what :func:`gridtalk.users.services.user_create` raises.
    """
    password = password_new()
    user = user_create(name=name, group=group.name, email=email, password=password)
    audit(user=by, action="user_add", target=f"user {user.name}", data={"group": group.name})
    return user, password


@transaction.atomic
def user_password_renew(*, user: User, by: User) -> str:
    """Give the user a new password, returned once; their sessions and a lock-out end."""
    password = password_new()
    user_password_set(user=user, password=password)
    attempts_forget(username=user.name)
    audit(user=by, action="user_password_renew", target=f"user {user.name}")
    return password


@transaction.atomic
def api_key_add(*, name: str, user: User, by: User) -> tuple[ApiKey, str]:
    """A key which acts as the user, returned once."""
    row, key = api_key_create(name=name.strip(), user=user)
    audit(user=by, action="api_key_add", target=f"API key {row.pk}", data={"user": user.name})
    return row, key


@transaction.atomic
def api_key_end(*, api_key: ApiKey, by: User) -> None:
    """The key opens nothing any more."""
    api_key_revoke(api_key=api_key)
    audit(user=by, action="api_key_end", target=f"API key {api_key.pk}")


def _administrators_lock() -> list[int]:
    """Ids of the active users who may manage users, locked: two changes at once cannot end both."""
    rows = (
        User.objects.select_for_update()
        .filter(is_active=True, group__permissions__contains=[Permission.USERS])
        .order_by("id")
    )
    return [row.pk for row in rows]


def _last_administrator_keep(user: User) -> None:
    if _administrators_lock() == [user.pk]:
        raise Conflict(
            _(
                "%(name)s is the last active user who may manage users. Give somebody else that "
                "permission first; otherwise nobody could."
            )
            % {"name": user.name}
        )


@transaction.atomic
def user_group_change(*, user: User, group: Group, by: User) -> User:
    """Put the user into another group.

    Raises :class:`Conflict` where that would leave nobody who may manage users.
    """
    if Permission.USERS not in group.permissions:
        _last_administrator_keep(user)
    before = user.group.name
    user.group = group
    user.save(update_fields=["group"])
    audit(
        user=by,
        action="user_group_change",
        target=f"user {user.name}",
        data={"before": before, "after": group.name},
    )
    return user


@transaction.atomic
def user_deactivate(*, user: User, by: User) -> User:
    """The user can no longer sign in, nor their API keys; what they did stays.

    Raises :class:`Conflict` for the last active user who may manage users.
    """
    _last_administrator_keep(user)
    user.is_active = False
    user.save(update_fields=["is_active"])
    audit(user=by, action="user_deactivate", target=f"user {user.name}")
    return user


@transaction.atomic
def user_activate(*, user: User, by: User) -> User:
    """The user can sign in again."""
    user.is_active = True
    user.save(update_fields=["is_active"])
    audit(user=by, action="user_activate", target=f"user {user.name}")
    return user


@transaction.atomic
def group_create(*, name: str, permissions: Iterable[str], by: User) -> Group:
    """A new group. Raises :class:`Conflict` where the name is taken."""
    name = name.strip()
    if not name:
        raise UserError(_("A group needs a name."))
    if Group.objects.filter(name__iexact=name).exists():
        raise Conflict(_("There is a group “%(name)s” already.") % {"name": name})
    group = Group.objects.create(name=name, permissions=_ordered(permissions))
    audit(
        user=by,
        action="group_create",
        target=f"group {group.name}",
        data={"permissions": group.permissions},
    )
    return group


@transaction.atomic
def group_permissions_set(*, group: Group, permissions: Iterable[str], by: User) -> Group:
    """Set what the group may do.

    Raises :class:`Conflict` where that would leave nobody who may manage users.
    """
    before = list(group.permissions)
    group.permissions = _ordered(permissions)
    if Permission.USERS in before and Permission.USERS not in group.permissions:
        members = set(group.users.filter(is_active=True).values_list("id", flat=True))
        if set(_administrators_lock()) <= members:
            raise Conflict(
                _(
                    "Then nobody could manage users any more. "
                    "Give another group that permission first."
                )
            )
    group.save(update_fields=["permissions"])
    audit(
        user=by,
        action="group_permissions_set",
        target=f"group {group.name}",
        data={"before": before, "after": group.permissions},
    )
    return group


def _ordered(permissions: Iterable[str]) -> list[str]:
    wanted = set(permissions)
    unknown = wanted - set(Permission.values)
    if unknown:
        raise UserError(_("There is no permission “%(name)s”.") % {"name": min(unknown)})
    return [value for value in Permission.values if value in wanted]
