"""Who may open which address; a sweep over all of them."""

import re
from importlib import import_module
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from gridtalk.testing_village import Village
from gridtalk.users.models import Permission
from gridtalk.web import urls

#: Pages of a signed-in user about themselves, and the door itself.
NO_PERMISSION = {"sign-in", "sign-out", "profile", "password", "language"}
POST_ONLY = {
    "sign-out", "password", "language", "meter-ping", "circuit-job", "circuit-credit",
    "job-confirm", "job-resend", "job-reverse", "job-cancel", "token-batch-export", "token-void",
    "alert-seen", "interface-key", "interface-activity", "user-group", "user-activity",
    "user-password", "user-key-add", "api-key-end", "phone-say", "phone-card",
    "device-send", "device-bind", "device-meter-add", "device-plug", "device-free",
    "device-let-in", "device-keep-out", "device-remove",
}  # fmt: skip
NAMES = [str(pattern.name) for pattern in urls.urlpatterns]
MOST_QUERIES = 24
VIEWS: dict[str, Any] = {str(pattern.name): pattern.callback for pattern in urls.urlpatterns}


def address(name: str, village: Village) -> str:
    """The address of a page, with ids of the village."""
    known = {
        "meter_id": village.meter.pk,
        "circuit_id": village.circuit.pk,
        "message_id": village.incoming.pk,
        "job_id": village.unconfirmed.pk,
        "batch_id": village.batch.pk,
        "alert_id": village.alert_id,
        "interface_id": village.interface.pk,
        "kind": "kannel",
        "user_id": village.viewer.pk,
        "group_id": village.viewer.group_id,
        "key_id": 1,
        "device_id": village.device.pk,
        "feature_id": village.output.pk,
    }
    pattern = next(pattern for pattern in urls.urlpatterns if pattern.name == name)
    wanted = pattern.pattern.converters
    return reverse(f"web:{name}", kwargs={key: known[key] for key in wanted})


def answers(client: Client, village: Village, names: list[str]) -> dict[str, Any]:
    """What each address answers: to a POST where it takes nothing else."""
    found = {}
    for name in names:
        where = address(name, village)
        found[name] = client.post(where) if name in POST_ONLY else client.get(where)
    return found


def test_every_page_says_who_may_open_it() -> None:
    unsaid = {name for name, view in VIEWS.items() if not hasattr(view, "permission")}
    assert unsaid == NO_PERMISSION
    # The workshop's permissions open the API's calls; its pages may use them too.
    of_api = {Permission.DEVICES, Permission.WORKSHOP}
    said = {VIEWS[name].permission for name in NAMES if name not in unsaid}
    assert said | of_api == set(Permission)


def test_a_stranger_is_sent_to_the_sign_in_page(village: Village) -> None:
    names = [name for name in NAMES if name != "sign-in"]
    for name, answer in answers(Client(), village, names).items():
        assert answer.status_code == 302, name
        assert answer["Location"].startswith("/sign-in?next=/"), name


def test_every_page_opens_for_an_administrator_within_few_queries(
    village: Village, admin: Client
) -> None:
    for name in NAMES:
        if name in POST_ONLY or name == "sign-in":
            continue
        with CaptureQueriesContext(connection) as queries:
            answer = admin.get(address(name, village))
        assert answer.status_code == 200, name
        assert len(queries) <= MOST_QUERIES, name
        text = answer.content.decode()
        for forbidden in (" style=", " onclick", "javascript:", "<style"):
            assert forbidden not in text, (name, forbidden)
        # A strict policy runs scripts of our own files alone.
        assert not re.search(r'<script(?! (type="module" )?src="/static/web/build/)', text), name


def test_the_view_group_sees_and_changes_nothing(village: Village, viewer: Client) -> None:
    names = [name for name in NAMES if name not in NO_PERMISSION]
    for name, answer in answers(viewer, village, names).items():
        if VIEWS[name].permission == Permission.VIEW:
            assert answer.status_code == 200, name
        else:
            assert answer.status_code == 403, name
            assert "Your group “view” may not" in answer.content.decode(), name


def test_a_form_from_elsewhere_is_refused(village: Village) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(village.admin, backend="gridtalk.users.backends.NameBackend")
    for name in NAMES:
        answer = client.post(address(name, village), {"once": "x", "kind": "turn_on"})
        assert answer.status_code == 403, name
        assert "was not sent from a page of this server" in answer.content.decode(), name


def test_nothing_is_changed_by_get(village: Village, admin: Client) -> None:
    for name in POST_ONLY:
        answer = admin.get(address(name, village))
        assert answer.status_code == 405, name
        assert answer["Allow"], name
        assert "takes a form, not a visit" in answer.content.decode(), name


def _callbacks(patterns: list[URLPattern | URLResolver], prefix: str = "") -> Any:
    for pattern in patterns:
        where = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _callbacks(pattern.url_patterns, where)
        else:
            yield where, pattern.callback


def test_only_peers_programs_and_the_door_are_open_without_a_session() -> None:
    opened = {
        where
        for where, callback in _callbacks(get_resolver().url_patterns)
        if not getattr(callback, "login_required", True)
    }
    inbound = import_module(settings.ROOT_URLCONF).inbound
    peers = {str(pattern.pattern) for pattern in inbound}
    assert peers <= opened
    devices = {where for where in opened if where.startswith("iottalk/")}
    others = {where for where in opened - peers - devices if not where.startswith("api/")}
    assert others == {"healthz", "sign-in"}
    assert opened.isdisjoint({"api/docs"})


@pytest.mark.parametrize(
    ("label", "path"),
    [("a page", "/sign-in"), ("an error", "/nothing-here"), ("the API", "/api/meters")],
)
def test_the_headers_are_strict(label: str, path: str, db: None) -> None:
    answer = Client().get(path)
    policy = answer["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["Referrer-Policy"] == "same-origin"


def test_a_page_of_a_signed_in_person_is_not_kept_in_caches(admin: Client) -> None:
    assert admin.get("/meters")["Cache-Control"] == "private, no-store"
