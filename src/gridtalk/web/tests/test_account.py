"""Sign-in, lock-out, sign-out, the own profile."""

from datetime import timedelta

import pytest
import time_machine
from django.test import Client
from pytest_django import Settings

from gridtalk.core import clock
from gridtalk.testing_village import PASSWORD, user_make
from gridtalk.users.models import AuditEntry, User

pytestmark = pytest.mark.django_db


@pytest.fixture
def user() -> User:
    return user_make("amina", "admin")


def sign_in(client: Client, password: str = PASSWORD, path: str = "/sign-in") -> int:
    answer = client.post(path, {"username": "amina", "password": password})
    return answer.status_code


def test_name_and_password_open_the_door(user: User) -> None:
    client = Client()
    answer = client.post("/sign-in", {"username": "amina", "password": PASSWORD})
    assert answer["Location"] == "/"
    assert client.get("/").status_code == 200


@pytest.mark.parametrize(
    ("label", "name", "password"),
    [
        ("a wrong password", "amina", "wrong"),
        ("a wrong name", "nobody", PASSWORD),
        ("nothing", "", ""),
        ("NUL in the name", "am\x00ina", PASSWORD),
    ],
)
def test_the_door_stays_shut_for(user: User, label: str, name: str, password: str) -> None:
    client = Client()
    answer = client.post("/sign-in", {"username": name, "password": password})
    assert answer.status_code == 200
    assert client.get("/").status_code == 302


def test_a_deactivated_user_is_shut_out_at_once(user: User) -> None:
    client = Client()
    assert sign_in(client) == 302
    User.objects.filter(pk=user.pk).update(is_active=False)
    assert client.get("/").status_code == 302
    assert sign_in(client) == 200


@pytest.mark.parametrize(
    ("label", "wanted", "goes_to"),
    [
        ("a page of ours", "/jobs?state=unconfirmed", "/jobs?state=unconfirmed"),
        ("another host", "https://evil.example/", "/"),
        ("another host without a scheme", "//evil.example/", "/"),
        ("a backslash", "/\\evil.example", "/"),
        ("a script", "javascript:alert(1)", "/"),
    ],
)
def test_after_sign_in_one_goes_to(user: User, label: str, wanted: str, goes_to: str) -> None:
    answer = Client().post("/sign-in", {"username": "amina", "password": PASSWORD, "next": wanted})
    assert answer["Location"] == goes_to


def test_five_failures_lock_out_for_a_quarter_of_an_hour(user: User, settings: Settings) -> None:
    settings.AXES_ENABLED = True
    client = Client()
    for _ in range(4):
        assert sign_in(client, "wrong") == 200
    answer = client.post("/sign-in", {"username": "amina", "password": "wrong"})
    assert answer.status_code == 429
    assert "password for “amina” was wrong 5 times. Wait 15 minutes" in answer.content.decode()
    assert sign_in(client) == 429, "the right password does not end the wait"
    assert sign_in(Client(REMOTE_ADDR="10.0.0.9")) == 302, "the owner elsewhere is not shut out"
    with time_machine.travel(clock.now() + timedelta(minutes=16)):
        assert sign_in(client) == 302, "the wait is over"


def test_sign_out_needs_a_post(user: User) -> None:
    client = Client()
    sign_in(client)
    assert client.get("/sign-out").status_code == 405
    assert client.get("/").status_code == 200
    assert client.post("/sign-out")["Location"] == "/sign-in"
    assert client.get("/").status_code == 302


def test_the_own_password_is_changed_and_other_browsers_are_out(user: User) -> None:
    here, elsewhere = Client(), Client()
    sign_in(here)
    sign_in(elsewhere)
    new = "quite-another-one-77"
    wrong = {"old_password": "wrong", "new_password1": new, "new_password2": new}
    assert here.post("/profile/password", wrong).status_code == 400
    assert here.post("/profile/password", wrong | {"old_password": PASSWORD}).status_code == 302
    assert here.get("/").status_code == 200
    assert elsewhere.get("/").status_code == 302
    assert sign_in(elsewhere, new) == 302
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.user, entry.data) == ("password_change", user, {})


def test_mail_about_alerts_needs_an_address(user: User) -> None:
    client = Client()
    sign_in(client)
    assert client.post("/profile", {"notify": "on"}).status_code == 400
    assert client.post("/profile", {"notify": "on", "email": "a@example.org"}).status_code == 302
    user.refresh_from_db()
    assert (user.notify, user.email) == (True, "a@example.org")


def test_nobody_gives_themselves_another_group(user: User) -> None:
    viewer = user_make("viktor", "view")
    client = Client()
    client.force_login(viewer, backend="gridtalk.users.backends.NameBackend")
    client.post("/profile", {"group": user.group_id, "is_active": "", "email": ""})
    viewer.refresh_from_db()
    assert viewer.group.name == "view"


@pytest.mark.parametrize(("code", "lang"), [("fr", "fr"), ("zh-hant", "zh-hant"), ("xx", "en")])
def test_the_language_of_the_pages(user: User, code: str, lang: str) -> None:
    client = Client()
    sign_in(client)
    client.post("/profile/language", {"language": code})
    assert f'<html lang="{lang}">' in client.get("/profile").content.decode()
