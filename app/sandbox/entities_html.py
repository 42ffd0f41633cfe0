"""The HTML parse mode: a strict reader of Telegram's dozen of tags.

Byte offsets in error texts count UTF-8 bytes of the source, as in the original.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from app.sandbox.entities import cannot_parse, in_order, link_entity, utf16_len
from app.sandbox.errors import ApiError
from app.sandbox.state import Json

_PLAIN: Final = {
    "b": "bold",
    "strong": "bold",
    "i": "italic",
    "em": "italic",
    "s": "strikethrough",
    "strike": "strikethrough",
    "del": "strikethrough",
    "u": "underline",
    "ins": "underline",
    "tg-spoiler": "spoiler",
    "span": "spoiler",
}
_TAGS: Final = frozenset(_PLAIN) | {"a", "code", "pre", "blockquote", "tg-emoji", "tg-time"}
_REFERENCE = re.compile(r"&(?:#x([0-9a-fA-F]{1,6})|#([0-9]{1,7})|(lt|gt|amp|quot)(?![a-zA-Z]));?")
_NAMED: Final = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}
_SPACE: Final = " \t\r\n\0\v"


@dataclass(slots=True)
class _Tag:
    name: str
    attributes: dict[str, str]
    offset: int
    out_index: int


def parse_html(source: str) -> tuple[str, list[Json]]:
    """Give the plain text and its entities.

    Raises:
        ApiError: 400 `can't parse entities: …`.
    """
    reader = _Reader(source)
    reader.run()
    text = "".join(reader.out)
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise cannot_parse(
            "Text contains invalid Unicode characters after decoding HTML entities, check for unmatched surrogate code units"
        )
    for entity in reader.entities:
        if entity["type"] == "code":
            entity.pop("language", None)
    return text, in_order(reader.entities)


def _decode(match: re.Match[str]) -> str:
    if match[3]:
        return _NAMED[match[3]]
    code = int(match[1], 16) if match[1] else int(match[2])
    return chr(code) if 0 < code < 0x10FFFF else match[0]


class _Reader:
    def __init__(self, source: str) -> None:
        self.source = source
        self.at = 0
        self.out: list[str] = []
        self.offset = 0
        self.open: list[_Tag] = []
        self.entities: list[Json] = []

    def run(self) -> None:
        while self.at < len(self.source):
            char = self.source[self.at]
            if char == "&" and (match := _REFERENCE.match(self.source, self.at)):
                self._emit(_decode(match))
                self.at = match.end()
            elif char == "<":
                if self.source[self.at + 1 : self.at + 2] == "/":
                    self._end_tag()
                else:
                    self._start_tag()
            else:
                self._emit(char)
                self.at += 1
        if self.open:
            raise cannot_parse(f'Can\'t find end tag corresponding to start tag "{self.open[-1].name}"')

    def _emit(self, text: str) -> None:
        self.out.append(text)
        self.offset += utf16_len(text)

    def _bytes(self, index: int) -> int:
        return len(self.source[:index].encode(errors="surrogatepass"))

    def _fail(self, reason: str, index: int) -> ApiError:
        return cannot_parse(f"{reason} at byte offset {self._bytes(index)}")

    def _skip(self, pattern: str) -> str:
        match = re.compile(pattern).match(self.source, self.at)
        taken = match.group() if match else ""
        self.at += len(taken)
        return taken

    def _start_tag(self) -> None:
        begin = self.at
        self.at += 1
        name = self._skip(rf"[^{_SPACE}>]*").lower()
        if self.at >= len(self.source):
            raise self._fail("Unclosed start tag", begin)
        if name not in _TAGS:
            raise self._fail(f'Unsupported start tag "{name}"', begin)
        attributes = self._attributes(name, begin)
        if name == "span" and attributes.get("class") != "tg-spoiler":
            raise self._fail('Tag "span" must have class "tg-spoiler"', begin)
        self.open.append(_Tag(name, attributes, self.offset, len(self.out)))

    def _attributes(self, tag: str, begin: int) -> dict[str, str]:
        attributes: dict[str, str] = {}
        while True:
            self._skip(rf"[{_SPACE}]*")
            if self.at >= len(self.source):
                raise self._fail(f'Unclosed start tag "{tag}"', begin)
            if self.source[self.at] == ">":
                self.at += 1
                return attributes
            name = self._skip(rf"[^{_SPACE}=>/\"']+")
            if not name:
                raise self._fail(f'Empty attribute name in the tag "{tag}"', begin)
            self._skip(rf"[{_SPACE}]*")
            attributes[name] = self._value(tag, begin) if self._skip("=") else ""

    def _value(self, tag: str, begin: int) -> str:
        self._skip(rf"[{_SPACE}]*")
        if self.at >= len(self.source):
            raise self._fail(f'Unclosed start tag "{tag}"', begin)
        quote = self.source[self.at]
        if quote not in "\"'":
            token = self.at
            value = self._skip(r"[a-zA-Z0-9.-]*").lower()
            if self.at < len(self.source) and self.source[self.at] not in _SPACE + ">":
                raise self._fail("Unexpected end of name token", token)
            return value
        self.at += 1
        value = self._skip(rf"[^{quote}]*")
        if self.at >= len(self.source):
            raise self._fail("Unclosed start tag", begin)
        self.at += 1
        return _REFERENCE.sub(_decode, value)

    def _end_tag(self) -> None:
        begin = self.at
        if not self.open:
            raise self._fail("Unexpected end tag", begin)
        self.at += 2
        name = self._skip(rf"[^{_SPACE}>]*").lower()
        self._skip(rf"[{_SPACE}]*")
        if self.source[self.at : self.at + 1] != ">":
            raise self._fail("Unclosed end tag", begin)
        self.at += 1
        tag = self.open[-1]
        if name and name != tag.name:
            raise cannot_parse(
                f"Unmatched end tag at byte offset {self._bytes(begin)}, "
                f'expected "</{tag.name}>", found "</{name}>"'
            )
        self.open.pop()
        if self.offset > tag.offset:
            self._close(tag)

    def _close(self, tag: _Tag) -> None:
        place = {"offset": tag.offset, "length": self.offset - tag.offset}
        if tag.name in ("pre", "code"):
            self._close_code(tag, place)
            return
        kind = _PLAIN.get(tag.name)
        found = {"type": kind} if kind else self._special(tag)
        if found is not None:
            self.entities.append({"type": found["type"], **place, **found})

    def _close_code(self, tag: _Tag, place: Json) -> None:
        css = tag.attributes.get("class", "")
        language = css.removeprefix("language-") if tag.name == "code" and css.startswith("language-") else ""
        entity = {"type": tag.name, **place, **({"language": language} if language else {})}
        last = self.entities[-1] if self.entities else None
        other = "code" if tag.name == "pre" else "pre"
        same_place = last is not None and {k: last[k] for k in place} == place and last["type"] == other
        if last is not None and same_place and (language or last.get("language")):
            self.entities[-1] = {**entity, "type": "pre", "language": language or last["language"]}
        else:
            self.entities.append(entity)

    def _special(self, tag: _Tag) -> Json | None:
        attributes = tag.attributes
        if tag.name == "a":
            return link_entity(attributes.get("href") or "".join(self.out[tag.out_index :]))
        if tag.name == "blockquote":
            return {"type": "expandable_blockquote" if "expandable" in attributes else "blockquote"}
        if tag.name == "tg-emoji":
            emoji = attributes.get("emoji-id", "")
            if not re.fullmatch(r"[1-9]\d{0,18}", emoji):
                raise cannot_parse("Invalid custom emoji identifier specified")
            return {"type": "custom_emoji", "custom_emoji_id": emoji}
        unix = attributes.get("unix", "")
        return {"type": "date_time", "unix_time": int(unix)} if re.fullmatch(r"[1-9]\d{0,9}", unix) else None
