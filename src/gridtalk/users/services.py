"""Users, their passwords, and the keys of programs."""

import re
from datetime import timedelta

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction

from gridtalk.core import clock, secrets
from gridtalk.core.errors import Conflict, NotFound, UserError
from gridtalk.users.models import ApiKey, Group, User

#: A key's last use is written at most this often: reading is not to become writing.
LAST_USE_EVERY = timedelta(minutes=1)
_NAME = re.compile(r"[\w.@+-]{1,64}")


def user_create(
    *, name: str, group: str, password: str, email: str = "", notify: bool = False
) -> User:
    """A new user in the group of that name.

    Raises :class:`UserError` for a name, address or password that will not do, :class:`NotFound`
    for an unknown group, :class:`Conflict` where the name is taken.
    """
    if not _NAME.fullmatch(name):
        raise UserError(
            "“%(name)s” cannot be a user's name; write up to 64 letters, digits and . @ + - _",
            name=name[:64],
        )
    if email:
        try:
            validate_email(email)
        except ValidationError:
            raise UserError("“%(text)s” is not a mail address", text=email[:80]) from None
    elif notify:
        raise UserError("a user who is to be notified needs a mail address")
    user = User(name=User.normalize_username(name), group=group_get(name=group), email=email,
                notify=notify)  # fmt: skip
    _password_check(password, user)
    user.set_password(password)
    try:
        with transaction.atomic():
            user.save()
    except IntegrityError:
        raise Conflict("there is a user called %(name)s already", name=user.name) from None
    return user


def user_password_set(*, user: User, password: str) -> None:
    """Give a user a new password; their open sessions end. :class:`UserError` if it is too weak."""
    _password_check(password, user)
    user.set_password(password)
    user.save(update_fields=["password"])


def user_get(*, name: str) -> User:
    """The user of that name; :class:`NotFound` where there is none."""
    try:
        return User.objects.select_related("group").get(name=User.normalize_username(name))
    except User.DoesNotExist:
        raise NotFound("there is no user called %(name)s", name=name[:64]) from None


def group_get(*, name: str) -> Group:
    """The group of that name; :class:`NotFound` names those that there are."""
    try:
        return Group.objects.get(name=name)
    except Group.DoesNotExist:
        names = ", ".join(Group.objects.order_by("name").values_list("name", flat=True))
        raise NotFound(
            "there is no group “%(name)s”; there are: %(names)s", name=name[:64], names=names or "-"
        ) from None


def api_key_create(*, name: str, user: User) -> tuple[ApiKey, str]:
    """A key that acts as the user: its row, and the key itself, which nobody can read again."""
    if not name.strip() or len(name) > 64:
        raise UserError("a key needs a name of 1 to 64 characters, to tell it from others later")
    key = secrets.key_new()
    return ApiKey.objects.create(name=name, user=user, key_hash=secrets.key_hash(key)), key


def api_key_revoke(*, api_key: ApiKey) -> None:
    """Let the key open nothing any more; a second time changes nothing."""
    ApiKey.objects.filter(pk=api_key.pk, revoked_at=None).update(revoked_at=clock.now())


def api_key_find(key: str) -> User | None:
    """Whose key it is; None for an unknown or revoked key, or a user who is not active.

    The look-up is by the hash of 256 random bits, so its time tells nothing about a key.
    """
    found = (
        ApiKey.objects.select_related("user__group")
        .filter(key_hash=secrets.key_hash(key), revoked_at=None, user__is_active=True)
        .first()
    )
    if found is None:
        return None
    now = clock.now()
    if found.last_used_at is None or now - found.last_used_at >= LAST_USE_EVERY:
        ApiKey.objects.filter(pk=found.pk).update(last_used_at=now)
    return found.user


def _password_check(password: str, user: User) -> None:
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise UserError(" ".join(error.messages)) from None
