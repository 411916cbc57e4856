"""Every page that an administrator reaches, wide and narrow, light and dark, by mouse and keys."""

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect
from tests.browser.pages import PHONE, WIDTHS, Desk
from tests.browser.village import Village

pytestmark = pytest.mark.browser

CHECKS = Path(__file__).with_name("checks.js").read_text()
#: Pages of the same kind differ in a number only; one of each is looked at.
MOST_PAGES = 60
#: For programs, not for people.
NO_PAGES = {"/api/openapi.json"}
#: What the pages of the navigation lead to, so that a crawl which finds little is noticed.
WANTED = {
    "/", "/meters", "/meters/1", "/meters/add", "/meters/1/circuits/add", "/circuits/1",
    "/circuits/1/account", "/messages", "/messages/1", "/messages/send", "/alerts", "/jobs",
    "/jobs/1", "/tokens", "/tokens/1", "/tokens/add", "/interfaces", "/interfaces/add/kannel",
    "/system-log", "/phone", "/users", "/users/1", "/users/add", "/groups/1", "/groups/add",
    "/audit", "/profile", "/api/docs",
}  # fmt: skip
_GROUND = "getComputedStyle(document.body).backgroundColor"
_LINKS = "[...document.querySelectorAll('a[href]')].map((link) => link.href)"
#: Where the keyboard stands, and whether that can be seen.
_FOCUS = """() => {
  const node = document.activeElement;
  if (!node || node === document.body) return null;
  const style = getComputedStyle(node);
  const box = node.getBoundingClientRect();
  return {
    what: (node.getAttribute("aria-label") ?? node.labels?.[0]?.textContent ?? node.textContent)
      .trim().replace(/\\s+/g, " "),
    seen: box.width > 0 && box.height > 0 &&
      ((style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0) ||
        style.boxShadow !== "none"),
  };
}"""


def kind_of(address: str) -> str:
    """The address without its query, its numbers all alike."""
    return re.sub(r"/\d+", "/1", urlsplit(address).path)


@pytest.fixture(scope="package")
def happened(village: Village) -> None:
    """There is a job, a batch and an alert to be looked at."""
    village.do("happen")


@pytest.mark.parametrize("width", WIDTHS)
def test_every_page_is_sound(desk: Desk, village: Village, happened: None, width: str) -> None:
    page = desk.open(size=WIDTHS[width])
    found: dict[str, str] = {"/": f"{desk.url}/"}
    wrong: list[str] = []
    looked: set[str] = set()
    while left := [kind for kind in found if kind not in looked]:
        kind = left[0]
        looked.add(kind)
        wrong += [f"{found[kind]}: {what}" for what in _looked_at(page, found[kind])]
        for address in page.evaluate(_LINKS):
            if address.startswith(desk.url) and kind_of(address) not in NO_PAGES:
                found.setdefault(kind_of(address), address)
        assert len(found) <= MOST_PAGES, sorted(found)
    assert wrong == []
    assert looked >= WANTED, sorted(WANTED - looked)


def _looked_at(page: Page, address: str) -> list[str]:
    """What is wrong with the page at the address, in both schemes."""
    page.emulate_media(color_scheme="light")
    answer = page.goto(address)
    if answer is None or answer.status != 200:
        return [f"answered {answer and answer.status}"]
    wrong: list[str] = page.evaluate(CHECKS)
    light = _ground(page)
    page.emulate_media(color_scheme="dark")
    for _ in range(40):  # the page hears of it in its own time
        if _ground(page) != light:
            return wrong
        page.wait_for_timeout(50)
    return [*wrong, "it is not dark where the system is"]


def _ground(page: Page) -> str:
    ground: str = page.evaluate(_GROUND)
    return ground


def test_the_colours_can_be_chosen_and_stay(desk: Desk) -> None:
    page = desk.open("/meters")
    light = _ground(page)
    switch = page.get_by_role("button", name="Colours")
    switch.click()  # as the system → light
    switch.click()  # light → dark
    assert _ground(page) != light
    page.reload()
    assert _ground(page) != light


@pytest.mark.parametrize(
    ("address", "actions"),
    [
        ("/sign-in", ["Name", "Password", "Sign in"]),
        ("/tokens", ["Skip to the page", "Tokens", "Language", "Make tokens"]),
        ("/circuits/{}", ["Turn on", "Turn off", "Ping", "Credit", "Reason", "Add the credit"]),
        ("/phone?circuit={}", ["Text", "Send", "Buy a scratch card"]),
    ],
)
def test_the_keyboard_reaches_what_matters_and_is_seen(
    desk: Desk, village: Village, address: str, actions: list[str]
) -> None:
    signed_in = None if address == "/sign-in" else "ada"
    page = desk.open(address.format(village.circuits["Okello"]), user=signed_in)
    stops: list[str] = []
    unseen: list[str] = []
    if page.evaluate(_FOCUS) is None:  # some pages put it where one begins to write
        page.keyboard.press("Tab")
    for _ in range(80):
        stop = page.evaluate(_FOCUS)
        if stop is None:
            break
        stops.append(stop["what"])
        if not stop["seen"]:
            unseen.append(stop["what"])
        page.keyboard.press("Tab")
    assert unseen == []
    places = [stops.index(action) for action in actions if action in stops]
    assert len(places) == len(actions), stops
    assert places == sorted(places), "the keyboard goes another way than the eye"


def test_the_skip_link_leads_past_the_navigation(desk: Desk) -> None:
    page = desk.open("/tokens")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Make tokens").first).to_be_focused()


def test_the_menu_of_a_phone_opens_and_leads_on(desk: Desk) -> None:
    page = desk.open(size=PHONE)
    page.get_by_text("More", exact=True).tap()
    page.locator(".sheet").get_by_role("link", name="Audit trail").tap()
    expect(page.get_by_role("heading", level=1)).to_have_text("Audit trail")
