"""Users and groups as an administrator changes them; every change is in the audit trail."""

from collections.abc import Iterable

from django.db import transaction
from django.utils.translation import gettext as _

from gridtalk.core.errors import Conflict, UserError
from gridtalk.users.audit import audit
from gridtalk.users.models import Group, Permission, User


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
