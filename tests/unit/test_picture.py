"""The picture of a trace: a PNG that Telegram takes as a photo, whatever the trace looks like."""

from __future__ import annotations

import io
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from app.telemetry.canvas import BAD, GOLD, GOOD, PAGE, blend, fit, width_of, writable
from app.telemetry.picture import PARTS, picture, ticks
from app.telemetry.recorder import EventRecord, SpanRecord, TraceRecord
from tests.kit.repository import ROOT

MS = 1_000_000
CID = "4bf92f3577b34da6a3ce929d0e0e4736"
DOOR = {"messaging.system": "telegram"}


def span(name: str, parent: str | None, start: float, end: float, *, status: Any = "unset", **attributes: Any) -> SpanRecord:  # fmt: skip
    kind = "consumer" if name.startswith("process") else "internal"
    return SpanRecord(CID, name, parent, name, kind, int(start * MS), int(end * MS), status, attributes)


def whole(**outcome: Any) -> TraceRecord:
    return TraceRecord(
        CID,
        [
            span("receive message", None, 0, 5, **DOOR),
            span("process message", "receive message", 30, 100, **DOOR, **outcome),
            span("SELECT", "process message", 40, 60, **{"db.system.name": "sqlite"}),
        ],
        [EventRecord(int(2 * MS), "UPDATE_RECEIVED", {})],
    )


HANDLED = {"telegram.update.outcome": "handled"}


def drawn(trace: TraceRecord) -> Image.Image:
    image = Image.open(io.BytesIO(picture(trace)))
    assert image.format == "PNG"
    return image.convert("RGB")


def colours(image: Image.Image) -> set[str]:
    found = image.getcolors(image.width * image.height)
    assert found is not None
    return {"#" + bytes(rgb).hex() for _, rgb in found}  # type: ignore[arg-type]  # an RGB image has triples


def at(image: Image.Image, x: int, y: int) -> str:
    return "#" + bytes(image.getpixel((x, y))).hex()  # type: ignore[arg-type]  # as above


def test_bars_stand_where_their_time_is_in_the_colour_of_their_part() -> None:
    image = drawn(whole(**HANDLED))
    rows = [
        236 + 44 + 23 + 46 * n - 3 for n in range(3)
    ]  # head, events, then rows; a bar is above the middle
    assert image.size == (1280, 236 + 44 + 3 * 46 + 92)
    axis = [452 + round(556 * share) for share in (0.02, 0.15, 0.5, 0.8)]
    update, database = PARTS["update"], PARTS["database"]
    seen = [[at(image, x, y) for x in axis] for y in rows]
    assert [[c if c in (update, database) else "" for c in row] for row in seen] == [
        [update, "", "", ""],
        ["", "", update, update],
        ["", "", database, ""],
    ]


def test_the_critical_path_is_gold_and_dashed_while_it_waits() -> None:
    image = drawn(whole(**HANDLED))
    below = [236 + 44 + 23 + 46 * n + 17 for n in range(3)]

    def gold(y: int, start: float, end: float) -> float:
        line = [at(image, 452 + round(556 * x / 100), y) == GOLD for x in range(int(start) + 1, int(end))]
        return sum(line) / len(line)

    assert [
        gold(below[0], 0, 5),
        gold(below[1], 30, 40),
        gold(below[2], 40, 60),
        gold(below[1], 60, 100),
    ] == [1] * 4
    assert gold(below[1], 40, 60) == 0
    assert 0.3 < gold(below[1], 5, 30) < 0.8


@pytest.mark.parametrize(
    ("trace", "has", "lacks"),
    [
        (whole(**HANDLED), {GOOD, GOLD}, {BAD}),
        (whole(), {GOLD}, {BAD, GOOD}),
        (TraceRecord(CID, [span("process message", None, 0, 9, status="error", **DOOR)]), {BAD, GOLD}, {GOOD}),
        (
            TraceRecord(CID, whole(**HANDLED).spans, [EventRecord(0, "CALLBACK_REJECTED", {"reason_code": "NOOP"})]),
            {BAD},
            {GOOD},
        ),
    ],
    ids=["handled", "under way", "failed", "rejected"],
)  # fmt: skip
def test_the_colour_says_how_it_ended(trace: TraceRecord, has: set[str], lacks: set[str]) -> None:
    found = colours(drawn(trace))
    assert has <= found
    assert not lacks & found


def test_what_is_not_on_the_critical_path_is_dimmed() -> None:
    spans = [*whole(**HANDLED).spans, span("beside", "process message", 41, 59, **{"db.system.name": "x"})]
    assert blend(PARTS["database"], 0.55) in colours(drawn(TraceRecord(CID, spans)))


def test_two_thousand_spans_and_names_without_end_make_a_photo_that_telegram_takes() -> None:
    spans = [span("receive message", None, 0, 1, **DOOR)]
    spans += [span("ж" * 5000 + str(n), "receive message", n, n + 1) for n in range(2000)]
    events = [EventRecord(n * MS, "DISPATCH_FAIL", {}) for n in range(200)]
    file = picture(TraceRecord(CID, spans, events, dropped_spans=3))
    width, height = Image.open(io.BytesIO(file)).size
    assert (width, height) == (1280, 236 + 44 + 41 * 36 + 92)
    assert width + height <= 10_000
    assert height / width < 20
    assert len(file) < 10 * 1024 * 1024


def test_ticks_are_round() -> None:
    assert ticks(91) == [0, 20, 40, 60, 80]
    assert ticks(1) == [0, 1]
    assert ticks(7_400 * MS) == [0, 2_000 * MS, 4_000 * MS, 6_000 * MS]


@given(st.integers(1, 10**15))
def test_there_are_always_a_few_ticks(total: int) -> None:
    found = ticks(total)
    assert 2 <= len(found) <= 6
    assert found[-1] <= total


@given(st.text(max_size=50), st.integers(30, 400))
def test_a_cut_line_has_room(text: str, room: int) -> None:
    assert width_of(fit(text, 22, room), 22) <= room + 1


def test_what_the_font_lacks_is_a_question_mark() -> None:
    assert writable("SELECT жизнь … 1 · 2\n\U0001f600") == "SELECT ????? … 1 · 2??"


damaged = st.lists(
    st.tuples(st.integers(-1, 30), st.integers(-(10**15), 10**15), st.integers(-50, 10**15), st.text(max_size=30)),
    min_size=1,
    max_size=50,
)  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(damaged, st.lists(st.integers(-(10**15), 10**15), max_size=5))
def test_any_trace_at_all_can_be_drawn(drafts: list[tuple[int, int, int, str]], moments: list[int]) -> None:
    spans = [
        SpanRecord(CID, str(n), str(p), name, "consumer", start, start + length, "error", {})
        for n, (p, start, length, name) in enumerate(drafts)
    ]
    image = drawn(TraceRecord(CID, spans, [EventRecord(m, "UPDATE_RECEIVED", {}) for m in moments]))
    assert image.width == 1280
    assert at(image, 2, 2) == PAGE


def test_the_drawing_library_is_not_loaded_at_the_start() -> None:
    """It takes ten megabytes, and most processes never draw."""
    program = "import sys, app.telemetry.picture, app.main; print('PIL' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "False"
