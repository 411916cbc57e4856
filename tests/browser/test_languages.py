"""The pages speak the language that is chosen, and go on speaking it."""

import pytest
from playwright.sync_api import expect
from tests.browser.pages import WIDTHS, Desk

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(
    ("code", "meters", "alerts"),
    [
        ("fr", "Compteurs", "Alertes"),
        ("zh-hant", "電表", "警示"),
    ],
)
def test_the_language_changes_the_page_and_stays(
    desk: Desk, width: str, code: str, meters: str, alerts: str
) -> None:
    page = desk.open("/meters?search=Kit", size=WIDTHS[width])
    page.locator("select[name=language]").select_option(code)
    navigation = page.locator("nav:visible").first
    expect(navigation.get_by_role("link", name=meters, exact=True)).to_be_visible()
    assert page.url.endswith("/meters?search=Kit"), "the same page, its filter with it"
    page.reload()
    expect(navigation.get_by_role("link", name=alerts, exact=True)).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_have_text(meters)
    assert page.locator("html").get_attribute("lang") == code
    page.locator("select[name=language]").select_option("en")
    expect(page.get_by_role("heading", level=1)).to_have_text("Meters")
