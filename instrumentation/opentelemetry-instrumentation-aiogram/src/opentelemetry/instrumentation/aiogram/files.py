"""Downloads of files: a CLIENT span each, without the URL, which has the token in its path.

HTTP instrumentation is switched off while a piece is awaited, and only then: between two pieces the consumer's code runs.
"""

from collections.abc import AsyncGenerator, Callable
from functools import wraps
from typing import Any
from urllib.parse import urlsplit

from aiogram.client.session.base import BaseSession

from opentelemetry.context import (
    _SUPPRESS_HTTP_INSTRUMENTATION_KEY,
    Context,
    attach,
    detach,
    get_current,
    set_value,
)
from opentelemetry.instrumentation.aiogram import semconv
from opentelemetry.instrumentation.aiogram.safety import swallow
from opentelemetry.instrumentation.aiogram.servers import server_attributes
from opentelemetry.instrumentation.aiogram.spans import AttributeValue, Opened, mark_failed, open_span
from opentelemetry.trace import SpanKind, Tracer

_Stream = Callable[..., AsyncGenerator[bytes, None]]


class Download:
    """One file that is read piece by piece. Its span is current only while a piece is awaited."""

    __slots__ = ("_context", "_opened", "size")

    def __init__(self, opened: Opened | None) -> None:
        self._opened = opened
        around = opened.context if opened else get_current()
        self._context: Context = set_value(_SUPPRESS_HTTP_INSTRUMENTATION_KEY, True, around)
        self.size = 0

    async def next(self, chunks: AsyncGenerator[bytes, None]) -> bytes | None:
        """The next piece, or None at the end."""
        token = attach(self._context)
        try:
            chunk = await anext(chunks, None)
        finally:
            detach(token)
        self.size += len(chunk or b"")
        return chunk

    def finish(self, error: BaseException | None) -> None:
        """End the span. To stop reading is no error."""
        if self._opened is None:
            return
        span = self._opened.span
        try:
            if span.is_recording():
                span.set_attribute(semconv.HTTP_RESPONSE_BODY_SIZE, self.size)
                if error is not None and not isinstance(error, GeneratorExit):
                    mark_failed(span, type(error))
                    status = getattr(error, "status", None)
                    if isinstance(status, int):
                        span.set_attribute(semconv.HTTP_RESPONSE_STATUS_CODE, status)
            span.end()
        except Exception as failure:
            swallow("Download.finish", failure)


class DownloadTracing:
    """Makes what stands in the place of `AiohttpSession.stream_content`."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def stream_content(self, original: _Stream) -> _Stream:
        """For `AiohttpSession.stream_content`."""

        @wraps(original)
        async def stream_content(
            session: Any, url: str, *args: Any, **kwargs: Any
        ) -> AsyncGenerator[bytes, None]:
            download = Download(self._open(session, url))
            chunks = original(session, url, *args, **kwargs)
            failure: BaseException | None = None
            try:
                while (chunk := await download.next(chunks)) is not None:
                    yield chunk
            except BaseException as error:
                failure = error
                raise
            finally:
                download.finish(failure)
                await chunks.aclose()

        return stream_content

    def _open(self, session: BaseSession, url: str) -> Opened | None:
        try:
            attributes: dict[str, AttributeValue] = {semconv.HTTP_REQUEST_METHOD: semconv.METHOD_GET}
            # `URLInputFile` reads from anywhere, and a link that a person has sent is nobody's business.
            if urlsplit(url).netloc == urlsplit(session.api.file).netloc:
                attributes |= server_attributes(session.api.file)
            return open_span(
                self._tracer, semconv.DOWNLOAD_SPAN_NAME, SpanKind.CLIENT, attributes, metered=False
            )
        except Exception as error:
            swallow("DownloadTracing.open", error)
            return None
