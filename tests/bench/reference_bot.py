"""The bot that is measured: 5 routers, 20 handlers, a message and a callback, each answered by two Bot API calls.

All of aiogram runs, also the building of forms and the reading of answers; only aiohttp is replaced. The update goes
to the middle router, and no filter hops to a thread.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Protocol

from aiogram import Bot, Dispatcher, Router
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.filters import Command
from aiogram.filters.callback_data import CallbackData
from aiogram.methods import AnswerCallbackQuery, EditMessageText, Response, SendChatAction, SendMessage
from aiogram.types import CallbackQuery, Message, Update

TOKEN = "7000000001:AAbench-token_of-the-reference-bot-x"
_ROUTERS = 5
_PAIRS = 2  # of a message handler and a callback handler in each router

_CHAT = {"id": 1001, "type": "private", "first_name": "Alice"}
_USER = {"id": 1001, "is_bot": False, "first_name": "Alice", "language_code": "en"}
_BOT_USER = {"id": 7000000001, "is_bot": True, "first_name": "Bench", "username": "bench_bot"}
_SENT = {
    "message_id": 78,
    "date": 1790000000,
    "chat": _CHAT,
    "from": _BOT_USER,
    "text": "Done: a song, 3:14",
    "reply_markup": {"inline_keyboard": [[{"text": "Again", "callback_data": "press2:9:menu"}]]},
}
_RESULTS: dict[str, object] = {
    "sendChatAction": True,
    "sendMessage": _SENT,
    "answerCallbackQuery": True,
    "editMessageText": _SENT,
}
_ANSWERS = {method: json.dumps({"ok": True, "result": result}) for method, result in _RESULTS.items()}

#: Pydantic knows `Response[...]` only weakly, so that any garbage collection may take it away, and the next answer pays
#: milliseconds for a new one. They are held here for all variants alike, lest chance decide who pays.
_HELD = [
    Response[method.__returning__]  # type: ignore[name-defined]
    for method in (SendChatAction, SendMessage, AnswerCallbackQuery, EditMessageText)
]


class Probe(Protocol):
    """What the bot's author calls in a handler; how it is told is the variant's affair."""

    def tell(self, name: str, **fields: str | int) -> None:
        """Log one event."""

    def delivered(self) -> None:
        """Count one delivery."""


class _Answer:
    status = 200

    def __init__(self, text: str) -> None:
        self._text = text

    async def text(self) -> str:
        return self._text

    async def __aenter__(self) -> _Answer:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        return None


class _Http:
    """Stands for `aiohttp.ClientSession`: answers by the last part of the address."""

    def post(self, url: str, **_: Any) -> _Answer:
        return _Answer(_ANSWERS[url.rpartition("/")[2]])


class StubSession(AiohttpSession):
    """aiogram's own session on a client that answers at once."""

    _http = _Http()

    async def create_session(self) -> Any:
        """Give the client that knows all answers."""
        return self._http


def _press(index: int) -> type[CallbackData]:
    class Press(CallbackData, prefix=f"press{index}"):
        item: int
        page: str

    return Press


def _asks(index: int) -> Callable[..., Coroutine[Any, Any, None]]:
    async def ask(message: Message, bot: Bot, probe: Probe) -> None:
        probe.tell("REQUEST_UNDERSTOOD", item=index, source="command")
        await bot.send_chat_action(message.chat.id, "upload_voice")
        probe.tell("ITEM_FOUND", item=index, cached=1, size=3145728)
        await message.answer("Done: a song, 3:14")
        probe.delivered()
        probe.tell("ITEM_DELIVERED", item=index, format="mp3")

    ask.__qualname__ = ask.__name__ = f"ask_{index}"
    return ask


def _presses(index: int) -> Callable[..., Coroutine[Any, Any, None]]:
    async def press(query: CallbackQuery, callback_data: Any, probe: Probe) -> None:
        probe.tell("PRESS_UNDERSTOOD", item=callback_data.item, page=callback_data.page)
        await query.answer()
        probe.tell("PAGE_FOUND", item=callback_data.item, cached=1, size=512)
        if isinstance(query.message, Message):
            await query.message.edit_text("Done: a song, 3:14")
        probe.delivered()
        probe.tell("PAGE_SHOWN", item=callback_data.item, format="mp3")

    press.__qualname__ = press.__name__ = f"press_{index}"
    return press


def build(probe: Probe) -> tuple[Dispatcher, Bot]:
    """The dispatcher and its bot. Handlers get `probe` by name."""
    dispatcher = Dispatcher()
    dispatcher["probe"] = probe
    for number in range(_ROUTERS):
        router = Router(name=f"router{number}")
        for index in range(number * _PAIRS, (number + 1) * _PAIRS):
            router.message(Command(f"ask{index}"))(_asks(index))
            router.callback_query(_press(index).filter())(_presses(index))
        dispatcher.include_router(router)
    return dispatcher, Bot(TOKEN, session=StubSession())


def updates(first: int, count: int) -> list[bytes]:
    """Updates as Telegram posts them: a message and a press in turn."""
    return [_update(first + offset) for offset in range(count)]


def parsed(raw: bytes, bot: Bot) -> Update:
    """An update as every variant reads it: once, with its bot."""
    return Update.model_validate_json(raw, context={"bot": bot})


def _update(update_id: int) -> bytes:
    middle = _ROUTERS * _PAIRS // 2
    if update_id % 2:
        message = {
            "message_id": 77,
            "date": 1790000000,
            "chat": _CHAT,
            "from": _USER,
            "text": f"/ask{middle}",
        }
        return json.dumps({"update_id": update_id, "message": message}).encode()
    query = {
        "id": str(update_id),
        "from": _USER,
        "message": _SENT,
        "chat_instance": "1",
        "data": f"press{middle}:9:menu",
    }
    return json.dumps({"update_id": update_id, "callback_query": query}).encode()
