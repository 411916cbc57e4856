"""Takes the README's pictures from a running ``gridtalk demo`` into ``docs/images``.

    python tests/browser/screenshots.py ADDRESS PASSWORD

with the address and the password that the demo prints. A picture that is too large for a README is
refused: quiet pages of few colours make small PNG files.
"""

import argparse
import shutil
import sys
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

IMAGES = Path(__file__).resolve().parents[2] / "docs/images"
#: The largest picture, in bytes: a README is read over slow lines too.
MOST_BYTES = 150_000
SIZES = {"wide": (1280, 920), "phone": (390, 844)}


def main() -> None:
    """Sign in and take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address")
    parser.add_argument("password")
    given = parser.parse_args()
    program = shutil.which("chromium") or sys.exit("install Debian's package chromium first")
    IMAGES.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for size in SIZES:
            _take_all(browser, size, given.address.rstrip("/"), given.password)
        browser.close()


def _take_all(browser: Browser, size: str, address: str, password: str) -> None:
    width, height = SIZES[size]
    context = browser.new_context(
        base_url=address,
        viewport={"width": width, "height": height},
        is_mobile=size == "phone",
        has_touch=size == "phone",
        color_scheme="light",
        locale="en",
    )
    page = context.new_page()
    page.goto("/sign-in")
    page.get_by_label("Name").fill("admin")
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/")
    page.locator("[data-live-light].on").wait_for(state="attached")
    _take(page, f"overview-{size}")
    page.goto("/phone")
    _talk(page)
    _take(page, f"phone-{size}")
    page.locator("#line").get_by_role("link").first.click()
    page.goto(f"{page.url.split('?')[0]}?span=24h")
    page.locator(".charts canvas").first.wait_for()
    _take(page, f"circuit-{size}")
    context.close()


def _talk(page: Page) -> None:
    """Buy a card and redeem it, as Amina: she texts in English, and has a week to show."""
    page.locator(".people a", has_text="Amina").first.click()
    page.get_by_role("button", name="Buy a scratch card").click()
    page.locator(".scratch").first.wait_for()
    for action in ("Balance", "Add credit"):
        heard = page.locator("#conversation .theirs").count()
        page.locator("[data-sample]", has_text=action).first.click()
        page.get_by_role("button", name="Send", exact=True).click()
        page.locator("#conversation .theirs").nth(heard).wait_for()
    page.wait_for_timeout(1500)  # the credit arrives beside the phone
    page.evaluate("scrollTo(0, innerWidth < 600 ? document.querySelector('.phone').offsetTop : 0)")


def _take(page: Page, name: str) -> None:
    page.wait_for_timeout(700)  # charts and icons are drawn
    taken = page.screenshot(animations="disabled", caret="hide")
    if len(taken) > MOST_BYTES:
        sys.exit(f"{name} has {len(taken)} bytes, more than {MOST_BYTES}")
    (IMAGES / f"{name}.png").write_bytes(taken)
    print(f"{name}: {len(taken)} bytes")


if __name__ == "__main__":
    main()
