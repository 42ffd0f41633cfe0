"""Takes the pictures of docs/sre.md while a test plays its story: only with `TRACEGRAM_PICTURES` in the environment."""

from __future__ import annotations

import os
from pathlib import Path

import aiohttp
from playwright.async_api import FloatRect, Page, expect

from deploy.grafana.preview import evidence
from deploy.grafana.preview.ask import Backends, ask
from deploy.grafana.preview.page import page
from deploy.grafana.source.__main__ import BOARDS
from deploy.native.configure import ADMIN
from deploy.native.run import Stack
from tests.kit.browser import chromium, open_page
from tests.stack.backends import Json, scopes
from tests.stack.bots import Bot

_FIELDS = ("severity_text", "logger", "error_type", "trace_id", "error_stack")
_SECONDS = 36


class Camera:
    """Draws what the programs of a stack say, and photographs it if there is a folder for the pictures."""

    def __init__(self, stack: Stack) -> None:
        self._backends = Backends(stack.prometheus, stack.tempo, stack.loki, _SECONDS)
        folder = os.environ.get("TRACEGRAM_PICTURES")
        self._folder = Path(folder) if folder else None

    async def alert(self, found: Json) -> None:
        """A firing alert."""
        await self._take("sre-1-alert.png", evidence.alert(found, found["state"]))

    async def board(self, slug: str) -> None:
        """The upper part of a dashboard."""
        [board] = [board for board in BOARDS if board.slug == slug]
        async with aiohttp.ClientSession() as session:
            answers = {
                panel.title: await ask(session, self._backends, panel)
                for row in board.rows
                for panel in row.panels
            }
        await self._take("sre-2-dashboard.png", page(board, answers, self._backends), 1460, 660)

    async def trace(self, cid: str, kept: Json) -> None:
        """A trace of Tempo."""
        steps = [_step(span) for scope in scopes(kept) for span in scope["spans"]]
        await self._take("sre-3-trace.png", evidence.trace(f"Trace {cid}", steps))

    async def record(self, found: Json) -> None:
        """A log record of Loki."""
        await self._take("sre-4-log.png", evidence.record(found, found["line"], _FIELDS))

    async def chat(self, here: Bot) -> None:
        """The admin's chat with the bot."""
        if self._folder:
            async with here.sandbox.get("/sandbox/state") as answer:
                address = str(answer.url.origin())
            async with (
                chromium() as browser,
                open_page(browser, address, viewport={"width": 1180, "height": 820}) as (shown, _),
            ):
                await shown.locator(f"[data-user-id='{ADMIN}']").click()
                await expect(shown.get_by_test_id("message").last).to_be_visible()
                await shown.screenshot(path=self._folder / "sre-5-debug.png")

    async def _take(self, name: str, html: str, width: int = 1200, height: int = 860) -> None:
        if self._folder:
            async with (
                chromium() as browser,
                open_page(browser, "about:blank", viewport={"width": width, "height": height}) as (shown, _),
            ):
                await shown.set_content(html)
                await shown.screenshot(path=self._folder / name, clip=await _whole(shown))


async def _whole(shown: Page) -> FloatRect:
    """The page as far as it is written, but no higher than the screen."""
    height = await shown.evaluate("Math.min(document.body.offsetHeight, window.innerHeight)")
    return FloatRect(x=0, y=0, width=await shown.evaluate("window.innerWidth"), height=height)


def _step(span: Json) -> evidence.Step:
    attributes = {one["key"]: next(iter(one["value"].values())) for one in span["attributes"]}
    return evidence.Step(
        span["spanId"],
        span.get("parentSpanId", ""),
        span["name"],
        int(span["startTimeUnixNano"]),
        int(span["endTimeUnixNano"]),
        span.get("status", {}).get("code") == "STATUS_CODE_ERROR",
        str(attributes.get("error.type", "")).rpartition(".")[2],
    )
