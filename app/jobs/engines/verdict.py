"""Turns what yt-dlp raised into one of our errors. yt-dlp wraps the cause up to four deep, so the whole chain is
searched, and the kind that says most wins; no text of it is ever read, as every text may hold the link."""

from __future__ import annotations

import errno
import http.client
from collections.abc import Iterator

from yt_dlp.networking.exceptions import NoSupportingHandlers, RequestError
from yt_dlp.utils import ContentTooShortError, DownloadError, ExtractorError, UnavailableVideoError
from yt_dlp.utils._utils import _UnsafeExtensionError

from app.errors import (
    EngineFailed,
    JobError,
    LinkNotAllowed,
    LinkUnreachable,
    NothingToDownload,
    NotMedia,
    TooLarge,
)
from app.jobs.engines.fetch import Stopped
from app.jobs.engines.netguard import NetGuard
from app.jobs.engines.wire import Failed

_MAX_DEPTH = 12
_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EACCES, errno.EPERM})


def judge(raised: BaseException, guard: NetGuard) -> Failed:
    """Say why a download ended. What the network guard stopped goes before all that followed from it."""
    if guard.refused:
        return Failed(LinkNotAllowed.__name__)
    if guard.spent:
        return Failed(TooLarge.__name__)
    chain = list(_chain(raised))
    for error in filter(None, map(_told, chain)):
        return Failed(error.__name__)
    for error in filter(None, map(_implied, chain)):
        return Failed(error.__name__)
    if _is_plain_refusal(chain):
        return Failed(NothingToDownload.__name__)
    return Failed(EngineFailed.__name__, _where(chain[-1]))


def _chain(raised: BaseException) -> Iterator[BaseException]:
    """Give the exception and its causes, from the outside in. `__context__` may be an earlier, mended trouble."""
    todo: list[object] = [raised]
    seen: set[int] = set()
    while todo and len(seen) < _MAX_DEPTH:
        error = todo.pop(0)
        if not isinstance(error, BaseException) or id(error) in seen:
            continue
        seen.add(id(error))
        yield error
        wrapped = getattr(error, "exc_info", None) or (None, None, None)
        todo += [wrapped[1], getattr(error, "cause", None), error.__cause__]


def _told(error: BaseException) -> type[JobError] | None:
    """Our own errors, and the limits' of disk and memory: their kind is certain."""
    if isinstance(error, Stopped):
        return error.error
    if isinstance(error, JobError):
        return type(error)
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.EFBIG):
        return TooLarge  # a packed answer is unpacked in memory
    return None


def _implied(error: BaseException) -> type[JobError] | None:
    if isinstance(error, NoSupportingHandlers):
        return NothingToDownload
    if isinstance(error, RequestError | http.client.HTTPException | ContentTooShortError):
        return LinkUnreachable
    if isinstance(error, OSError) and error.errno not in _DISK:
        return LinkUnreachable
    if isinstance(error, _UnsafeExtensionError):
        return NotMedia
    return None


def _is_plain_refusal(chain: list[BaseException]) -> bool:
    """Tell whether an extractor said an expected no (private, removed, unsupported), rather than broke."""
    innermost = chain[-1]
    if isinstance(innermost, ExtractorError):
        return bool(innermost.expected)
    return type(innermost) in (DownloadError, UnavailableVideoError)


def _where(error: BaseException) -> str:
    """Name the exception's kind and its line: enough to find the fault, and nothing of what it says."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    kind = type(error).__name__
    if trace is None:
        return kind
    return f"{kind} {trace.tb_frame.f_globals.get('__name__', '')}:{trace.tb_lineno}"
