"""What strangers write stays text, and no script runs that is not ours."""

import pytest
from playwright.sync_api import Page, Route, expect
from tests.browser.pages import Desk, live
from tests.browser.village import Village

pytestmark = pytest.mark.browser

#: As a stranger's text: with it, and without the rules of the page, the script would run.
ATTACK = "<img src=x onerror=window.ran=1><script>window.ran=1</script><b>hello</b>"
ALLOWED = {"'self'", "'none'", "data:"}


@pytest.mark.parametrize("address", ["/", "/sign-in", "/api/docs", "/meters/999999"])
def test_the_policy_is_strict_on_every_kind_of_answer(desk: Desk, address: str) -> None:
    desk.watch.expect("404")
    page = desk.open()
    answer = page.goto(address)
    assert answer is not None
    policy = {
        words[0]: set(words[1:])
        for part in answer.headers["content-security-policy"].split(";")
        if (words := part.split())
    }
    assert policy["default-src"] | policy["script-src"] <= {"'self'"}
    assert set().union(*policy.values()) <= ALLOWED, "no inline code, no other host"
    assert policy["frame-ancestors"] == policy["object-src"] == policy["base-uri"] == {"'none'"}
    assert policy["form-action"] == {"'self'"}


def test_an_injected_script_does_not_run(desk: Desk) -> None:
    def inject(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, body=answer.text().replace("</main>", f"{ATTACK}</main>"))

    desk.watch.expect("CSP|Content Security Policy|status 404 of .*/x$|status of 404")
    page = desk.open("/meters")
    page.route("**/tokens", inject)
    page.goto("/tokens")
    expect(page.locator("main b", has_text="hello")).to_be_visible()  # it was injected
    _did_not_run(page)
    assert desk.watch.seen("CSP: script-src-elem inline")
    assert desk.watch.seen("CSP: script-src-attr inline")
    with_code = "setTimeout('window.ran = 1', 0); new Promise((done) => setTimeout(done, 50))"
    page.evaluate(with_code)
    _did_not_run(page)
    page.evaluate(
        "() => { const made = document.createElement('script'); made.text = 'window.ran = 1'; "
        "document.body.append(made); }"
    )
    _did_not_run(page)


def test_a_strangers_text_is_shown_as_text(desk: Desk, village: Village) -> None:
    overview = desk.open()
    live(overview)
    phone = desk.open(f"/phone?circuit={village.circuits['<b>Nakato</b> & “Sons”']}")
    phone.get_by_label("Text", exact=True).fill(ATTACK)
    phone.get_by_role("button", name="Send", exact=True).click()
    expect(phone.locator("#conversation .mine").last.locator("p")).to_have_text(ATTACK)
    expect(phone.locator(".people")).to_contain_text("<b>Nakato</b> & “Sons”")
    expect(overview.locator(".feed li", has_text=ATTACK[:40]).first).to_be_visible()
    overview.locator(".feed li", has_text=ATTACK[:40]).get_by_role("link").first.click()
    expect(overview.locator(".sms")).to_have_text(ATTACK)
    messages = desk.open("/messages")
    expect(messages.get_by_text(ATTACK[:40]).first).to_be_visible()
    for page in (overview, phone, messages):
        assert page.locator("main img").count() == 0
        _did_not_run(page)


def _did_not_run(page: Page) -> None:
    assert page.evaluate("window.ran") is None
