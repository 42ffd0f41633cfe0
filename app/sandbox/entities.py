"""Formatted text: which entities a text has, by parse mode, by an explicit list, or because they show.

Offsets and lengths are in UTF-16 code units, as everywhere at Telegram. Rules and error texts follow
tdlib/td `MessageEntity.cpp`; links to `localhost` count as links here, because a sandbox's links lead there.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from app.sandbox.errors import ApiError, bad_request
from app.sandbox.state import Json

_EXPLICIT_TYPES = frozenset(
    [
        "bold",
        "italic",
        "underline",
        "strikethrough",
        "spoiler",
        "code",
        "pre",
        "text_link",
        "text_mention",
        "custom_emoji",
        "blockquote",
        "expandable_blockquote",
        "date_time",
    ]
)
_FIELDS: dict[str, tuple[str, type]] = {
    "text_link": ("url", str),
    "text_mention": ("user", dict),
    "custom_emoji": ("custom_emoji_id", str),
    "pre": ("language", str),
    "date_time": ("unix_time", int),
}
_SHOWN = re.compile(
    r"(?P<url>(?:https?|ftp|tg|ton)://[^\s<>\"«»]+|(?<![\w@.])(?:[a-z0-9-]+\.)+"
    r"(?:com|org|net|io|me|ru|dev|app|co|be|tv|info|edu|gov|uk|de|fr)\b(?:[/?#][^\s<>\"«»]*)?)"
    r"|(?P<email>(?<!\w)[\w.+-]+@[a-z0-9-]+(?:\.[a-z0-9-]+)+)"
    r"|(?P<bot_command>(?<![\w/<>])/[a-zA-Z0-9_]{1,64}(?:@\w{3,32})?(?![\w/]))"
    r"|(?P<mention>(?<![\w@])@[a-zA-Z]\w{2,31}(?!\w))"
    r"|(?P<hashtag>(?<!\w)#(?=\w*[^\W\d])\w{1,256})",
    re.IGNORECASE,
)
_LINK_TAIL = ".,;:!?'\"”)]}>"
_OPAQUE = frozenset({"code", "pre", "text_link", "text_mention"})


def utf16_len(text: str) -> int:
    """Count UTF-16 code units."""
    return len(text) + sum(char > "\uffff" for char in text)


def cannot_parse(reason: str) -> ApiError:
    """Give Telegram's refusal of a wrongly marked up text."""
    return bad_request(f"can't parse entities: {reason}")


def link_entity(url: str) -> Json | None:
    """Give type and target of a link: a mention of a user, a checked URL, or None when it leads nowhere."""
    user = re.fullmatch(r"tg://user/?\?id=(\d{1,18})", url.strip(), re.IGNORECASE)
    if user:
        return {"type": "text_mention", "user": {"id": int(user.group(1)), "is_bot": False, "first_name": ""}}
    checked = checked_link(url)
    return {"type": "text_link", "url": checked} if checked else None


def checked_link(url: str) -> str | None:
    """Give the URL as Telegram would keep it, or None when it is none."""
    url = url.strip()
    if not url or re.search(r"\s", url):
        return None
    if re.match(r"(tg|ton):", url, re.IGNORECASE):
        return url
    if "://" not in url:
        url = f"http://{url}"
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return None
    if parts.scheme not in ("http", "https", "ftp") or not _is_host(host):
        return None
    return url if parts.path or parts.query or parts.fragment else f"{url}/"


def _is_host(host: str) -> bool:
    return host == "localhost" or ":" in host or bool(re.fullmatch(r"(?:[\w-]+\.)+[\w-]+", host))


def shown_entities(text: str, taken: list[Json]) -> list[Json]:
    """Find links, commands, mentions, hashtags and e-mail addresses outside of code and of explicit links."""
    blocked = [(e["offset"], e["offset"] + e["length"]) for e in taken if e["type"] in _OPAQUE]
    found: list[Json] = []
    for match in _SHOWN.finditer(text):
        kind, value = str(match.lastgroup), match.group()
        if kind == "url":
            value = _trim_link(value)
            if checked_link(value) is None:
                continue
        offset = utf16_len(text[: match.start()])
        length = utf16_len(value)
        if not any(start < offset + length and offset < end for start, end in blocked):
            found.append({"type": kind, "offset": offset, "length": length})
    return found


def _trim_link(link: str) -> str:
    while link and link[-1] in _LINK_TAIL:
        if link[-1] == ")" and link.count("(") >= link.count(")"):
            break
        link = link[:-1]
    return link


def explicit_entities(given: object, text: str) -> list[Json]:
    """Read an `entities` parameter; types that Telegram finds by itself are left to it."""
    if not isinstance(given, list):
        return []
    units = utf16_len(text)
    entities: list[Json] = []
    for item in given:
        if not isinstance(item, dict):
            raise bad_request("can't parse MessageEntity: expected an Object")
        offset, length, kind = item.get("offset"), item.get("length"), item.get("type")
        if not isinstance(offset, int) or not isinstance(length, int):
            raise bad_request('can\'t parse MessageEntity: Field "offset" must be of type Number')
        if not isinstance(kind, str) or kind not in _EXPLICIT_TYPES:
            continue
        if offset < 0 or offset > units:
            raise bad_request(f"receive an entity with incorrect offset {offset}")
        if length < 0:
            raise bad_request(f"receive an entity with incorrect length {length}")
        shape, length = _explicit(kind, item), min(length, units - offset)
        if shape is not None and length > 0:
            entities.append({"type": shape["type"], "offset": offset, "length": length, **shape})
    return entities


def _explicit(kind: str, item: Json) -> Json | None:
    """Give the type and the fields that belong to it; None when a link leads nowhere."""
    field = _FIELDS.get(kind)
    if field is None:
        return {"type": kind}
    name, wanted = field
    value = item.get(name)
    if kind == "pre" and value is None:
        return {"type": kind}
    if not isinstance(value, wanted):
        raise bad_request(f"can't parse MessageEntity: Can't find field \"{name}\"")
    return (
        link_entity(value) if isinstance(value, str) and kind == "text_link" else {"type": kind, name: value}
    )


def trim(text: str, entities: list[Json]) -> tuple[str, list[Json]]:
    """Cut white space off both ends, as Telegram does, and move the entities along."""
    text = text.replace("\r", "").replace("\0", " ")
    first = min((e["offset"] for e in entities), default=len(text))
    start = 0
    while start < min(first, len(text)) and text[start] in " \n":
        start += 1
    kept = text[start:].rstrip()
    units = utf16_len(kept)
    moved: list[Json] = []
    for entity in entities:
        offset = entity["offset"] - start
        length = min(entity["length"], units - offset)
        if length > 0:
            moved.append({**entity, "offset": offset, "length": length})
    return kept, moved


def in_order(entities: list[Json]) -> list[Json]:
    """Sort as Telegram lists them: by start, the longer one first."""
    return sorted(entities, key=lambda e: (e["offset"], -e["length"]))
