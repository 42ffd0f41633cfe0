"""Links in messages: found whole, and refused before any process sees them."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.errors import LinkNotAllowed
from app.jobs.engines.links import MAX_LINK_CHARS, check_link, find_link


@pytest.mark.parametrize(
    ("text", "link"),
    [
        ("https://youtu.be/abc", "https://youtu.be/abc"),
        ("listen: https://youtu.be/abc, please", "https://youtu.be/abc"),
        ("(see https://example.org/a_(b))", "https://example.org/a_(b)"),
        ("«https://example.org/a»", "https://example.org/a"),
        ("is it https://example.org/watch?v=1&t=2?", "https://example.org/watch?v=1&t=2"),
        ("youtu.be/abc!", "https://youtu.be/abc"),
        ("www.example.org:8443/x?y#z", "https://www.example.org:8443/x?y#z"),
        ("президент.рф/песня", "https://президент.рф/песня"),
        ("first youtu.be/one then https://youtu.be/two", "https://youtu.be/one"),
        ("HTTPS://EXAMPLE.ORG/A", "HTTPS://EXAMPLE.ORG/A"),
        ("<a href='x'>https://example.org/a</a>", "https://example.org/a"),
    ],
)
def test_first_link_is_found_without_what_surrounds_it(text: str, link: str) -> None:
    assert find_link(text) == link


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "I said so.Then he left",
        "write to me@example.org/home",
        "1.5/2.0 and/or either.",
        "ftp://example.org/song.mp3",
        "\U0001f3b5" * 4096,
        "a." * 2048,
    ],
)
def test_text_without_a_link_has_none(text: str) -> None:
    assert find_link(text) is None


hosts = st.from_regex(r"[a-z][a-z0-9]{0,10}\.[a-z]{2,5}", fullmatch=True)
paths = st.from_regex(r"/[a-zA-Z0-9_=&?%-]{0,30}[a-zA-Z0-9]", fullmatch=True)


@given(
    st.sampled_from(["http://", "https://"]), hosts, paths, st.sampled_from(["", ".", ",", "!)", "?!", "»…"])
)
def test_a_link_survives_the_sentence_around_it(scheme: str, host: str, path: str, tail: str) -> None:
    link = f"{scheme}{host}{path}"
    assert find_link(f"Look ({link}{tail} ok") == link
    assert check_link(link) == link


@given(st.text(max_size=300))
@example("http://[")
@example("https://a/\ud800")
def test_any_text_gives_a_link_or_none(text: str) -> None:
    link = find_link(text)
    assert link is None or link.lower().startswith(("http://", "https://"))


@given(st.one_of(st.text(max_size=200), st.text(max_size=200).map(lambda rest: f"http://{rest}")))
@example("http://[::1")
@example("http://a:99999/")
def test_any_text_is_a_good_link_or_is_refused(text: str) -> None:
    with suppress(LinkNotAllowed):
        link = check_link(text)
        assert link.startswith(("http://", "https://"))
        assert check_link(link) == link


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.org/a",
        "ftp://example.org/a",
        "file:///etc/passwd",
        "data:audio/mpeg;base64,AAAA",
        "javascript:alert(1)",
        "ytsearch:song",
        "http://",
        "http:///path",
        "http://user@example.org/",
        "http://user:secret@example.org/",
        "http://@example.org/",
        "http://example.org:0/",
        "http://example.org:99999/",
        "http://example.org:port/",
        "http://[::1/",
        "http://example.org\\@127.0.0.1/",
        "http://example.org/a b",
        "http://example.org/\r\nHost: other",
        "http://example.org/\x00",
        "http://example.org/\u202ecod",
        "https://example.org/a#__youtubedl_smuggle=%7B%22referer%22%3A+%22x%22%7D",
        "https://example.org/" + "a" * 10_240,
    ],
)
def test_bad_link_is_refused(url: str) -> None:
    with pytest.raises(LinkNotAllowed):
        check_link(url)


def test_link_of_the_greatest_length_is_taken() -> None:
    url = "https://example.org/".ljust(MAX_LINK_CHARS, "a")
    assert check_link(url) == url


def test_scheme_is_given_in_lower_case() -> None:
    assert check_link("HtTpS://Example.org/A") == "https://Example.org/A"
