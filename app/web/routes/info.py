"""`GET /`: says what this is and where its doors are."""

from __future__ import annotations

from aiohttp import web

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Tracegram</title>
<style>body{{font:16px/1.6 system-ui,sans-serif;max-width:36rem;margin:4rem auto;padding:0 1rem;color:#17212b}}
@media(prefers-color-scheme:dark){{body{{background:#17212b;color:#e8edf2}}a{{color:#6ab3f3}}}}</style>
<h1>Tracegram {version}</h1>
<p>A Telegram bot whose every update is one OpenTelemetry trace.</p>
<ul>{doors}</ul></html>
"""
_READY = '<li><a href="/health/ready">/health/ready</a>: whether it takes updates</li>'
_NUMBERS = """<li><a href="/health">/health</a>: whether it can do its job</li>
<li><a href="/metrics">/metrics</a>: its numbers, for Prometheus and Telegraf</li>"""


def routes(version: str, *, numbers: bool) -> list[web.RouteDef]:
    """The door for people. `numbers` says whether those doors are at the same port."""
    page = _PAGE.format(version=version, doors=_NUMBERS if numbers else _READY)

    async def info(_: web.Request) -> web.Response:
        return web.Response(text=page, content_type="text/html")

    return [web.get("/", info)]
