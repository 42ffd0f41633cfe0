"""The MarkdownV2 parse mode and the old Markdown one.

Both are strict: what is reserved must be escaped, what is opened must be closed. Byte offsets in error texts count
UTF-8 bytes of the source, as in the original.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from app.sandbox.entities import cannot_parse, in_order, link_entity, utf16_len
from app.sandbox.state import Json

_RESERVED: Final = frozenset("_*[]()~`>#+-=|{}.!\n")
_TITLES: Final = {
    "bold": "Bold",
    "italic": "Italic",
    "underline": "Underline",
    "strikethrough": "Strikethrough",
    "spoiler": "Spoiler",
    "code": "Code",
    "pre": "Pre",
    "text_link": "TextUrl",
    "custom_emoji": "CustomEmoji",
    "blockquote": "BlockQuote",
}
# Marks in the order in which they are tried: the longer one first.
_MARKS: Final = (
    ("```", "pre"),
    ("`", "code"),
    ("__", "underline"),
    ("_", "italic"),
    ("*", "bold"),
    ("~", "strikethrough"),
    ("||", "spoiler"),
    ("![", "custom_emoji"),
    ("[", "text_link"),
)
_END: Final = {kind: mark for mark, kind in _MARKS} | {"custom_emoji": "]", "text_link": "]"}
_FENCE_HEAD = re.compile(r"([^\s`]+(?=\s))?(\r\n|\n\r|\n|\r)?")
_URL = re.compile(r"((?:\\[\x01-\x7e]|[^)\\]|\\)*)\)", re.DOTALL)


@dataclass(slots=True)
class _Open:
    kind: str
    offset: int
    index: int
    out_index: int
    language: str = ""


def parse_markdown_v2(source: str) -> tuple[str, list[Json]]:
    """Give the plain text and its entities.

    Raises:
        ApiError: 400 `can't parse entities: …`.
    """
    reader = _Reader(source)
    reader.run()
    return "".join(reader.out), in_order(reader.entities)


class _Reader:
    def __init__(self, source: str) -> None:
        self.source = source
        self.at = 0
        self.out: list[str] = []
        self.offset = 0
        self.open: list[_Open] = []
        self.entities: list[Json] = []
        self.line_starts = True

    def run(self) -> None:
        while self.at < len(self.source):
            char = self.source[self.at]
            following = self.source[self.at + 1 : self.at + 2]
            if char == "\\" and following and ord(following) <= 126:
                self._emit(following, 2)
            elif not self._is_reserved(char):
                self._emit(char, 1)
            elif char == "\n" and self._quote_ends():
                self._end_quote()
            elif self.open and self._ends_here(self.open[-1]):
                self._end()
            else:
                self._begin(char)
        if self.open and self.open[0].kind == "blockquote":
            self._end_quote()
        if self.open:
            self._unclosed(self.open[-1])

    def _emit(self, text: str, consumed: int) -> None:
        self.out.append(text)
        self.offset += utf16_len(text)
        self.at += consumed
        if text != "\r":
            self.line_starts = text == "\n"

    def _is_reserved(self, char: str) -> bool:
        if self.open and self.open[-1].kind in ("code", "pre"):
            return char == "`"
        return char in _RESERVED

    def _byte(self, index: int) -> int:
        return len(self.source[:index].encode(errors="surrogatepass"))

    def _unclosed(self, entity: _Open) -> None:
        raise cannot_parse(
            f"Can't find end of {_TITLES[entity.kind]} entity at byte offset {self._byte(entity.index)}"
        )

    def _ends_here(self, entity: _Open) -> bool:
        if entity.kind == "blockquote":
            return False
        if entity.kind == "italic" and self.source.startswith("__", self.at):
            return False
        return self.source.startswith(_END[entity.kind], self.at)

    def _begin(self, char: str) -> None:
        if char == "\n":
            self._emit("\n", 1)
            return
        if char == ">":
            self._begin_quote()
            return
        for mark, kind in _MARKS:
            if self.source.startswith(mark, self.at):
                self.open.append(_Open(kind, self.offset, self.at, len(self.out)))
                self.at += len(mark)
                if kind == "pre":
                    self._fence_head()
                return
        raise cannot_parse(f"Character '{char}' is reserved and must be escaped with the preceding '\\'")

    def _fence_head(self) -> None:
        head = _FENCE_HEAD.match(self.source, self.at)
        if head is not None:
            self.open[-1].language = head[1] or ""
            self.at = head.end()

    def _begin_quote(self) -> None:
        if not self.line_starts:
            raise cannot_parse("Character '>' is reserved and must be escaped with the preceding '\\'")
        if not any(entity.kind == "blockquote" for entity in self.open):
            self.open.append(_Open("blockquote", self.offset, self.at, len(self.out)))
        self.at += 1

    def _quote_ends(self) -> bool:
        quoted = any(entity.kind == "blockquote" for entity in self.open)
        return quoted and not self.source.startswith(">", self.at + 1)

    def _end_quote(self) -> None:
        kind = "blockquote"
        spoiler = self.open[-1]
        if spoiler.kind == "spoiler" and spoiler.index == self.at - 2:
            self.open.pop()
            kind = "expandable_blockquote"
        if self.open[-1].kind != "blockquote":
            self._unclosed(self.open[-1])
        self._add(self.open.pop(), {"type": kind})
        if self.at < len(self.source):
            self._emit("\n", 1)

    def _end(self) -> None:
        entity = self.open.pop()
        self.at += len(_END[entity.kind])
        self.line_starts = False
        found: Json | None = {"type": entity.kind}
        if entity.kind == "pre" and entity.language:
            found = {"type": "pre", "language": entity.language}
        elif entity.kind == "text_link":
            found = link_entity(self._target() or "".join(self.out[entity.out_index :]))
        elif entity.kind == "custom_emoji":
            found = self._emoji()
        self._add(entity, found)

    def _target(self) -> str:
        if not self.source.startswith("(", self.at):
            return ""
        match = _URL.match(self.source, self.at + 1)
        if match is None:
            raise cannot_parse(f"Can't find end of a URL at byte offset {self._byte(self.at + 1)}")
        self.at = match.end()
        return re.sub(r"\\([\x01-\x7e])", r"\1", match[1])

    def _emoji(self) -> Json:
        target = self._target()
        emoji = re.fullmatch(r"tg://emoji\?id=([1-9]\d{0,18})", target)
        moment = re.match(r"tg://time\?unix=([1-9]\d{0,9})(?:&|$)", target)
        if emoji:
            return {"type": "custom_emoji", "custom_emoji_id": emoji[1]}
        if moment:
            return {"type": "date_time", "unix_time": int(moment[1])}
        raise cannot_parse("The entity must contain a tg://emoji or tg://time URL")

    def _add(self, entity: _Open, found: Json | None) -> None:
        if found is not None and self.offset > entity.offset:
            place = {"offset": entity.offset, "length": self.offset - entity.offset}
            self.entities.append({"type": found["type"], **place, **found})


_OLD_TOKEN = re.compile(r"\\([_*`\[])|([_*`\[])|(.)", re.DOTALL)
_OLD_KINDS: Final = {"_": "italic", "*": "bold", "`": "code"}


def parse_markdown(source: str) -> tuple[str, list[Json]]:
    """Give the plain text and its entities in the old mode, which knows no nesting.

    Raises:
        ApiError: 400 `can't parse entities: …`.
    """
    out: list[str] = []
    entities: list[Json] = []
    offset = at = 0
    while at < len(source):
        token = _OLD_TOKEN.match(source, at)
        if token is None:
            break
        begin, at = at, token.end()
        if not token[2]:
            out.append(token[1] or token[3])
            offset += utf16_len(out[-1])
            continue
        inner, entity, at = _old_entity(source, begin)
        if inner and entity is not None:
            entities.append({"type": entity["type"], "offset": offset, "length": utf16_len(inner), **entity})
        out.append(inner)
        offset += utf16_len(inner)
    return "".join(out), entities


def _old_entity(source: str, begin: int) -> tuple[str, Json | None, int]:
    mark = source[begin]
    close = "]" if mark == "[" else mark
    start, language = begin + 1, ""
    if source.startswith("```", begin):
        close, start = "```", begin + 3
        if head := _FENCE_HEAD.match(source, start):
            start, language = head.end(), head[1] or ""
    end = source.find(close, start)
    if end < 0:
        where = len(source[:begin].encode(errors="surrogatepass"))
        raise cannot_parse(f"Can't find end of the entity starting at byte offset {where}")
    inner, after = source[start:end], end + len(close)
    if mark == "[":
        target = inner
        if source.startswith("(", after):
            stop = source.find(")", after)
            stop = len(source) if stop < 0 else stop
            target, after = source[after + 1 : stop], stop + 1
        return inner, link_entity(target), after
    if close == "```":
        return inner, {"type": "pre", "language": language} if language else {"type": "pre"}, after
    return inner, {"type": _OLD_KINDS[mark]}, after
