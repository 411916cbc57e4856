"""Open pages follow the village by themselves, and find back after the server was away."""

import time

import pytest
from playwright.sync_api import Page, Route, expect
from tests.browser.pages import Desk, live, stay
from tests.browser.village import Village

pytestmark = pytest.mark.browser


def test_a_report_changes_every_open_overview(desk: Desk, village: Village) -> None:
    pages = [desk.open(user="ada"), desk.open(user="vera")]
    for page in pages:
        live(page)
    newest = [_newest(page) for page in pages]
    stayed = [stay(page) for page in pages]
    village.do("report")
    for page, before in zip(pages, newest, strict=True):
        _changes(page, before)
    assert all(one() for one in stayed)


def test_a_page_finds_back_after_the_server_was_killed(desk: Desk, village: Village) -> None:
    # What the browser meets meanwhile, and htmx says of it.
    desk.watch.expect("ERR_|status 50[23]|could not look again|htmx:")
    page = desk.open()
    live(page)
    stayed = stay(page)
    village.do("web_kill")
    expect(page.get_by_text("not live", exact=True)).to_be_visible()
    live(page)
    before = _newest(page)
    village.do("report")
    _changes(page, before)
    assert stayed()


def test_what_happens_before_a_page_listens_is_not_missed(desk: Desk, village: Village) -> None:
    listener = desk.open()  # somebody listens already: the server tells only what is new
    live(listener)

    def late(route: Route) -> None:
        time.sleep(0.2)
        village.do("report")
        expect(listener.locator(".feed li").first.get_by_role("link")).not_to_have_attribute(
            "href", before
        )
        route.continue_()

    before = _newest(listener)
    page = desk.open("/users")
    page.route("**/events*", late)
    page.goto("/")
    _changes(page, before)


def _newest(page: Page) -> str:
    return page.locator(".feed li").first.get_by_role("link").get_attribute("href") or ""


def _changes(page: Page, before: str) -> None:
    newest = page.locator(".feed li").first.get_by_role("link")
    expect(newest).not_to_have_attribute("href", before)
