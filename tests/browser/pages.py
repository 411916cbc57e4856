"""How the tests open pages and look at them."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    Response,
    StorageState,
)

#: How long a page may take to show what is awaited: the machine may be busy.
PATIENCE_MS = 15_000
DESKTOP, PHONE = (1280, 800), (390, 844)
WIDTHS = {"desktop": DESKTOP, "phone": PHONE}

_NOTE_VIOLATIONS = """
addEventListener("securitypolicyviolation", (event) =>
  console.error(`CSP: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile ?? ""}`));
"""


class Watch:
    """Notes whatever goes wrong in the pages of a test."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._seen: list[str] = []
        self._awaited: list[re.Pattern[str]] = []

    def context(self, context: BrowserContext) -> None:
        """Watch all pages of a browser context."""
        context.add_init_script(_NOTE_VIOLATIONS)
        context.on("console", self._console)
        context.on("weberror", lambda error: self._seen.append(f"script error: {error.error}"))
        context.on("request", self._request)
        context.on("response", self._response)

    def expect(self, pattern: str) -> None:
        """The test awaits such problems."""
        self._awaited.append(re.compile(pattern))

    def seen(self, pattern: str) -> bool:
        """Whether such a problem was noted."""
        return any(re.search(pattern, one) for one in self._seen)

    def problems(self) -> list[str]:
        """What nobody awaited."""
        return [
            one for one in self._seen if not any(pattern.search(one) for pattern in self._awaited)
        ]

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            where = message.location.get("url", "")
            self._seen.append(f"console {message.type} on {where}: {message.text}")

    def _request(self, request: Request) -> None:
        if not request.url.startswith((f"{self._url}/", "data:", "blob:")):
            self._seen.append(f"a request to another host: {request.url}")

    def _response(self, response: Response) -> None:
        if response.status >= 400:
            self._seen.append(f"status {response.status} of {response.url}")


class Desk:
    """Browsers for one test; ``open`` gives a page in a browser of its own."""

    def __init__(
        self, browser: Browser, url: str, sessions: Callable[[str], StorageState], watch: Watch
    ) -> None:
        self.watch = watch
        self.url = url
        self._browser, self._sessions = browser, sessions
        self._contexts: list[BrowserContext] = []

    def open(
        self,
        address: str = "/",
        *,
        user: str | None = "ada",
        size: tuple[int, int] = DESKTOP,
        scripts: bool = True,
        scheme: Literal["light", "dark"] = "light",
    ) -> Page:
        """A page at the address, signed in as the user; nobody is for None."""
        context = self._browser.new_context(
            base_url=self.url,
            viewport={"width": size[0], "height": size[1]},
            has_touch=size == PHONE,
            is_mobile=size == PHONE,
            java_script_enabled=scripts,
            color_scheme=scheme,
            storage_state=self._sessions(user) if user else None,
            reduced_motion="reduce",
        )
        context.set_default_timeout(PATIENCE_MS)
        self.watch.context(context)
        self._contexts.append(context)
        page = context.new_page()
        page.goto(address)
        return page

    def pictures(self, folder: Path) -> list[str]:
        """Take a picture of every page that is open; where each is."""
        found = []
        for context in self._contexts:
            for page in context.pages:
                path = folder / f"{len(found) + 1}.png"
                page.screenshot(path=path, full_page=True)
                found.append(f"{path}: {page.url}")
        return found

    def close(self) -> None:
        """Close all of them."""
        for context in self._contexts:
            context.close()


def sign_in(page: Page, user: str, password: str) -> None:
    """Sign in on the sign-in page, and wait for the page behind it."""
    page.goto("/sign-in")
    page.get_by_label("Name").fill(user)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/")


def live(page: Page) -> None:
    """Wait until the page's stream of events is open."""
    page.locator("[data-live-light].on").wait_for(state="attached")


def stay(page: Page) -> Callable[[], bool]:
    """Mark the page; what is given back says whether it was never loaded again since."""
    page.evaluate("window.stayed = true")
    return lambda: bool(page.evaluate("window.stayed === true"))
