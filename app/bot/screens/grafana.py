"""Deep links into Grafana Explore: one trace in Tempo, and its log lines in Loki. Pure.

The form is that of Explore's URL schema 1 (Grafana 10 to 13). Opening Explore needs the Editor role there.
"""

from __future__ import annotations

import json
from urllib.parse import quote

#: The uids that the data sources are provisioned with.
_TEMPO, _LOKI = "tempo", "loki"
_AROUND_MS = 15 * 60 * 1000


def tempo_link(base: str, cid: str, started_ms: int) -> str:
    """The trace in Tempo."""
    query = {"queryType": "traceql", "query": cid}
    return _explore(base, _TEMPO, query, started_ms)


def loki_link(base: str, cid: str, service: str, started_ms: int) -> str:
    """The log lines of the trace in Loki."""
    query = {"expr": f'{{service_name="{service}"}} | trace_id="{cid}"'}
    return _explore(base, _LOKI, query, started_ms)


def _explore(base: str, source: str, query: dict[str, str], started_ms: int) -> str:
    pane = {
        "datasource": source,
        "queries": [{"refId": "A", "datasource": {"uid": source, "type": source}, **query}],
        "range": {"from": str(started_ms - _AROUND_MS), "to": str(started_ms + _AROUND_MS)},
    }
    panes = quote(json.dumps({"t": pane}, separators=(",", ":")), safe="")
    return f"{base}/explore?schemaVersion=1&orgId=1&panes={panes}"
