"""A real Chromium before a real server: one of each for all tests of this folder.

Every page is watched: an error or warning in the console, a request to another host, a violation of
the Content-Security-Policy or an answer that says no fails the test that saw it, unless the test
awaits it. A failure leaves pictures of its pages in a temporary folder, which the report names.
"""

import shutil
import tempfile
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, StorageState, expect, sync_playwright
from tests.browser.pages import PATIENCE_MS, Desk, Watch, sign_in
from tests.browser.village import Village

from gridtalk.web.frontend import BUILD, NOT_BUILT

#: Debian's package and its program; other systems call it otherwise.
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = [
    "--no-sandbox",  # CI is root
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--no-first-run",
]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With a failure, pictures of what the browser showed."""
    report = yield
    desk = getattr(item, "funcargs", {}).get("desk")
    if report.failed and report.when == "call" and desk is not None:
        folder = Path(tempfile.mkdtemp(prefix="gridtalk-pictures-"))
        report.sections.append(("pictures", "\n".join(desk.pictures(folder))))
    return report


@pytest.fixture(scope="package")
def chromium() -> str:
    """The browser's program."""
    found = next((path for name in PROGRAMS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    return found


@pytest.fixture(scope="package")
def village(chromium: str) -> Iterator[Village]:
    """A village of its own."""
    if not (BUILD / "manifest.json").exists():
        pytest.fail(NOT_BUILT, pytrace=False)
    # Not pytest's own folder: the database's user cannot enter that one.
    folder = Path(tempfile.mkdtemp(prefix="gridtalk-browser-"))
    folder.chmod(0o755)
    village = Village(folder)
    yield village
    village.end()
    shutil.rmtree(folder, ignore_errors=True)


# Of the package, not of the session: Playwright's event loop occupies the thread, and Django's
# database refuses to work beside one.
@pytest.fixture(scope="package")
def browser(chromium: str) -> Iterator[Browser]:
    """The browser."""
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture(scope="package")
def sessions(browser: Browser, village: Village) -> Callable[[str], StorageState]:
    """What a browser holds after a user has signed in; each signs in once."""
    known: dict[str, StorageState] = {}

    def session(user: str) -> StorageState:
        if user not in known:
            context = browser.new_context(base_url=village.url)
            context.set_default_timeout(PATIENCE_MS)
            sign_in(context.new_page(), user, village.passwords[user])
            known[user] = context.storage_state()
            context.close()
        return known[user]

    return session


@pytest.fixture
def desk(
    browser: Browser, village: Village, sessions: Callable[[str], StorageState]
) -> Iterator[Desk]:
    """Opens browsers; after the test nothing may have gone wrong in any of them."""
    desk = Desk(browser, village.url, sessions, Watch(village.url))
    yield desk
    desk.close()
    village.do("restore")
    assert desk.watch.problems() == []
