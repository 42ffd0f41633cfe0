"""A real headless Chromium for tests, and a page in it that tells of every error that its scripts made."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def find_chromium(path: str | None = None) -> str:
    """Where the browser is; `path` replaces the search path.

    Raises:
        AssertionError: There is none. Without it the chat page is untested, so this is a failure, not a skip.
    """
    for name in NAMES:
        found = shutil.which(name, path=path)
        if found:
            return found
    raise AssertionError(
        "No Chromium found, and the tests of the chat page need one: run `make setup`, which installs it "
        "(on Debian by hand: apt-get install chromium)."
    )


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A browser with a user data directory of its own, which goes when it ends."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=find_chromium(), args=list(FLAGS))
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def open_page(
    browser: Browser, url: str, **context_options: Any
) -> AsyncIterator[tuple[Page, list[str]]]:
    """A page in a context of its own, and the list of what went wrong in it (also breaches of its CSP)."""
    context = await browser.new_context(
        **{"locale": "en-GB", "viewport": {"width": 1400, "height": 860}} | context_options
    )
    context.set_default_timeout(10_000)
    troubles: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            troubles.append(message.text)

    try:
        page = await context.new_page()
        page.on("console", note)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        await page.goto(url)
        yield page, troubles
    finally:
        await context.close()
