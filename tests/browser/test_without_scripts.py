"""Where scripts are off, the pages are forms and links, and still do everything."""

import pytest
from playwright.sync_api import Page, expect
from tests.browser.pages import WIDTHS, Desk, sign_in
from tests.browser.village import Village

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("width", WIDTHS)
def test_sign_in_and_switch_a_circuit_off_and_on(desk: Desk, village: Village, width: str) -> None:
    page = desk.open("/sign-in", user=None, scripts=False, size=WIDTHS[width])
    sign_in(page, "ada", village.passwords["ada"])
    circuit = f"/circuits/{village.circuits['Okello']}"
    for button in ("Turn off", "Turn on"):
        page.goto(circuit)
        page.get_by_role("button", name=button).click()
        expect(page.get_by_role("heading", level=1)).to_have_text(button)
        _becomes_done(page)


def test_the_phone_and_the_language_work(desk: Desk, village: Village) -> None:
    page = desk.open(f"/phone?circuit={village.circuits['Jean-Bosco']}", scripts=False)
    page.get_by_label("Text", exact=True).fill(f"solde {village.pins['Jean-Bosco']}")
    page.get_by_role("button", name="Send", exact=True).click()
    answer = page.locator("#conversation .theirs", has_text=village.pins["Jean-Bosco"])
    for _ in range(20):
        if answer.count():
            break
        page.wait_for_timeout(250)
        page.reload()
    expect(answer.first).to_be_visible()
    page.locator("select[name=language]").select_option("fr")
    page.get_by_role("button", name="Use it").click()
    expect(page.locator("nav:visible").first).to_contain_text("Compteurs")


def _becomes_done(page: Page) -> None:
    state = page.locator("#live-head .head .state")
    for _ in range(40):
        if state.inner_text().strip() == "done":
            return
        page.wait_for_timeout(250)
        page.reload()
    pytest.fail(f"the job is {state.inner_text()} after 10 s", pytrace=False)
