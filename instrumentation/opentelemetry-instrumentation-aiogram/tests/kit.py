"""What the tests share: a Bot API in memory, updates as Telegram sends them, and what was exported."""

from collections import deque
from collections.abc import AsyncGenerator
from typing import Any

from aiogram import Bot
from aiogram.client.session.base import BaseSession
from aiogram.methods import TelegramMethod
from aiogram.types import Chat, Message
from opentelemetry.sdk.metrics.export import HistogramDataPoint, NumberDataPoint
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

TOKEN = "4242424242:AAFakeTokenOfTheTests_0123456789-abc"
USER_ID = 7700770077
SECRET_TEXT = "my-secret-text"
USER = {"id": USER_ID, "is_bot": False, "first_name": "Ada-Secret", "username": "ada_secret"}
CHAT = {"id": USER_ID, "type": "private", "first_name": "Ada-Secret"}
SECRETS = (TOKEN, TOKEN.partition(":")[2], SECRET_TEXT, str(USER_ID), "Ada-Secret", "ada_secret")

# What the span of every update, and of every update with a message, says at its start.
PROCESS = {
    "messaging.system": "telegram",
    "messaging.operation.name": "process",
    "messaging.operation.type": "process",
}
MESSAGE_UPDATE = {
    **PROCESS,
    "messaging.destination.name": "message",
    "telegram.update.type": "message",
}


class OutOfPaperError(Exception):
    """An error of the bot's own."""


async def do_nothing(event: Any) -> None:
    """A handler that is content with what it got."""


def qualified(thing: Any) -> str:
    """The name of a function or class, as telemetry has it."""
    return f"{thing.__module__}.{thing.__qualname__}"


class FakeSession(BaseSession):
    """Answers each call with the next scripted answer, or with a message of id 900."""

    def __init__(self, *answers: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.answers = deque(answers)
        self.requests: list[TelegramMethod[Any]] = []

    async def close(self) -> None:
        """There is nothing to close."""

    async def make_request(self, bot: Bot, method: TelegramMethod[Any], timeout: int | None = None) -> Any:
        """Play the next answer."""
        self.requests.append(method)
        answer = self.answers.popleft() if self.answers else sent_message(900)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    async def stream_content(self, *args: Any, **kwargs: Any) -> AsyncGenerator[bytes, None]:
        """There are no files."""
        yield b""


def bot_with(*answers: Any, **kwargs: Any) -> Bot:
    """A bot whose calls get these answers; an exception is raised."""
    return Bot(TOKEN, session=FakeSession(*answers, **kwargs))


def sent_message(message_id: int) -> Message:
    """What Telegram returns for a message that was sent."""
    return Message.model_validate(
        {"message_id": message_id, "date": 1_700_000_000, "chat": CHAT, "text": "x"}
    )


def private_chat() -> Chat:
    """The chat of the updates below."""
    return Chat.model_validate(CHAT)


def message(update_id: int = 1, text: str = SECRET_TEXT) -> dict[str, Any]:
    """An update with a message, as JSON."""
    body = {"message_id": 5, "date": 1_700_000_000, "chat": CHAT, "from": USER, "text": text}
    return {"update_id": update_id, "message": body}


def callback_query(update_id: int = 2, data: str = SECRET_TEXT) -> dict[str, Any]:
    """An update with the press of an inline button, as JSON."""
    pressed = {"message_id": 6, "date": 1_700_000_000, "chat": CHAT, "text": "menu"}
    body = {"id": "99", "from": USER, "chat_instance": "1", "data": data, "message": pressed}
    return {"update_id": update_id, "callback_query": body}


class Spans:
    """The finished spans of a test."""

    def __init__(self, exporter: InMemorySpanExporter) -> None:
        self._exporter = exporter

    @property
    def all(self) -> tuple[ReadableSpan, ...]:
        """In the order in which they ended."""
        return self._exporter.get_finished_spans()

    @property
    def names(self) -> list[str]:
        """In the order in which they ended."""
        return [span.name for span in self.all]

    def one(self, name: str) -> ReadableSpan:
        """The only span of this name."""
        (span,) = (span for span in self.all if span.name == name)
        return span

    def as_text(self) -> str:
        """Everything that was recorded, as one text to search for secrets."""
        return "\n".join(span.to_json() for span in self.all)


class Measured:
    """The metrics of a test."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader

    def points(self) -> dict[str, list[tuple[float, dict[str, Any]]]]:
        """Of each metric, how often it was recorded under which attributes; nothing of seconds, which are chance."""
        found: dict[str, list[tuple[float, dict[str, Any]]]] = {}
        for metric in self.metrics():
            found[metric.name] = [
                (
                    point.count if isinstance(point, HistogramDataPoint) else point.value,
                    dict(point.attributes or {}),
                )
                for point in metric.data.data_points
                if isinstance(point, (HistogramDataPoint, NumberDataPoint))
            ]
        return found

    def metrics(self) -> list[Any]:
        """Every metric with its points."""
        data = self._reader.get_metrics_data()
        return [
            metric
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            # Some SDKs measure themselves, too.
            if scope.scope.name == "opentelemetry.instrumentation.aiogram"
            for metric in scope.metrics
        ]


def parent_id(span: ReadableSpan) -> int | None:
    """The id of the span's parent."""
    return span.parent.span_id if span.parent else None


def span_id(span: ReadableSpan) -> int:
    """The id of a span."""
    assert span.context is not None
    found: int = span.context.span_id
    return found


def failed_without_text(span: ReadableSpan) -> bool:
    """True for status ERROR with no description and no event that could quote an exception."""
    status = span.status
    return status.status_code is StatusCode.ERROR and not status.description and not span.events
