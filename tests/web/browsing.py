"""Pages in a real Chromium, for tests of whole workflows."""

import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from tests.running import Place

__all__ = ["IN_CHROMIUM", "Opened", "browser", "opened", "press"]

CHROMIUM = shutil.which("chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WAIT_MS = 15_000

IN_CHROMIUM = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here (Debian's package: chromium)"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

Opened = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def opened(browser: Browser, place: Place) -> Iterator[Opened]:
    """Open a page in a browser of its own; at the end nothing may have gone wrong in any."""
    troubles: list[str] = []
    with ExitStack() as stack:

        def open_page(url: str, **options: object) -> Page:
            options = {"viewport": {"width": 1280, "height": 720}} | options
            context = browser.new_context(**options)
            stack.callback(context.close)
            page = context.new_page()
            page.set_default_timeout(WAIT_MS)
            page.on("pageerror", lambda error: troubles.append(str(error)))
            page.on("console", lambda said: troubles.append(said.text) if is_trouble(said) else None)
            page.on("dialog", lambda dialog: troubles.append(dialog.message))
            page.expose_function("hit", lambda: troubles.append("a string of a file was run"))
            page.goto(url)
            return page

        yield open_page
    assert troubles == [], troubles
    with closing(sqlite3.connect(place.db, timeout=30)) as connection, connection:
        connection.execute("DELETE FROM reservations")  # of pages that were closed without a word


def is_trouble(said: ConsoleMessage) -> bool:
    """An error that a page met, except those that some tests are of.

    An image is missing, a label is turned away, the server is started anew.
    """
    missing = "404" in said.text and "/image/" in said.location["url"]
    missing = missing or ("409" in said.text and "/original/" in said.location["url"])
    turned_away = re.search(r"\b(401|408|502)\b", said.text) and said.location["url"].endswith(("/label", "/annotate"))
    is_away = "ERR_CONNECTION_REFUSED" in said.text
    return said.type == "error" and not missing and not turned_away and not is_away


def press(page: Page, key: str) -> None:
    """A key, and what it does to the picture."""
    page.keyboard.press(key)
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
