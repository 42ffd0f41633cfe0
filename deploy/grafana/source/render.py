"""Makes Grafana's JSON of the declared dashboards, with Grafana's own builders. Pure.

Panels get their place and number here, row by row, so that the same declaration always gives the same text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import quote

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    dashboard,
    heatmap,
    logs,
    stat,
    table,
    timeseries,
)
from grafana_foundation_sdk.builders import loki as loki_query
from grafana_foundation_sdk.builders import prometheus as prometheus_query
from grafana_foundation_sdk.builders import tempo as tempo_query
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import (
    BarGaugeDisplayMode,
    BigValueColorMode,
    BigValueGraphMode,
    DataSourceRef,
    GraphThresholdsStyleMode,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
    VisibilityMode,
    VizOrientation,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    GridPos,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMappingResult,
    VariableHide,
    VariableOption,
    VariableRefresh,
    VariableSort,
)
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat
from grafana_foundation_sdk.models.tempo import SearchTableType

from deploy.grafana.source.panel import Board, Kind, Panel, Query, Source

_WIDTH = 24
#: The data sources by the uids that they are provisioned with.
_SOURCES: dict[Source, DataSourceRef] = {
    "prometheus": DataSourceRef(type_val="prometheus", uid="prometheus"),
    "loki": DataSourceRef(type_val="loki", uid="loki"),
    "tempo": DataSourceRef(type_val="tempo", uid="tempo"),
}
_TAG = "tracegram"

AnyPanel = bargauge.Panel | heatmap.Panel | logs.Panel | stat.Panel | table.Panel | timeseries.Panel


def render(board: Board, runbooks: str = "") -> str:
    """The JSON of a dashboard, as it is committed. `runbooks` is the address of their folder, for links to them."""
    built = _frame(board)
    number = y = 0
    for row in board.rows:
        number += 1
        built.with_row(dashboard.Row(row.title).id(number).grid_pos(GridPos(h=1, w=_WIDTH, x=0, y=y)))
        y += 1
        for panel, x, line in _places(row.panels):
            number += 1
            place = GridPos(h=panel.height, w=panel.width, x=x, y=y + line)
            built.with_panel(_panel(panel, runbooks).id(number).grid_pos(place))
        y += _height(row.panels)
    return json.dumps(built.build(), cls=JSONEncoder, indent=2, sort_keys=True) + "\n"


def _places(panels: tuple[Panel, ...]) -> Iterator[tuple[Panel, int, int]]:
    """Each panel with its column and line: from left to right, a new line where the next one would not fit."""
    x = line = high = 0
    for panel in panels:
        if x + panel.width > _WIDTH:
            x, line, high = 0, line + high, 0
        yield panel, x, line
        x, high = x + panel.width, max(high, panel.height)


def _height(panels: tuple[Panel, ...]) -> int:
    return max(line + panel.height for panel, _, line in _places(panels))


def _frame(board: Board) -> dashboard.Dashboard:
    others = dashboard.DashboardLink("Tracegram").type(DashboardLinkType.DASHBOARDS).tags([_TAG])
    return (
        dashboard.Dashboard(board.title)
        .uid(f"tracegram-{board.slug}")
        .description(board.says)
        .tags([_TAG])
        .readonly()
        .time("now-1h", "now")
        .refresh("30s")
        .timezone("browser")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .with_variable(_instance())
        .links(
            [
                others.as_dropdown(True).keep_time(True).include_vars(True),
                _explore("Traces", "tempo", {"queryType": "traceql", "query": "{}"}),
                _explore("Logs", "loki", {"expr": '{service_name="tracegram"}'}),
            ]
        )
    )


def _instance() -> dashboard.QueryVariable:
    """The instances that are shown: those that Prometheus scrapes as the bot's, all of them at first."""
    return (
        dashboard.QueryVariable("instance")
        .label("Instance")
        .datasource(_SOURCES["prometheus"])
        .query('label_values(up{job="tracegram"}, instance)')
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .hide(VariableHide.DONT_HIDE)
        .multi(True)
        .include_all(True)
        .all_value(".+")
        .current(VariableOption(selected=True, text="All", value="$__all"))
        .allow_custom_value(False)
    )


def _explore(title: str, source: Source, query: dict[str, str]) -> dashboard.DashboardLink:
    """A link to Explore, in its URL schema 1."""
    reference = {"type": source, "uid": source}
    pane = {"datasource": source, "queries": [{"refId": "A", "datasource": reference, **query}]}
    panes = quote(json.dumps({"t": pane}, separators=(",", ":")), safe="")
    link = dashboard.DashboardLink(title).type(DashboardLinkType.LINK)
    return link.url(f"/explore?schemaVersion=1&orgId=1&panes={panes}").keep_time(True)


def _panel(panel: Panel, runbooks: str) -> AnyPanel:
    built = _drawn(panel)
    text = f"{panel.says} Runbook: docs/runbooks/{panel.alert}.md" if panel.alert else panel.says
    built.title(panel.title).description(text).unit(panel.unit).datasource(_SOURCES[panel.queries[0].source])
    if panel.alert and runbooks:
        url = f"{runbooks}/{panel.alert}.md"
        runbook = dashboard.DashboardLink(f"Runbook: {panel.alert}").type(DashboardLinkType.LINK).url(url)
        built.links([runbook.target_blank(True)])
    built.thresholds(_thresholds(panel))
    if panel.most is not None:
        built.max(panel.most)
    if panel.wrong:
        words = {value: ValueMappingResult(text=text, color="red") for value, text in panel.wrong}
        built.mappings([ValueMap(options=words)])
    for letter, query in zip("ABCDEF", panel.queries, strict=False):
        built.with_target(_target(letter, query, panel.kind))
    return built


def _drawn(panel: Panel) -> AnyPanel:
    match panel.kind:
        case "graph" | "stacked":
            return _graph(panel)
        case "stat":
            last = common.ReduceDataOptions().calcs(["lastNotNull"])
            return (
                stat.Panel()
                .reduce_options(last)
                .graph_mode(BigValueGraphMode.AREA)
                .color_mode(BigValueColorMode.VALUE)
            )
        case "bars":
            last = common.ReduceDataOptions().calcs(["lastNotNull"])
            return (
                bargauge.Panel()
                .reduce_options(last)
                .display_mode(BarGaugeDisplayMode.BASIC)
                .orientation(VizOrientation.HORIZONTAL)
                .min(0)
            )
        case "heatmap":
            colours = heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Oranges").steps(64)
            return (
                heatmap.Panel()
                .calculate(False)
                .color(colours)
                .y_axis(heatmap.YAxisConfig().unit(panel.unit))
                .cell_gap(1)
                .show_legend()
            )
        case "logs":
            return logs.Panel().show_time(True).wrap_log_message(True).enable_log_details(True)
        case "traces":
            return table.Panel()


def _graph(panel: Panel) -> timeseries.Panel:
    legend = (
        common.VizLegendOptions()
        .display_mode(LegendDisplayMode.TABLE)
        .placement(LegendPlacement.BOTTOM)
        .show_legend(True)
        .calcs(["lastNotNull", "max"])
    )
    graph = (
        timeseries.Panel()
        .legend(legend)
        .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
        .show_points(VisibilityMode.NEVER)
        .fill_opacity(40 if panel.kind == "stacked" else 8)
        .min(0)
    )
    if panel.kind == "stacked":
        graph.stacking(common.StackingConfig().mode(StackingMode.NORMAL))
    if panel.limits:
        graph.thresholds_style(common.GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.DASHED))
    return graph


def colours(panel: Panel) -> list[str]:
    """The colour below the first limit, and from each limit on: green and red, or the other way round, yellow between them."""
    found = ["green", "yellow", "red"] if len(panel.limits) > 1 else ["green", "red"][: len(panel.limits) + 1]
    return found[::-1] if panel.falling else found


def _thresholds(panel: Panel) -> dashboard.ThresholdsConfig:
    values = (None, *panel.limits)
    steps = [Threshold(value=v, color=colour) for v, colour in zip(values, colours(panel), strict=True)]
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)


AnyQuery = loki_query.Dataquery | prometheus_query.Dataquery | tempo_query.Dataquery


def _target(letter: str, query: Query, kind: Kind) -> AnyQuery:
    source = _SOURCES[query.source]
    match query.source:
        case "prometheus":
            asked = prometheus_query.Dataquery().datasource(source).ref_id(letter).expr(query.expr)
            if kind == "heatmap":
                asked.format(PromQueryFormat.HEATMAP)
            legend = "{{le}}" if kind == "heatmap" else query.legend
            # A bar is how it is now; over a time its zero would stay beside what came later.
            asked = asked.instant() if kind == "bars" else asked.range()
            return asked.legend_format(legend).exemplar(query.exemplar)
        case "loki":
            return loki_query.Dataquery().datasource(source).ref_id(letter).expr(query.expr)
        case "tempo":
            asked_of_tempo = tempo_query.Dataquery().datasource(source).ref_id(letter).query(query.expr)
            return asked_of_tempo.query_type("traceql").limit(20).table_type(SearchTableType.TRACES)
