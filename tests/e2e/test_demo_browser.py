"""The main job as a newcomer plays it: `tracegram demo`, a real browser, one click on the sample, and the trace of it."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, expect

from tests.kit.browser import chromium, open_page

pytestmark = pytest.mark.browser


async def _row_names(page: Page) -> list[str]:
    rows = page.get_by_test_id("trace-row")
    return [(await row.get_attribute("data-name")) or "" for row in await rows.all()]


async def test_a_newcomer_gets_the_mp3_and_sees_its_trace(demo: str) -> None:
    async with chromium() as browser, open_page(browser, demo) as (page, troubles):
        await page.get_by_test_id("sample-link").first.click()
        audio = page.get_by_test_id("audio")
        await expect(audio).to_have_count(1, timeout=20_000)
        await expect(
            page.get_by_test_id("message-text").get_by_text("✅ Done: here is your mp3.")
        ).to_be_visible()

        # It plays.
        element = page.locator("audio").first
        await element.evaluate("a => a.play()")
        await page.wait_for_function("a => a.currentTime > 0", arg=await element.element_handle())
        assert 59 < await element.evaluate("a => a.duration") < 61

        # The newest message's trace is the job's.
        result = page.get_by_test_id("message").filter(has=page.locator("audio"))
        await result.click()
        cid = (await result.get_by_test_id("message-text").inner_text()).removeprefix("cid ").strip()
        await expect(page.get_by_test_id("trace-id")).to_have_text(cid)
        await expect(page.get_by_test_id("trace-row").filter(has_text="sendAudio")).to_be_visible()

        # Ada asks for it.
        await page.locator("[data-user-id='1000']").click()
        await page.get_by_test_id("composer").fill(f"/debug {cid}")
        await page.get_by_test_id("composer").press("Enter")
        answer = page.get_by_test_id("message-text").filter(has_text="process jobs.download")
        await expect(answer).to_be_visible()
        assert cid in await answer.inner_text()
        assert troubles == []
