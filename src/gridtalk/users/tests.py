"""Permissions, the audit trail, and doing a thing once."""

import threading
from contextlib import suppress

import pytest
from django.db import connection

from gridtalk.core.errors import Conflict, NotAllowed, UserError
from gridtalk.users.audit import audit
from gridtalk.users.models import AuditEntry, Group, Permission, User
from gridtalk.users.once import LONGEST_KEY, once
from gridtalk.users.permissions import DEEDS, permission_check


@pytest.fixture
def user(db: None) -> User:
    return User.objects.create_user("amina", "secret-enough", group=Group.objects.get(name="admin"))


def test_every_permission_has_its_words() -> None:
    assert DEEDS.keys() == set(Permission)


def test_a_permission_is_checked(user: User) -> None:
    permission_check(user, Permission.MONEY)
    user.is_active = False
    with pytest.raises(NotAllowed, match="may not add credit"):
        permission_check(user, Permission.MONEY)


def test_the_audit_trail_takes_any_text(user: User) -> None:
    entry = audit(user=user, action="x" * 99, target="job\x00" + "y" * 200, reason="a\x00b")
    entry.refresh_from_db()
    assert len(entry.action) == 64
    assert len(entry.target) == 128
    assert "\x00" not in entry.target + entry.reason


def test_a_thing_is_done_once(user: User) -> None:
    made: list[int] = []

    def make() -> int:
        made.append(len(made) + 41)
        return made[-1]

    first = once(user=user, key="k", what="credit 5", make=make)
    second = once(user=user, key="k", what="credit 5", make=make)
    assert (first.id, first.first) == (41, True)
    assert (second.id, second.first) == (41, False)
    with pytest.raises(Conflict):
        once(user=user, key="k", what="credit 6", make=make)
    other = User.objects.create_user("salif", "secret-enough", group=user.group)
    assert once(user=other, key="k", what="credit 5", make=make).id == 42


def test_what_fails_leaves_the_key_unused(user: User) -> None:
    def fail() -> int:
        raise UserError("no")

    with pytest.raises(UserError):
        once(user=user, key="k", what="w", make=fail)
    assert once(user=user, key="k", what="w", make=lambda: 1).first


@pytest.mark.parametrize("key", ["", "x" * (LONGEST_KEY + 1)])
def test_a_key_has_a_length(user: User, key: str) -> None:
    with pytest.raises(UserError, match="idempotency key"):
        once(user=user, key=key, what="w", make=lambda: 1)


@pytest.mark.django_db(transaction=True)
def test_two_at_the_same_moment_do_it_once() -> None:
    group = Group.objects.create(name="g", permissions=["money"])
    user = User.objects.create_user("amina", "secret-enough", group=group)
    made: list[int] = []
    inside = threading.Barrier(2, timeout=0.5)

    def make() -> int:
        # Were both let in, they would meet here.
        with suppress(threading.BrokenBarrierError):
            inside.wait()
        made.append(1)
        return 7

    def run() -> None:
        once(user=user, key="k", what="w", make=make)
        connection.close()

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [1]
    assert AuditEntry.objects.filter(action="once").count() == 1
