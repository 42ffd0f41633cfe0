"""Parse modes through sendMessage: plain text and entities, or the original's refusal with its byte offset."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.sandbox.server import FloodLimits
from tests.kit.sandbox_client import ALICE, Sandbox, running_sandbox


@pytest.fixture
async def box() -> AsyncIterator[Sandbox]:
    async with running_sandbox(flood=FloodLimits(bot_burst=1000, chat_burst=1000)) as box:
        yield box


async def send(box: Sandbox, mode: str, text: str, **more: Any) -> tuple[str, list[dict[str, Any]]]:
    message = await box.result("sendMessage", chat_id=ALICE, text=text, parse_mode=mode, **more)
    return message["text"], message.get("entities", [])


def entity(kind: str, offset: int, length: int, **more: Any) -> dict[str, Any]:
    return {"type": kind, "offset": offset, "length": length, **more}


HTML = [
    ("<b>a</b> <strong>b</strong>", "a b", [entity("bold", 0, 1), entity("bold", 2, 1)]),
    ("<i>a</i><em>b</em>", "ab", [entity("italic", 0, 1), entity("italic", 1, 1)]),
    (
        "<s>a</s><u>b</u><ins>c</ins>",
        "abc",
        [entity("strikethrough", 0, 1), entity("underline", 1, 1), entity("underline", 2, 1)],
    ),
    ("😀<b>x</b>", "😀x", [entity("bold", 2, 1)]),
    ("<b>a<i>b</i></b>", "ab", [entity("bold", 0, 2), entity("italic", 1, 1)]),
    ("<code>/x</code>", "/x", [entity("code", 0, 2)]),
    ("<pre>a</pre>", "a", [entity("pre", 0, 1)]),
    (
        '<pre><code class="language-py">a</code></pre>',
        "a",
        [entity("pre", 0, 1, language="py")],
    ),
    ('<a href="https://example.com">x</a>', "x", [entity("text_link", 0, 1, url="https://example.com/")]),
    ("<a href='nowhere'>x</a>", "x", []),
    (
        '<span class="tg-spoiler">a</span><tg-spoiler>b</tg-spoiler>',
        "ab",
        [entity("spoiler", 0, 1), entity("spoiler", 1, 1)],
    ),
    ("<blockquote>a</blockquote>", "a", [entity("blockquote", 0, 1)]),
    ("<blockquote expandable>a</blockquote>", "a", [entity("expandable_blockquote", 0, 1)]),
    ('<tg-emoji emoji-id="123">😀</tg-emoji>', "😀", [entity("custom_emoji", 0, 2, custom_emoji_id="123")]),
    ("&lt;&#60;&#x3C;&amp;&quot;&nbsp;", '<<<&"&nbsp;', []),
    ("<b></b>a<B>b</>", "ab", [entity("bold", 1, 1)]),
    ("  <b>a </b> ", "a", [entity("bold", 0, 1)]),
    (
        '<a href="tg://user?id=1001">A</a><a href="tg://user?id=5">B</a>',
        "AB",
        [
            entity(
                "text_mention",
                0,
                1,
                user={
                    "id": 1001,
                    "is_bot": False,
                    "first_name": "Alice",
                    "username": "alice",
                    "language_code": "en",
                },
            )
        ],
    ),
]


@pytest.mark.parametrize(("source", "text", "entities"), HTML)
async def test_html(box: Sandbox, source: str, text: str, entities: list[Any]) -> None:
    assert await send(box, "HTML", source) == (text, entities)


HTML_REFUSALS = [
    ("я<x>", 'Unsupported start tag "x" at byte offset 2'),
    ("<b>a", 'Can\'t find end tag corresponding to start tag "b"'),
    ("a</b>", "Unexpected end tag at byte offset 1"),
    ("<b>a</i>", 'Unmatched end tag at byte offset 4, expected "</b>", found "</i>"'),
    ("<b", "Unclosed start tag at byte offset 0"),
    ("<a href", 'Unclosed start tag "a" at byte offset 0'),
    ('<a href="x', "Unclosed start tag at byte offset 0"),
    ('<a ="x">', 'Empty attribute name in the tag "a" at byte offset 0'),
    ("<a href=x/y>", "Unexpected end of name token at byte offset 8"),
    ("<span>a</span>", 'Tag "span" must have class "tg-spoiler" at byte offset 0'),
    ("<b>a</b", "Unclosed end tag at byte offset 4"),
    ("5 < 6", 'Unsupported start tag "" at byte offset 2'),
    ('<tg-emoji emoji-id="x">a</tg-emoji>', "Invalid custom emoji identifier specified"),
    (
        "&#xD800;",
        "Text contains invalid Unicode characters after decoding HTML entities, check for unmatched surrogate code units",
    ),
]


@pytest.mark.parametrize(("source", "reason"), HTML_REFUSALS)
async def test_html_refusals(box: Sandbox, source: str, reason: str) -> None:
    refusal = await box.refusal("sendMessage", chat_id=ALICE, text=source, parse_mode="html")
    assert refusal == f"400 Bad Request: can't parse entities: {reason}"


MARKDOWN_V2 = [
    (
        "*b* _i_ __u__ ~s~ ||p||",
        "b i u s p",
        [
            entity("bold", 0, 1),
            entity("italic", 2, 1),
            entity("underline", 4, 1),
            entity("strikethrough", 6, 1),
            entity("spoiler", 8, 1),
        ],
    ),
    (r"1\.5 \* \_ \\", r"1.5 * _ " + "\\", []),
    ("`a.b`", "a.b", [entity("code", 0, 3)]),
    ("```py\nx=1```", "x=1", [entity("pre", 0, 3, language="py")]),
    ("```\nx```", "x", [entity("pre", 0, 1)]),
    (r"[x](https://example.com/\))", "x", [entity("text_link", 0, 1, url="https://example.com/)")]),
    ("![😀](tg://emoji?id=5)", "😀", [entity("custom_emoji", 0, 2, custom_emoji_id="5")]),
    ("*a _b_*", "a b", [entity("bold", 0, 3), entity("italic", 2, 1)]),
    (">q\n>r\nx", "q\nr\nx", [entity("blockquote", 0, 3)]),
    (">q||\nx", "q\nx", [entity("expandable_blockquote", 0, 1)]),
    (">q", "q", [entity("blockquote", 0, 1)]),
]


@pytest.mark.parametrize(("source", "text", "entities"), MARKDOWN_V2)
async def test_markdown_v2(box: Sandbox, source: str, text: str, entities: list[Any]) -> None:
    assert await send(box, "MarkdownV2", source) == (text, entities)


MARKDOWN_V2_REFUSALS = [
    ("1.5", "Character '.' is reserved and must be escaped with the preceding '\\'"),
    ("a|b", "Character '|' is reserved and must be escaped with the preceding '\\'"),
    ("a>b", "Character '>' is reserved and must be escaped with the preceding '\\'"),
    ("x!", "Character '!' is reserved and must be escaped with the preceding '\\'"),
    ("я*b", "Can't find end of Bold entity at byte offset 2"),
    ("_a *b_", "Can't find end of Italic entity at byte offset 0")
    if False
    else ("_a *b", "Can't find end of Bold entity at byte offset 3"),
    ("`a", "Can't find end of Code entity at byte offset 0"),
    ("[x](a", "Can't find end of a URL at byte offset 4"),
    ("![x](https://x.org)", "The entity must contain a tg://emoji or tg://time URL"),
]


@pytest.mark.parametrize(("source", "reason"), MARKDOWN_V2_REFUSALS)
async def test_markdown_v2_refusals(box: Sandbox, source: str, reason: str) -> None:
    refusal = await box.refusal("sendMessage", chat_id=ALICE, text=source, parse_mode="MarkdownV2")
    assert refusal == f"400 Bad Request: can't parse entities: {reason}"


async def test_the_old_markdown(box: Sandbox) -> None:
    source = "*b* _i_ `c` [x](https://example.com) ```sh\nls``` \\*"
    text, entities = await send(box, "Markdown", source)
    assert text == "b i c x ls *"
    assert entities == [
        entity("bold", 0, 1),
        entity("italic", 2, 1),
        entity("code", 4, 1),
        entity("text_link", 6, 1, url="https://example.com/"),
        entity("pre", 8, 2, language="sh"),
    ]
    refusal = await box.refusal("sendMessage", chat_id=ALICE, text="a_b", parse_mode="Markdown")
    assert (
        refusal
        == "400 Bad Request: can't parse entities: Can't find end of the entity starting at byte offset 1"
    )


SHOWN = [
    ("see https://example.com/a_(b)?c=1.", [entity("url", 4, 29)]),
    ("(http://127.0.0.1:8080/x.mp3)", [entity("url", 1, 27)]),
    ("example.com, a.b", [entity("url", 0, 11)]),
    ("/start /a@sandbox_42_bot a/b", [entity("bot_command", 0, 6), entity("bot_command", 7, 17)]),
    ("@alice a@b.org #tag #1", [entity("mention", 0, 6), entity("email", 7, 7), entity("hashtag", 15, 4)]),
    ("😀 /x", [entity("bot_command", 3, 2)]),
]


@pytest.mark.parametrize(("source", "entities"), SHOWN)
async def test_what_shows_by_itself_for_bots_and_users_alike(
    box: Sandbox, source: str, entities: list[Any]
) -> None:
    assert await send(box, "", source) == (source, entities)
    await box.write(source)
    (update,) = await box.result("getUpdates")
    assert update["message"].get("entities", []) == entities


async def test_an_explicit_list_of_entities(box: Sandbox) -> None:
    given = [entity("bold", 1, 3), entity("url", 0, 2), entity("italic", 3, 99)]
    assert await send(box, "", " abcd ", entities=given) == (
        "abcd",
        [entity("bold", 0, 3), entity("italic", 2, 2)],
    )
    links = [
        {**entity("text_link", 0, 1), "url": "javascript:alert(1)", "extra": 1},
        {**entity("text_link", 1, 1), "url": "x.org", "extra": 1},
    ]
    assert await send(box, "", "ab", entities=links) == (
        "ab",
        [entity("text_link", 1, 1, url="http://x.org/")],
    )
    for wrong, reason in [
        ([entity("text_link", 0, 1)], "can't parse MessageEntity: Can't find field \"url\""),
        ([1], "can't parse MessageEntity: expected an Object"),
        ([{"type": "bold"}], 'can\'t parse MessageEntity: Field "offset" must be of type Number'),
        ([entity("bold", -1, 1)], "receive an entity with incorrect offset -1"),
    ]:
        refusal = await box.refusal("sendMessage", chat_id=ALICE, text="abc", entities=wrong)
        assert refusal == f"400 Bad Request: {reason}"
