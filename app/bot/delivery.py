"""Brings a job's news into the chat: the port `Deliver` of the job queue, on Telegram."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiogram import Bot
from aiogram.exceptions import (
    AiogramError,
    TelegramBadRequest,
    TelegramEntityTooLarge,
    TelegramForbiddenError,
    TelegramNotFound,
)
from aiogram.types import FSInputFile, ReplyParameters

from app.bot.middlewares.retry import once
from app.bot.screens import Screen
from app.bot.screens import job as screens
from app.errors import DeliveryFailed, DeliveryRefused, TooLarge
from app.jobs.ports import Job, Limits, MediaResult, Progress
from app.telemetry.context import support_code

_UPLOAD_TIMEOUT_S = 300


class Delivery:
    """Edits the progress message, sends the file, explains a failure."""

    def __init__(self, bot: Bot, limits: Limits) -> None:
        self._bot = bot
        self._texts = {
            "max_mb": str(limits.max_bytes // (1024 * 1024)),
            "max_minutes": str(round(limits.max_duration_s / 60)),
        }
        self._shown: dict[int, str] = {}

    async def progress(self, job: Job, progress: Progress) -> None:
        """Edit the progress message, unless it says so already."""
        screen = screens.progress(job.language, progress.stage, progress.fraction)
        if self._shown.get(job.id) != screen.text:
            self._shown[job.id] = screen.text
            with once():
                await self._edit(job, screen)

    async def result(self, job: Job, result: MediaResult, cid: str) -> None:
        """Send the mp3 as an answer to the user's message."""
        self._shown.pop(job.id, None)
        async with _explained():
            await self._bot.send_audio(
                job.chat_id,
                FSInputFile(result.path, filename=f"{_file_name(result.title)}.mp3"),
                caption=screens.result_caption(job.language, cid),
                title=result.title,
                performer=result.performer,
                duration=round(result.duration_s) if result.duration_s else None,
                reply_parameters=ReplyParameters(
                    message_id=job.reply_to_message_id, allow_sending_without_reply=True
                ),
                request_timeout=_UPLOAD_TIMEOUT_S,
            )

    async def done(self, job: Job) -> None:
        """Close the progress message."""
        await self._edit(job, screens.done(job.language))

    async def failure(self, job: Job, text_key: str, cid: str) -> None:
        """Turn the progress message into the sentence and the support code."""
        self._shown.pop(job.id, None)
        await self._edit(job, screens.failure(job.language, text_key, support_code(cid), **self._texts))

    async def _edit(self, job: Job, screen: Screen) -> None:
        async with _explained():
            try:
                await self._bot.edit_message_text(
                    screen.text, chat_id=job.chat_id, message_id=job.progress_message_id
                )
            except TelegramBadRequest as error:
                if "message is not modified" not in error.message:
                    raise  # said already, by the worker that had the job before


@asynccontextmanager
async def _explained() -> AsyncIterator[None]:
    """Tell the worker in its own words why Telegram did not take something."""
    try:
        yield
    except TelegramEntityTooLarge as error:
        raise TooLarge from error
    except (TelegramForbiddenError, TelegramNotFound, TelegramBadRequest) as error:
        raise DeliveryRefused from error
    except AiogramError as error:  # also an answer that is no JSON
        raise DeliveryFailed from error


def _file_name(title: str) -> str:
    """A title as a file name that every system takes."""
    kept = "".join(c if c.isalnum() or c in " ._-()" else "_" for c in title).strip(" .")
    return kept[:80] or "audio"
