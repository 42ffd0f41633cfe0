"""Dashboards drawn without Grafana: numbers as a person reads them, colours by the limits, places by the values."""

from __future__ import annotations

import math
import re

import pytest

from deploy.grafana.preview.ask import Answer, Backends
from deploy.grafana.preview.evidence import Step, record, trace
from deploy.grafana.preview.page import page
from deploy.grafana.preview.shapes import PALETTE, Frame, Line, amount, dots, graph, heatmap
from deploy.grafana.source.panel import Board, Panel, Query, Row, stat
from deploy.grafana.source.render import colours

FRAME = Frame(width=100, height=54, start=0, end=10, top=5)


@pytest.mark.parametrize(
    ("value", "unit", "read"),
    [
        (0.0205, "s", "20.5 ms"),
        (75, "s", "75 s"),
        (0.123, "percentunit", "12.3 %"),
        (238_400_000, "bytes", "238 MB"),
        (0.34, "reqps", "0.34/s"),
        (4, "none", "4"),
        (14.44, "none", "14.4"),
        (math.nan, "s", "nothing"),
    ],
)
def test_a_value_is_read_by_its_unit(value: float, unit: str, read: str) -> None:
    assert amount(value, unit) == read


def test_a_line_goes_through_its_values_and_leaves_out_what_is_none() -> None:
    drawn = graph(
        [Line("a", ((0, 0), (5, math.nan), (10, 5)))], FRAME, [(2.5, "red"), (9, "red")], stacked=False
    )

    assert re.findall(r'points="([^"]*)"', drawn) == ["0.0,54.0 100.0,4.0"]
    assert re.findall(r'y1="([^"]*)"', drawn) == ["29.0"]  # The other limit is out of sight.


def test_areas_stand_upon_each_other() -> None:
    drawn = graph([Line("a", ((0, 1),)), Line("b", ((0, 4),))], FRAME, [], stacked=True)

    # From above: line and area, each down to the one below it.
    assert re.findall(r'points="([^"]*)"', drawn) == [
        "0.0,4.0",
        "0.0,4.0 0.0,44.0",
        "0.0,44.0",
        "0.0,44.0 0.0,54.0",
    ]


def test_an_area_that_is_nothing_hides_no_other() -> None:
    line = Line("errors", ((0, 1), (10, 2)))

    drawn = graph([line, Line("handled", ((0, 0), (10, 0)))], FRAME, [], stacked=True)

    shown = re.findall(r'<polyline points="([^"]*)" fill="none" stroke="([^"]*)"', drawn)
    assert [colour for _, colour in shown] == [PALETTE[1], PALETTE[0]]
    assert shown[0][0] == shown[1][0]


def test_a_cell_of_a_heatmap_is_what_its_bucket_has_more_than_the_one_below() -> None:
    buckets = [Line("+Inf", ((0, 3),)), Line("0.1", ((0, 1),)), Line("1.0", ((0, 3),))]

    drawn = heatmap(buckets, FRAME)

    assert re.findall(r'opacity="([^"]*)"', drawn) == ["0.57", "1.00"]
    late = heatmap([Line("+Inf", ((4, 1), (5, 1)))], FRAME)
    assert re.findall(r'x="([^"]*)" y="[^"]*" width="([^"]*)"', late) == [
        ("30.0", "10.00"),
        ("40.0", "10.00"),
    ]
    assert re.findall(r">([^<]+)</text>", drawn) == ["0.1", "1.0", "+Inf"]


def test_a_dot_is_drawn_where_it_is_in_sight() -> None:
    assert re.findall(r'cx="([^"]*)" cy="([^"]*)"', dots([(5, 2.5), (11, 1)], FRAME)) == [("50.0", "29.0")]


def test_limits_colour_from_green_to_red_and_back() -> None:
    def panel(*limits: float, falling: bool = False) -> Panel:
        return Panel("t", "s.", "stat", "none", (), limits, falling)

    assert colours(panel()) == ["green"]
    assert colours(panel(1)) == ["green", "red"]
    assert colours(panel(1, 2)) == ["green", "yellow", "red"]
    assert colours(panel(1, 2, falling=True)) == ["red", "yellow", "green"]


def test_a_page_shows_what_each_panel_was_answered() -> None:
    active = stat("ACTIVE", "One.", "none", "a", limits=(1,), falling=True, wrong=(("2", "two!"),))
    empty = stat("Empty", "Nothing.", "none", "b")
    bars = Panel("Bars", "Bars.", "bars", "none", (Query("c", "{{x}}"),), limits=(3,))
    rows = Panel("Logs", "Logs.", "logs", "none", (Query("d", source="loki"),))
    answers = {
        "ACTIVE": Answer([Line("ACTIVE", ((0, 2),))]),
        "Empty": Answer(),
        "Bars": Answer([Line("<a>", ((0, 4),)), Line("b", ((0, 2),))]),
        "Logs": Answer(rows=[("12:00:00", "ERROR", "it <broke>")]),
    }

    shown = page(
        Board("b", "Board", "It.", (Row("Row", (active, empty, bars, rows)),)), answers, Backends("", "", "")
    )

    assert re.findall(r"<b[^>]*>([^<]*)</b>", shown) == ["two!", "no data"]
    assert re.findall(r"<div>([^<]*) <span>([^<]*)", shown) == [("&lt;a&gt;", "4"), ("b", "2")]
    assert re.findall(r"width: ([\d.]+)%; background: (#\w+)", shown) == [
        ("100.0", "#f2495c"),
        ("50.0", "#73bf69"),
    ]
    assert re.findall(r"<td>([^<]*)", shown) == ["12:00:00", "ERROR", "it &lt;broke&gt;"]


def test_a_trace_is_walked_from_its_root() -> None:
    steps = [
        Step("c", "b", "sendMessage", 5_000_000, 9_000_000, failed=True, detail="TelegramBadRequest"),
        Step("a", "", "receive", 0, 2_000_000, failed=False),
        Step("b", "a", "process", 2_000_000, 10_000_000, failed=True),
    ]

    drawn = trace("Trace 1", steps)

    assert re.findall(r"<tr><td>(?:&ensp;)*(\w+)", drawn) == ["receive", "process", "sendMessage"]
    assert re.findall(r"left: ([\d.]+)%; width: ([\d.]+)%", drawn) == [
        ("0.00", "20.00"),
        ("20.00", "80.00"),
        ("50.00", "40.00"),
    ]
    assert re.findall(r"<td>([\d.]+ ms)<td>(\w*)", drawn) == [
        ("2.0 ms", ""),
        ("8.0 ms", ""),
        ("4.0 ms", "TelegramBadRequest"),
    ]


def test_a_stack_names_files_without_the_folder_of_this_machine() -> None:
    stack = "/x/.venv/lib/site-packages/aiogram/a.py:1 one\n/x/app/bot/b.py:2 two\n/x/instrumentation/c/d.py:3 three"

    drawn = record({"error_stack": stack}, "an update failed", ["error_stack"])

    assert re.findall(r"<td>error_stack<td>(.*)</table>", drawn, re.DOTALL) == [
        "aiogram/a.py:1 one\n<span class=ours>app/bot/b.py:2 two</span>\ninstrumentation/c/d.py:3 three"
    ]
