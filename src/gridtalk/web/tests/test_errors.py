"""Errors: each status once, in plain words for people, as JSON for programs."""

import logging

import pytest
from django.db import OperationalError
from django.http import HttpRequest
from django.test import Client, RequestFactory

from gridtalk.core import errors
from gridtalk.core.models import SystemLog
from gridtalk.testing_village import Village
from gridtalk.web import error_pages
from gridtalk.web.middleware import Errors


def test_a_page_that_is_not_there(admin: Client) -> None:
    answer = admin.get("/nothing-here")
    assert answer.status_code == 404
    assert "There is no such page" in answer.content.decode()
    assert admin.get("/meters/999999").status_code == 404


def test_the_api_answers_in_json(db: None) -> None:
    answer = Client().get("/api/nothing-here")
    assert answer.status_code == 404
    assert answer.json()["error"]


@pytest.mark.parametrize(
    "kind",
    [
        errors.UserError, errors.NotAllowed, errors.NotFound, errors.Conflict, errors.TooLarge,
        errors.TooMany, errors.PeerError, errors.SetupError,
    ],
)  # fmt: skip
def test_our_errors_become_their_status(
    rf: RequestFactory, kind: type[errors.GridtalkError]
) -> None:
    middleware = Errors(lambda request: error_pages.error_response(request, 500, ""))
    page = middleware.process_exception(rf.get("/x"), kind("say <why>"))
    json = middleware.process_exception(rf.get("/api/x"), kind("say <why>"))
    assert page is not None
    assert json is not None
    assert (page.status_code, json.status_code) == (kind.status, kind.status)
    assert "say &lt;why&gt;" in page.content.decode()
    assert json.content == b'{"error": "say <why>"}'


def test_a_bug_is_logged_stored_and_numbered_without_the_query(
    village: Village, admin: Client, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    def broken(**_: object) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("gridtalk.web.views.meters.alert_list", broken)
    with caplog.at_level(logging.ERROR):
        answer = admin.get(f"/meters/{village.meter.pk}?key=secret")
    assert answer.status_code == 500
    stored = SystemLog.objects.get(source="web").text
    number = stored.split()[1]
    assert number in answer.content.decode()
    assert "oh" not in answer.content.decode()
    assert "ZeroDivisionError: oh" in stored
    assert "ZeroDivisionError" in caplog.text
    assert "secret" not in stored + caplog.text


def test_a_database_that_is_away_is_said(
    rf: RequestFactory, caplog: pytest.LogCaptureFixture
) -> None:
    def answer(request: HttpRequest) -> int:
        try:
            raise OperationalError("connection refused")
        except OperationalError:
            return error_pages.server_error(request).status_code

    assert answer(rf.get("/meters")) == 503
    assert answer(rf.get("/api/meters")) == 503


def test_a_body_that_is_too_large(village: Village, admin: Client) -> None:
    answer = admin.post("/messages/send", {"text": "x" * 300_000})
    assert answer.status_code == 413
