"""The media site's bad neighbours: links that a downloader must survive. Each is harmless to fetch by hand,
except that some of them never end."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

from aiohttp import web

_FOREVER_S = 3600.0
_BLOCK = b"\xff\xfb\x90\x64" + bytes(413)  # looks like the start of an MP3 frame
_HUGE_BYTES = 2 * 1024**3

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def _stream(
    request: web.Request,
    headers: dict[str, str],
    chunks: AsyncIterator[bytes],
    *,
    chunked: bool = False,
    status: int = 200,
) -> web.StreamResponse:
    response = web.StreamResponse(status=status, headers={"Content-Type": "audio/mpeg", **headers})
    if chunked:
        response.enable_chunked_encoding()
        # Both at once are a lie that HTTP allows: the chunks count, the length does not.
        response.headers["Content-Length"] = "100000"
    await response.prepare(request)
    with suppress(ConnectionResetError):  # the reader has had enough
        async for chunk in chunks:
            await response.write(chunk)
    return response


async def _without_end(block: bytes, pause_s: float = 0.0) -> AsyncIterator[bytes]:
    while True:
        yield block
        await asyncio.sleep(pause_s)


async def _zeros_packed(first: bytes = b"") -> AsyncIterator[bytes]:
    packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    yield packer.compress(first)
    while True:
        yield packer.compress(bytes(4 * 1024 * 1024)) + packer.flush(zlib.Z_SYNC_FLUSH)
        await asyncio.sleep(0)


async def _endless(request: web.Request) -> web.StreamResponse:
    return await _stream(request, {}, _without_end(_BLOCK * 64))


async def _endless_lying(request: web.Request) -> web.StreamResponse:
    return await _stream(request, {}, _without_end(_BLOCK * 64), chunked=True)


async def _endless_page(request: web.Request) -> web.StreamResponse:
    page = _without_end(b"<!doctype html><title>Endless</title><p>and so on" * 512)
    return await _stream(request, {"Content-Type": "text/html"}, page)


async def _bomb(request: web.Request) -> web.StreamResponse:
    return await _stream(request, {"Content-Encoding": "gzip"}, _zeros_packed())


def _bomb_page(status: int = 200) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        headers = {"Content-Type": "text/html", "Content-Encoding": "gzip"}
        return await _stream(request, headers, _zeros_packed(b"<!doctype html>"), status=status)

    return handler


def _page_of(tag: bytes, times: int) -> Handler:
    async def handler(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=b"<!doctype html>" + tag * times, content_type="text/html")

    return handler


async def _huge(request: web.Request) -> web.StreamResponse:
    headers = {"Content-Type": "video/mp4", "Content-Length": str(_HUGE_BYTES)}
    return await _stream(request, headers, _without_end(b"\0" * 64, pause_s=0.2))


async def _slow(request: web.Request) -> web.StreamResponse:
    return await _stream(request, {}, _without_end(b"\xff", pause_s=1.0))


async def _stall(request: web.Request) -> web.StreamResponse:
    async def nothing() -> AsyncIterator[bytes]:
        await asyncio.sleep(_FOREVER_S)
        yield b""

    return await _stream(request, {}, nothing())


def _redirect(to: str) -> Handler:
    async def handler(_request: web.Request) -> web.StreamResponse:
        raise web.HTTPFound(to)

    return handler


def _content(body: bytes, content_type: str, status: int = 200) -> Handler:
    async def handler(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=body, status=status, headers={"Content-Type": content_type})

    return handler


_M3U8 = "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{}\n"
_HLS = "application/vnd.apple.mpegurl"
_LOCAL_FILE = _M3U8.format("file:///etc/passwd") + "#EXT-X-ENDLIST\n"
_PRIVATE_PIECE = _M3U8.format("http://127.0.0.1:1/piece.ts") + "#EXT-X-ENDLIST\n"

ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("/hostile/redirect-loopback", "a redirect to this machine", _redirect("http://127.0.0.1:1/")),
    (
        "/hostile/redirect-metadata",
        "a redirect to a cloud's secrets",
        _redirect("http://169.254.169.254/latest/meta-data/"),
    ),
    ("/hostile/endless.mp3", "a stream without an end", _endless),
    ("/hostile/endless-lying.mp3", "a stream without an end that promises one", _endless_lying),
    ("/hostile/endless-page", "a page without an end", _endless_page),
    ("/hostile/bomb.mp3", "a small stream that unpacks into a large one", _bomb),
    ("/hostile/bomb-page", "a small page that unpacks into a large one", _bomb_page()),
    ("/hostile/bomb-error", "an error that unpacks into a large page", _bomb_page(403)),
    ("/hostile/deep-page", "a page of two million boxes", _page_of(b"<div>", 2_000_000)),
    ("/hostile/tangled-page", "a page that keeps its reader busy for hours", _page_of(b"<iframe ", 200_000)),
    ("/hostile/huge.mp4", "a film of 2 GB", _huge),
    ("/hostile/not-media.mp3", "a text named .mp3", _content(b"I am only a text.\n" * 400, "audio/mpeg")),
    ("/hostile/playlist.mp3", "a playlist named .mp3", _content(_LOCAL_FILE.encode(), "audio/mpeg")),
    (
        "/hostile/concat.mp3",
        "a list of other files named .mp3",
        _content(b"ffconcat version 1.0\nfile '/etc/passwd'\n", "audio/mpeg"),
    ),
    ("/hostile/private-piece.m3u8", "a playlist of private pieces", _content(_PRIVATE_PIECE.encode(), _HLS)),
    ("/hostile/live.m3u8", "a broadcast that goes on", _content(_M3U8.format("piece.ts").encode(), _HLS)),
    ("/hostile/empty.mp3", "a file of no bytes", _content(b"", "audio/mpeg")),
    ("/hostile/program.exe", "a program that calls itself a film", _content(b"MZ" * 2000, "video/mp4")),
    ("/hostile/text", "a page without any media", _content(b"<!doctype html><p>Nothing here.", "text/html")),
    ("/hostile/slow", "one byte a second", _slow),
    ("/hostile/stall.mp3", "an answer that stops after its headers", _stall),
    ("/hostile/missing", "a page that is not there", _content(b"Not found", "text/plain", 404)),
    ("/hostile/error", "a server that fails", _content(b"Broken", "text/plain", 500)),
)
"""Path, what it is, and who answers."""
