"""The dashboards are what their declaration renders, whole and sound, and ask for nothing that nobody measures."""

from __future__ import annotations

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from app.alerts.groups import alerts, groups
from app.bot.screens.grafana import loki_link, tempo_link
from app.config.alerting import DEFAULTS
from app.telemetry.catalogue import CATALOGUE, UPDATES
from deploy.grafana.source.__main__ import BOARDS, FOLDER, differing, main
from deploy.grafana.source.panel import Board, Panel
from deploy.grafana.source.promql import rate, select
from tests.kit.promql import strangers
from tests.kit.repository import ROOT

Json = dict[str, Any]

PROVISIONING = FOLDER.parent / "provisioning"


def _dashboard(board: Board) -> Json:
    found: Json = json.loads((FOLDER / f"{board.slug}.json").read_text(encoding="utf-8"))
    return found


def _panels(board: Board) -> list[Panel]:
    return [panel for row in board.rows for panel in row.panels]


def _queries(source: str) -> list[str]:
    return [
        query.expr
        for board in BOARDS
        for panel in _panels(board)
        for query in panel.queries
        if query.source == source
    ]


def _sources() -> dict[str, Json]:
    text = (PROVISIONING / "datasources" / "tracegram.yaml").read_text(encoding="utf-8")
    return {source["uid"]: source for source in yaml.safe_load(text)["datasources"]}


def test_the_dashboards_are_up_to_date() -> None:
    assert differing(FOLDER) == [], "run `make dashboards`"


def test_the_check_names_what_differs_and_writing_mends_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([], tmp_path) == 0
    assert main(["--check"], tmp_path) == 0
    (tmp_path / "updates.json").write_text("{}")
    (tmp_path / "system.json").unlink()
    (tmp_path / "gone.json").write_text("{}")

    assert main(["--check"], tmp_path) == 1
    assert capsys.readouterr().err.splitlines() == [
        f"deploy/grafana/dashboards/{name}.json is not up to date: make dashboards"
        for name in ("gone", "system", "updates")
    ]
    assert main([], tmp_path) == 0
    assert differing(tmp_path) == []


def test_panels_link_to_the_runbooks_where_they_are_said_to_be(tmp_path: Path) -> None:
    assert main(["--runbooks", "https://runbooks.example/"], tmp_path) == 0

    linked = {
        panel["title"]: [link["url"] for link in panel["links"]]
        for panel in json.loads((tmp_path / "system.json").read_text())["panels"]
        if "links" in panel
    }
    assert linked["Event loop: late by"] == ["https://runbooks.example/EventLoopLag.md"]
    assert "CPU" not in linked


def test_a_board_has_its_own_uid_and_file() -> None:
    uids = {board.slug: _dashboard(board)["uid"] for board in BOARDS}

    assert uids == {
        slug: f"tracegram-{slug}" for slug in ("overview", "updates", "downloads", "system", "pipeline")
    }


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.slug)
def test_panels_have_their_own_number_and_place(board: Board) -> None:
    panels = _dashboard(board)["panels"]
    places = [(p["gridPos"]["x"], p["gridPos"]["y"], p["gridPos"]["w"], p["gridPos"]["h"]) for p in panels]

    assert [panel["id"] for panel in panels] == list(range(1, len(panels) + 1))
    assert [place for place in places if place[0] + place[2] > 24 or min(place[2:]) < 1] == []
    assert [pair for pair in combinations(places, 2) if _overlap(*pair)] == []


def _overlap(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    return all(
        one[side] < other[side] + other[side + 2] and other[side] < one[side] + one[side + 2]
        for side in (0, 1)
    )


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.slug)
def test_a_panel_says_in_one_sentence_what_is_normal(board: Board) -> None:
    wrong = [panel.title for panel in _panels(board) if not re.fullmatch(r"[^.]+(\.\d[^.]*)*\.", panel.says)]

    assert wrong == []


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.slug)
def test_a_panels_title_is_its_own_and_its_limits_rise(board: Board) -> None:
    panels = _panels(board)
    titles = [panel.title for panel in panels]

    assert [title for title in titles if titles.count(title) > 1] == []
    assert [panel.title for panel in panels if list(panel.limits) != sorted(set(panel.limits))] == []


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.slug)
def test_lines_have_a_legend_of_their_own(board: Board) -> None:
    unnamed = [
        panel.title
        for panel in _panels(board)
        for query in panel.queries
        if panel.kind in ("graph", "stacked", "bars", "stat") and not query.legend
    ]

    assert unnamed == []
    assert [panel.title for panel in _panels(board) if _repeated([q.legend for q in panel.queries])] == []


def _repeated(names: list[str]) -> bool:
    return len(set(names)) < len(names)


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.slug)
def test_panels_and_variables_ask_data_sources_that_are_provisioned(board: Board) -> None:
    dashboard = _dashboard(board)
    asked = [
        holder["datasource"]
        for panel in dashboard["panels"]
        for holder in [panel, *panel.get("targets", ())]
        if holder.get("datasource")
    ] + [variable["datasource"] for variable in dashboard["templating"]["list"]]
    known = [{"type": source["type"], "uid": uid} for uid, source in _sources().items()]

    assert [source for source in asked if source not in known] == []


def test_all_instances_are_shown_at_first_and_none_can_be_typed() -> None:
    for board in BOARDS:
        [variable] = _dashboard(board)["templating"]["list"]

        assert (variable["name"], variable["query"]) == (
            "instance",
            'label_values(up{job="tracegram"}, instance)',
        )
        assert (variable["current"]["value"], variable["allValue"]) == ("$__all", ".+")
        assert variable["allowCustomValue"] is False


def test_a_legend_uses_only_labels_that_its_query_has() -> None:
    wrong = []
    for board in BOARDS:
        for panel in _panels(board):
            for query in panel.queries:
                kept = set(re.findall(r"\w+", " ".join(re.findall(r"by \(([^)]*)\)", query.expr))))
                used = set(re.findall(r"\{\{(\w+)\}\}", query.legend))
                if kept and not used <= kept:
                    wrong.append((panel.title, used - kept))

    assert wrong == []


def test_queries_name_only_what_is_declared_or_recorded() -> None:
    recorded = {recording.name for group in groups(DEFAULTS) for recording in group.recordings}

    wrong = {query: strangers(query, CATALOGUE, recorded) for query in _queries("prometheus")}
    assert {query: found for query, found in wrong.items() if found} == {}


def test_panels_name_alerts_that_there_are() -> None:
    named = {panel.alert for board in BOARDS for panel in _panels(board) if panel.alert}

    assert sorted(named - {alert.name for alert in alerts(DEFAULTS)}) == []


def test_every_metric_of_the_bot_is_on_a_panel() -> None:
    shown = " ".join(_queries("prometheus"))
    names = {metric.prometheus for metric in CATALOGUE}

    assert sorted(name for name in names if not re.search(rf"\b{name}(_bucket|_sum|_count)?\b", shown)) == []


def test_a_label_that_a_metric_has_not_is_refused() -> None:
    assert rate(UPDATES, 'outcome!="error"', by="update_type") == (
        "sum by (update_type) "
        '(rate(bot_updates_total{job="tracegram",instance=~"$instance",outcome!="error"}[$__rate_interval]))'
    )
    with pytest.raises(ValueError, match="bot_updates_total has no label button"):
        select(UPDATES, 'button="a"')
    with pytest.raises(ValueError, match="bot_updates_total has no label reason"):
        rate(UPDATES, by="outcome, reason")


def test_the_data_sources_lead_to_each_other() -> None:
    sources = _sources()
    tempo = sources["tempo"]["jsonData"]

    assert {uid: source["type"] for uid, source in sources.items()} == {
        name: name for name in ("prometheus", "tempo", "loki", "alertmanager")
    }
    assert [d["datasourceUid"] for d in sources["prometheus"]["jsonData"]["exemplarTraceIdDestinations"]] == [
        "tempo"
    ]
    assert sources["prometheus"]["jsonData"]["exemplarTraceIdDestinations"][0]["name"] == "trace_id"
    assert [field["datasourceUid"] for field in sources["loki"]["jsonData"]["derivedFields"]] == ["tempo"]
    assert tempo["tracesToLogsV2"]["datasourceUid"] == "loki"
    assert tempo["tracesToMetrics"]["datasourceUid"] == "prometheus"
    assert tempo["serviceMap"]["datasourceUid"] == "prometheus"


def test_grafana_reads_its_own_variables_from_what_is_escaped() -> None:
    """As Grafana does it: a doubled dollar sign is one, `${NAME}` is of the environment."""
    tempo = _sources()["tempo"]["jsonData"]

    assert _expanded(tempo["tracesToLogsV2"]["query"]) == '{${__tags}} | trace_id = "${__trace.traceId}"'
    assert [_expanded(query["query"]).count("{$__tags") for query in tempo["tracesToMetrics"]["queries"]] == [
        1,
        1,
        1,
    ]
    assert _expanded(_sources()["loki"]["jsonData"]["derivedFields"][0]["url"]) == "${__value.raw}"


def _expanded(text: str) -> str:
    return re.sub(r"\$\$|\$\{?\w+\}?", lambda found: "$" if found[0] == "$$" else "of the environment", text)


def test_grafana_in_a_container_has_what_its_provisioning_names() -> None:
    texts = [path.read_text(encoding="utf-8") for path in PROVISIONING.glob("*/*.yaml")]
    needed = {name for text in texts for name in re.findall(r"(?<!\$)\$\{(\w+)\}", text)}
    compose = yaml.safe_load((ROOT / "docker-compose.otel.yml").read_text(encoding="utf-8"))["services"]
    grafana = compose["grafana"]
    given = {name: grafana["environment"].get(name, "") for name in needed}
    folders = [volume.split(":")[1] for volume in grafana["volumes"] if "deploy/grafana/dashboards" in volume]

    assert folders == [given.pop("GRAFANA_DASHBOARDS")]
    assert {name.removesuffix("_URL").lower(): urlsplit(url).hostname for name, url in given.items()} == {
        name: name for name in ("prometheus", "tempo", "loki", "alertmanager")
    }


def test_the_links_of_debug_name_data_sources_that_are_provisioned() -> None:
    links = [
        tempo_link("https://grafana.example", "ab", 0),
        loki_link("https://grafana.example", "ab", "s", 0),
    ]
    panes = [json.loads(parse_qs(urlsplit(link).query)["panes"][0])["t"] for link in links]

    assert [pane["datasource"] for pane in panes] == ["tempo", "loki"]
    assert [pane["queries"][0]["datasource"] for pane in panes] == [
        {"uid": uid, "type": _sources()[uid]["type"]} for uid in ("tempo", "loki")
    ]


def test_the_dashboards_are_not_edited_in_grafana() -> None:
    provider = yaml.safe_load((PROVISIONING / "dashboards" / "tracegram.yaml").read_text())["providers"][0]

    assert provider["allowUiUpdates"] is False
    assert [_dashboard(board)["editable"] for board in BOARDS] == [False] * len(BOARDS)
    assert FOLDER == ROOT / "deploy" / "grafana" / "dashboards"
