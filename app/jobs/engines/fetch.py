"""Runs yt-dlp as a library in the child process and leaves one file, `source`, in the work folder. yt-dlp gets no
configuration, cookies, plugins or other programs, and never sees ffmpeg."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import yt_dlp
from yt_dlp.networking.exceptions import HTTPError
from yt_dlp.utils import DownloadCancelled

from app.errors import JobError, LinkNotAllowed, NothingToDownload, TooLarge, TooLong
from app.jobs.engines.wire import Order

_SOURCE_NAME = "source"
_SCHEMES = ("http://", "https://")
# The request handlers that are written in Python, so that the network guard sees their sockets.
_HANDLERS = frozenset({"Urllib", "Requests"})
# The protocols that yt-dlp downloads by itself; the others would be handed to ffmpeg.
_PROTOCOLS = "[protocol~='^(https?|m3u8(_native)?|http_dash_segments)$']"
_NO_OWN_EXTRACTOR = ("generic", "html5")
_MAX_PAGE_BYTES = 4 * 1024 * 1024
_PIECE_BYTES = 64 * 1024
_NUMBER = re.compile(r" \(\d+\)$")
_NOT_NOW = frozenset({"is_live", "is_upcoming", "post_live"})

OnBytes = Callable[[int, int | None], None]
"""Called with the bytes received so far and, where the server tells, their total."""


class Stopped(DownloadCancelled):  # type: ignore[misc]  # yt-dlp ships no types
    """Ends a download from within. yt-dlp hands on a cancellation, and no other exception, as it is.

    One class per error, because yt-dlp may raise it anew, without arguments.
    """

    error: ClassVar[type[JobError]]


class _StoppedAsNotAllowed(Stopped):
    error = LinkNotAllowed


class _StoppedAsNothing(Stopped):
    error = NothingToDownload


class _StoppedAsTooLarge(Stopped):
    error = TooLarge


class _StoppedAsTooLong(Stopped):
    error = TooLong


@dataclass(frozen=True, slots=True)
class Fetched:
    """The downloaded file, and what its page says of it. `titled` is False where the title is a file name."""

    path: Path
    title: str | None
    performer: str | None
    titled: bool


def fetch(order: Order, workdir: Path, on_bytes: OnBytes) -> Fetched:
    """Download the best audio behind the link.

    Raises NothingToDownload where the page offers none, and whatever yt-dlp raises (see `verdict`).
    """
    with _Downloader(order, workdir, on_bytes) as downloader:
        info = downloader.extract_info(order.url, download=True)
    entry = _first_entry(info)
    path = workdir / _SOURCE_NAME
    if entry is None or not path.is_file():
        raise NothingToDownload
    performer = entry.get("artist") or entry.get("uploader") or entry.get("channel")
    return Fetched(path, _title(entry), performer, titled=not entry.get("direct"))


def _title(entry: Mapping[str, Any]) -> str | None:
    """Give the page's title; yt-dlp numbers the films of a page that it has no own extractor for."""
    title = entry.get("title")
    if title and str(entry.get("extractor", "")).startswith(_NO_OWN_EXTRACTOR):
        return _NUMBER.sub("", str(title))
    return title


def _first_entry(info: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    while info is not None and info.get("_type") in ("playlist", "multi_video"):
        info = next(filter(None, info.get("entries") or ()), None)
    return info


class _Downloader(yt_dlp.YoutubeDL):  # type: ignore[misc]  # yt-dlp ships no types
    """yt-dlp with the door narrowed: two schemes, two request handlers, a size limit on every answer."""

    def __init__(self, order: Order, workdir: Path, on_bytes: OnBytes) -> None:
        self._max_bytes = order.max_bytes
        super().__init__(_options(order, workdir, on_bytes))

    def build_request_director(self, handlers: Any, preferences: Any = None) -> Any:
        return super().build_request_director([h for h in handlers if h.RH_KEY in _HANDLERS], preferences)

    def urlopen(self, req: Any) -> Any:
        if not _address_of(req).lower().startswith(_SCHEMES):
            raise _StoppedAsNotAllowed
        try:
            response = super().urlopen(req)
        except HTTPError as error:
            _bound_page(error.response)  # yt-dlp looks into some of these
            raise
        _bound_page(response)
        if not response.url.lower().startswith(_SCHEMES):
            raise _StoppedAsNotAllowed
        length = response.headers.get("Content-Length") or ""
        if length.isdecimal() and int(length) > self._max_bytes:
            raise _StoppedAsTooLarge
        return response


def _bound_page(response: Any) -> None:
    """Stop the reading of a whole answer that unpacks into too much. Pages are read so, media in pieces."""
    read = response.read

    def bounded(amt: int | None = None) -> bytes:
        if amt is not None and amt >= 0:
            return bytes(read(amt))
        page = bytearray()
        while piece := read(_PIECE_BYTES):
            page += piece
            if len(page) > _MAX_PAGE_BYTES:
                raise _StoppedAsTooLarge
        return bytes(page)

    response.read = bounded


def _address_of(req: Any) -> str:
    if isinstance(req, str):
        return req
    return str(getattr(req, "full_url", None) or req.url)


def _options(order: Order, workdir: Path, on_bytes: OnBytes) -> dict[str, Any]:
    return {
        # what to take
        "format": f"ba{_PROTOCOLS}/b{_PROTOCOLS}",
        "noplaylist": True,
        "playlist_items": "1",
        "match_filter": _filter(order.max_duration_s),
        # where to
        "paths": {"home": str(workdir)},
        "outtmpl": {"default": _SOURCE_NAME},
        "cachedir": False,
        "updatetime": False,
        # nothing but Python: no downloader, no fix-up by ffmpeg, no JavaScript runtime
        "external_downloader": "native",
        "hls_prefer_native": True,
        "fixup": "never",
        "js_runtimes": {},
        # the network
        "proxy": "",
        "socket_timeout": 10,
        "retries": 2,
        "fragment_retries": 2,
        "extractor_retries": 1,
        "file_access_retries": 0,
        "skip_unavailable_fragments": False,
        # what it says
        "logger": _Silence(),
        "quiet": True,
        "noprogress": True,
        "progress_hooks": [_size_hook(order.max_bytes, on_bytes)],
    }


def _filter(max_duration_s: float) -> Callable[..., None]:
    def match(info: Mapping[str, Any], *, incomplete: bool) -> None:
        if info.get("is_live") or info.get("live_status") in _NOT_NOW:
            raise _StoppedAsNothing
        duration = info.get("duration")
        if isinstance(duration, int | float) and duration > max_duration_s:
            raise _StoppedAsTooLong

    return match


def _size_hook(max_bytes: int, on_bytes: OnBytes) -> Callable[[Mapping[str, Any]], None]:
    def hook(state: Mapping[str, Any]) -> None:
        received, total = state.get("downloaded_bytes") or 0, state.get("total_bytes")
        if max(received, total or 0) > max_bytes:
            raise _StoppedAsTooLarge
        total = total or state.get("total_bytes_estimate")
        on_bytes(received, int(total) if total else None)

    return hook


class _Silence:
    """A logger that keeps nothing: what yt-dlp says is full of links."""

    def debug(self, message: str) -> None: ...

    def info(self, message: str) -> None: ...

    def warning(self, message: str) -> None: ...

    def error(self, message: str) -> None: ...
