"""A small media site to download from, on a port of its own: good samples, and links that a downloader must survive.
It has no accounts and keeps nothing; listen on loopback only, as some of its answers never end."""

from __future__ import annotations

import html
import tempfile
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

from aiohttp import web

from app.sandbox.media_hostile import ROUTES
from app.sandbox.media_samples import PLAYLIST, TITLE, Samples

SAMPLES: list[tuple[str, str]] = [
    (TITLE, "/watch/sample"),
    ("The film alone (mp4)", "/sample.mp4"),
    ("The tune alone (mp3)", "/sample.mp3"),
    ("The tune in pieces (HLS)", f"/{PLAYLIST}"),
]
"""Title and path of what is worth downloading, the main sample first."""

_SAMPLES_KEY = web.AppKey("samples", Samples)
_TYPES = {
    ".mp4": "video/mp4",
    ".mp3": "audio/mpeg",
    ".m3u8": "application/vnd.apple.mpegurl",
    ".ts": "video/mp2t",
}

_STYLE = """
:root { color-scheme: light dark; font: 17px/1.5 system-ui, sans-serif; }
body { max-width: 42rem; margin: 3rem auto; padding: 0 1.2rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
video { width: 100%; border-radius: 10px; background: #1b2a49; }
li { margin: .25rem 0; } code { opacity: .7; font-size: .85em; }
"""


def build_media_app(samples_dir: Path, *, ffmpeg: str) -> web.Application:
    """Give the site as an application. Samples are made in `samples_dir` by `ffmpeg` when first asked for."""
    app = web.Application()
    app[_SAMPLES_KEY] = Samples(samples_dir, ffmpeg)
    app.router.add_get("/", _index)
    app.router.add_get("/watch/sample", _watch)
    for name in Samples.names:
        app.router.add_get(f"/{name}", _sample)
    app.router.add_get(r"/{piece:sample\d+\.ts}", _piece)
    for path, _what, handler in ROUTES:
        app.router.add_get(path, handler)
    return app


@asynccontextmanager
async def serve_media(
    host: str, port: int, ffmpeg: str, *, samples_dir: Path | None = None
) -> AsyncIterator[str]:
    """Serve the site and give its address, without a slash at the end. Port 0 picks a free one.

    Without `samples_dir` the samples live in a temporary folder that goes at the end.
    """
    with ExitStack() as stack:
        folder = samples_dir or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="tracegram-media-"))
        )
        # Endless answers must end with their reader, and must not hold up the end of the site.
        runner = web.AppRunner(
            build_media_app(folder, ffmpeg=ffmpeg),
            handler_cancellation=True,
            shutdown_timeout=0.5,
            access_log=None,
        )
        await runner.setup()
        try:
            site = web.TCPSite(runner, host, port)
            await site.start()
            yield f"http://{host}:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()


async def _sample(request: web.Request) -> web.StreamResponse:
    path = await request.app[_SAMPLES_KEY].path(request.path.removeprefix("/"))
    return _file(path)


async def _piece(request: web.Request) -> web.StreamResponse:
    path = request.app[_SAMPLES_KEY].segment(request.match_info["piece"])
    if not path.is_file():
        raise web.HTTPNotFound
    return _file(path)


def _file(path: Path) -> web.FileResponse:
    return web.FileResponse(path, headers={"Content-Type": _TYPES[path.suffix]})


async def _watch(_request: web.Request) -> web.Response:
    head = f'<meta property="og:title" content="{TITLE}"><meta property="og:type" content="video.other">'
    body = f'<h1>{TITLE}</h1><video controls preload="metadata" src="/sample.mp4"></video>'
    return _page(TITLE, f'{body}<p>Four chords and some colours. <a href="/">All samples</a></p>', head)


async def _index(_request: web.Request) -> web.Response:
    good = [(path, title) for title, path in SAMPLES]
    bad = [(path, what) for path, what, _handler in ROUTES]
    return _page(
        "A small media site",
        "<h1>A small media site</h1><p>Send one of these links to the bot.</p>"
        f"<h2>Good ones</h2>{_list(good)}"
        f"<h2>Bad ones</h2><p>The bot answers each of these with one sentence.</p>{_list(bad)}",
    )


def _list(entries: list[tuple[str, str]]) -> str:
    items = (
        f'<li><a href="{path}">{html.escape(title)}</a> <code>{path}</code></li>' for path, title in entries
    )
    return f"<ul>{''.join(items)}</ul>"


def _page(title: str, body: str, head: str = "") -> web.Response:
    text = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">{head}'
        f"<style>{_STYLE}</style></head><body>{body}</body></html>"
    )
    return web.Response(text=text, content_type="text/html")
