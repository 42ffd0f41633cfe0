"""The 60-second story as it looks: the demo in a real browser, from the button that leads nowhere to the picture.

With `TRACEGRAM_PICTURES=docs/images` in the environment it also takes the pictures of docs/sixty-seconds.md.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import aiohttp
import pytest
from playwright.async_api import Locator, Page, expect

from tests.kit.browser import chromium, open_page

pytestmark = pytest.mark.browser

ALICE, ADA = 1001, 1000
#: A press of a button that the phone still showed when the message had moved on already.
PRESS = {"callback_data": "mm.help", "force": True}


async def _picture(page: Page, name: str) -> None:
    if folder := os.environ.get("TRACEGRAM_PICTURES"):
        await page.mouse.move(0, 0)
        await page.screenshot(path=Path(folder) / name)


async def _choose(page: Page, user: int) -> None:
    await page.locator(f"[data-user-id='{user}']").click()


async def _say(page: Page, text: str) -> None:
    await page.get_by_test_id("composer").fill(text)
    await page.get_by_test_id("composer").press("Enter")


def _button(page: Page, text: str) -> Locator:
    return page.get_by_test_id("keyboard-button").filter(has_text=text)


async def test_the_story(demo: str) -> None:
    async with (
        chromium() as browser,
        open_page(browser, demo, viewport={"width": 1440, "height": 900}) as (page, troubles),
        aiohttp.ClientSession(demo) as control,
    ):
        await _choose(page, ALICE)
        await _say(page, "/start")
        await _button(page, "Help").click()
        menu = page.get_by_test_id("message").filter(has_text="What I can do")
        await expect(menu).to_be_visible()
        message_id = int(await menu.get_attribute("data-message-id") or 0)
        async with control.post(
            f"/sandbox/users/{ALICE}/presses", json={"message_id": message_id, **PRESS}
        ) as made:
            update_id = (await made.json())["update_id"]
        await expect(page.get_by_test_id("alert")).to_contain_text("This button is out of date. Use /start.")
        await _picture(page, "story-1-button.png")
        await page.get_by_role("button", name="OK").click()

        await _choose(page, ADA)
        await _say(page, "/debug")
        overview = page.get_by_test_id("message-text").filter(has_text="Last traces · ACTIVE")
        await expect(overview).to_contain_text("1. ❌ callback_query · rejected, STATE_MISMATCH")
        await _picture(page, "story-2-debug.png")

        await _button(page, "Last CID").click()
        trace = page.get_by_test_id("message-text").filter(
            has_text="STATE_MISMATCH: the message had moved on"
        )
        await expect(trace).to_contain_text(
            f"update {update_id} (callback_query): done · rejected · STATE_MISMATCH"
        )
        cid = re.findall(r"[0-9a-f]{32}", await trace.inner_text())[0]
        await _picture(page, "story-3-reason.png")

        await _button(page, "Picture").click()
        photo = page.locator("a.photo img")
        await expect(photo).to_be_visible()
        assert await photo.evaluate("image => image.decode().then(() => image.naturalWidth)") == 1280
        await expect(page.get_by_test_id("message-text").last).to_have_text(f"cid {cid}")
        await _picture(page, "story-4-picture.png")
        assert troubles == []


async def test_a_job_and_its_picture(demo: str) -> None:
    async with chromium() as browser, open_page(browser, demo) as (page, troubles):
        await _choose(page, ALICE)
        await page.get_by_test_id("sample-link").first.click()
        await expect(page.get_by_test_id("audio")).to_have_count(1, timeout=20_000)
        await _choose(page, ADA)
        await _say(page, "/debug")
        await _button(page, "Slow").click()
        await _button(page, "1").first.click()
        await _button(page, "Picture").click()
        photo = page.locator("a.photo")
        await expect(photo).to_be_visible()
        async with (
            aiohttp.ClientSession(demo) as control,
            control.get(str(await photo.get_attribute("href"))) as file,
        ):
            png = await file.read()
        assert png.startswith(b"\x89PNG")
        if folder := os.environ.get("TRACEGRAM_PICTURES"):
            (Path(folder) / "waterfall.png").write_bytes(png)
        assert troubles == []
