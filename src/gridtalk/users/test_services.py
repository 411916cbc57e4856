"""Users, passwords and keys."""

from datetime import UTC, datetime

import pytest
import time_machine

from gridtalk.core.errors import Conflict, NotFound, UserError
from gridtalk.users import services
from gridtalk.users.models import ApiKey, User

pytestmark = pytest.mark.django_db

PASSWORD = "a long enough phrase"


def user(name: str = "ada", **more: object) -> User:
    return services.user_create(
        **({"name": name, "group": "view", "password": PASSWORD} | more)  # type: ignore[arg-type]
    )


def test_a_user_can_be_found_and_has_the_password() -> None:
    made = user(email="ada@example.org", notify=True)
    found = services.user_get(name="ada")
    assert found == made
    assert found.check_password(PASSWORD)
    assert PASSWORD not in found.password
    assert (found.group.name, found.email, found.notify) == ("view", "ada@example.org", True)
    assert found.may("view")
    assert not found.may("money")


@pytest.mark.parametrize(
    ("fields", "error", "says"),
    [
        pytest.param({"name": ""}, UserError, "cannot be a user's name", id="no name"),
        pytest.param({"name": "a b"}, UserError, "cannot be a user's name", id="space"),
        pytest.param({"name": "a\nb"}, UserError, "cannot be a user's name", id="line"),
        pytest.param({"name": "ada\n"}, UserError, "cannot be a user's name", id="line at end"),
        pytest.param({"name": "a" * 65}, UserError, "cannot be a user's name", id="long"),
        pytest.param({"email": "nobody"}, UserError, "is not a mail address", id="mail"),
        pytest.param({"notify": True}, UserError, "needs a mail address", id="notify"),
        pytest.param({"group": "boss"}, NotFound, "there are: admin, view", id="group"),
        pytest.param({"password": "short"}, UserError, "too short", id="short"),
        pytest.param({"password": "password"}, UserError, "too common", id="common"),
        pytest.param({"password": "ada-lovelace"}, UserError, "similar", id="like the name"),
    ],
)
def test_what_is_refused(fields: dict[str, object], error: type[Exception], says: str) -> None:
    given: dict[str, object] = {"name": "ada-lovelace"} | fields
    with pytest.raises(error, match=says):
        user(**given)  # type: ignore[arg-type]
    assert not User.objects.exists()


def test_a_name_is_given_once() -> None:
    user()
    with pytest.raises(Conflict, match="there is a user called ada already"):
        user()
    assert User.objects.count() == 1


def test_a_new_password() -> None:
    made = user()
    services.user_password_set(user=made, password="another long phrase")
    found = services.user_get(name="ada")
    assert found.check_password("another long phrase")
    assert not found.check_password(PASSWORD)
    with pytest.raises(UserError, match="too short"):
        services.user_password_set(user=made, password="short")


def test_an_unknown_user() -> None:
    with pytest.raises(NotFound, match="there is no user called bob"):
        services.user_get(name="bob")


def test_a_key_acts_as_its_user_until_it_is_revoked() -> None:
    made = user()
    row, key = services.api_key_create(name="tablet", user=made)
    assert services.api_key_find(key) == made
    assert key not in str(ApiKey.objects.values().get())
    services.api_key_revoke(api_key=row)
    assert services.api_key_find(key) is None


@pytest.mark.parametrize("key", ["", "x", "\x00", "\ud800", "é" * 10_000])
def test_a_wrong_key_is_nobodys(key: str) -> None:
    services.api_key_create(name="tablet", user=user())
    assert services.api_key_find(key) is None


def test_a_key_of_somebody_who_left() -> None:
    made = user()
    _row, key = services.api_key_create(name="tablet", user=made)
    User.objects.update(is_active=False)
    assert services.api_key_find(key) is None


@pytest.mark.parametrize("name", ["", "  ", "n" * 65])
def test_a_key_needs_a_name(name: str) -> None:
    with pytest.raises(UserError, match="a key needs a name"):
        services.api_key_create(name=name, user=user())


def test_the_last_use_is_written_once_a_minute() -> None:
    _row, key = services.api_key_create(name="tablet", user=user())
    start = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
    seen = []
    for second in (0, 30, 59, 60, 61):
        with time_machine.travel(
            start.replace(minute=second // 60, second=second % 60), tick=False
        ):
            services.api_key_find(key)
        seen.append(ApiKey.objects.get().last_used_at)
    later = start.replace(minute=1)
    assert seen == [start, start, start, later, later]
