"""The loop in the browser: tokens are made, one is redeemed on the phone, the light is switched."""

import csv
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.browser.pages import WIDTHS, Desk, live, sign_in, stay
from tests.browser.village import Village

pytestmark = pytest.mark.browser


def test_a_wrong_password_is_told_and_the_right_one_opens(desk: Desk, village: Village) -> None:
    page = desk.open("/meters", user=None)
    expect(page).to_have_title("Sign in · Gridtalk")
    page.get_by_label("Name").fill("ada")
    page.get_by_label("Password").fill("not hers")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("The name or the password is wrong.")
    page.get_by_label("Password").fill(village.passwords["ada"])
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Meters")


def test_signing_out_closes_the_pages(desk: Desk, village: Village) -> None:
    page = desk.open("/sign-in", user=None)  # a session of its own: this one ends
    sign_in(page, "vera", village.passwords["vera"])
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    page.goto("/meters")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")


@pytest.mark.parametrize(("width", "person"), [("desktop", "Amina"), ("phone", "Zawadi")])
def test_a_token_becomes_credit_before_the_operators_eyes(
    desk: Desk, village: Village, tmp_path: Path, width: str, person: str
) -> None:
    size = WIDTHS[width]
    token = _token_made(desk.open("/tokens", size=size), tmp_path)
    circuit = desk.open(f"/circuits/{village.circuits[person]}", size=size)
    live(circuit)
    stayed = stay(circuit)
    before = _credit(circuit)
    phone = desk.open(f"/phone?circuit={village.circuits[person]}", size=size)
    live(phone)

    village.do("meter_unreachable")
    village.do("hold")
    phone.get_by_label("Text", exact=True).fill(f"add.{village.pins[person]}.{token}")
    phone.get_by_role("button", name="Send", exact=True).click()
    expect(phone.locator("#conversation .mine").last).to_contain_text(token)

    job = circuit.locator("tbody tr").filter(has_text="Add credit").first
    expect(job).to_contain_text("waiting")
    village.do("release")
    expect(job).to_contain_text("sent")
    assert _credit(circuit) == before, "the credit is the meter's word, and it has said nothing yet"
    village.do("meter_reachable")
    expect(job).to_contain_text("done")

    expect(circuit.locator("#live-head .figures b").first).not_to_have_text(f"{before:.2f}")
    assert before + 24 < _credit(circuit) <= before + 25
    assert stayed(), "the page was loaded again"
    answer = phone.locator("#conversation .theirs").last
    expect(answer).to_contain_text(village.pins[person])
    expect(answer).to_contain_text(f"{_credit(circuit):.2f}")
    expect(phone.locator("#line")).to_contain_text(f"{_credit(circuit):.2f}")


@pytest.mark.parametrize(("width", "person"), [("desktop", "Amina"), ("phone", "Zawadi")])
def test_a_circuit_is_switched_off_and_on_from_its_page(
    desk: Desk, village: Village, width: str, person: str
) -> None:
    page = desk.open(f"/circuits/{village.circuits[person]}", size=WIDTHS[width])
    head = page.locator("#live-head .head")
    for button, state in (("Turn off", "off"), ("Turn on", "on")):
        page.get_by_role("button", name=button).click()
        expect(page.get_by_role("heading", level=1)).to_have_text(button)
        stayed = stay(page)
        expect(head.locator(".state")).to_have_text("done")
        expect(page.locator("#live-head")).to_contain_text("The meter carried it out.")
        assert stayed(), "the page was loaded again"
        page.locator(".crumbs").get_by_role("link", name=village.pins[person]).click()
        expect(head.locator(".state")).to_have_text(state)


def test_credit_that_nobody_confirmed_is_confirmed_by_a_person(
    desk: Desk, village: Village
) -> None:
    village.do("credit_lost")
    overview = desk.open()
    overview.get_by_role("link", name="1 credit is unconfirmed").click()
    overview.locator("main tbody").get_by_role("link", name="Add credit").click()
    onlooker = desk.open(overview.url, user="vera")
    live(onlooker)
    stayed = stay(onlooker)
    form = overview.locator("form", has=overview.get_by_role("heading", name="Confirm it"))
    form.get_by_label("Reason").fill("the lamp is on")
    form.get_by_role("button", name="Confirm the credit").click()
    for page in (overview, onlooker):
        expect(page.locator("#live-head .head .state")).to_have_text("done")
        expect(page.locator("#live-rest")).to_contain_text("Credit arrived at the meter")
    assert stayed(), "the page was loaded again"
    expect(overview.get_by_role("heading", name="Confirm it")).to_have_count(0)


def test_a_job_that_is_taken_back_is_seen_at_once_by_others(desk: Desk, village: Village) -> None:
    interfaces = desk.open("/interfaces")
    interfaces.get_by_role("button", name="Stop it").click()
    try:
        page = desk.open(f"/circuits/{village.circuits['Jean-Bosco']}")
        page.get_by_role("button", name="Turn on").click()
        onlooker = desk.open(page.url, user="vera")
        live(onlooker)
        expect(onlooker.locator("#live-head .head .state")).to_have_text("waiting")
        page.get_by_role("button", name="Take it back").click()
        expect(onlooker.locator("#live-head .head .state")).to_have_text("cancelled")
    finally:
        interfaces.get_by_role("button", name="Start it").click()


@pytest.mark.parametrize("width", WIDTHS)
def test_a_circuit_is_added_to_a_meter(desk: Desk, village: Village, width: str) -> None:
    page = desk.open(f"/meters/{village.meter}", size=WIDTHS[width])
    page.get_by_role("link", name="Add a circuit").click()
    page.get_by_label("Customer").fill(f"Nakku {width}")
    page.get_by_label("Power limit, W").fill("60")
    page.get_by_role("button", name="Add the circuit").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Nakku {width}")
    expect(page.get_by_role("status").last).to_contain_text("Its account number is")
    expect(page.locator("main")).to_contain_text("60 W, 500 Wh a day")


def _token_made(page: Page, folder: Path) -> str:
    """Make a batch of two tokens worth 25 each in the page; the number of one of them."""
    page.get_by_role("link", name="Make tokens").first.click()
    page.get_by_label("How many").fill("2")
    page.get_by_label("Worth each").fill("25")
    page.get_by_role("button", name="Make them").click()
    with page.expect_download() as downloading:
        page.get_by_role("button", name="Download the numbers").click()
    downloading.value.save_as(folder / "tokens.csv")
    with (folder / "tokens.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2
    return rows[0]["number"]


def _credit(page: Page) -> float:
    return float(page.locator("#live-head .figures b").first.inner_text().replace("≈", "").strip())
