"""PromQL for panels, made from the catalogue's metrics: what it does not declare cannot be asked for.

Counters and histograms are of one process and summed; gauges of the database are alike everywhere and taken as a maximum.
"""

from __future__ import annotations

from app.alerts.promql import JOB
from app.telemetry.catalogue import Metric

#: Grafana's choice for the resolution of the screen: at least four scrapes.
WINDOW = "$__rate_interval"
#: Only what Prometheus scrapes: the same metrics come over OTLP under another job.
_OURS = (f'job="{JOB}"', 'instance=~"$instance"')


def select(metric: Metric, *where: str, suffix: str = "") -> str:
    """A selector of a metric's series on the chosen instances. `where` are matchers such as `outcome="error"`.

    Raises `ValueError` for a label that the metric does not have.
    """
    known = {label.key for label in metric.labels} | ({"le"} if suffix == "_bucket" else set())
    for matcher in where:
        _declared(metric, matcher.split("=")[0].rstrip("!"), known)
    return f"{metric.prometheus}{suffix}{{{','.join([*_OURS, *where])}}}"


def rate(metric: Metric, *where: str, by: str = "", window: str = WINDOW) -> str:
    """Events a second, summed over the instances; of a histogram the number of its observations."""
    suffix = "_count" if metric.kind == "histogram" else ""
    return _summed(metric, f"rate({select(metric, *where, suffix=suffix)}[{window}])", by)


def count(metric: Metric, *where: str, by: str = "", window: str = "$__range") -> str:
    """Events in a window, the screen's unless said otherwise.

    A counter is not there before its first event, which `increase` does not see: of one that is new, all of it counts.
    """
    series = select(metric, *where, suffix="_count" if metric.kind == "histogram" else "")
    new = f"({series} unless {series} offset {window})"
    return _summed(metric, f"{new} or increase({series}[{window}])", by)


def quantile(q: float, metric: Metric, *where: str, by: str = "") -> str:
    """A quantile of a histogram, estimated from its buckets."""
    return f"histogram_quantile({q:g}, {buckets(metric, *where, by=by)})"


def buckets(metric: Metric, *where: str, by: str = "") -> str:
    """The buckets of a histogram as rates: what a heatmap shows."""
    by = f"le, {by}" if by else "le"
    return _summed(metric, f"rate({select(metric, *where, suffix='_bucket')}[{WINDOW}])", by)


def highest(metric: Metric, *where: str, by: str = "") -> str:
    """The highest value over the instances."""
    return _summed(metric, select(metric, *where), by, "max")


def lowest(metric: Metric, *where: str, by: str = "") -> str:
    """The lowest value over the instances."""
    return _summed(metric, select(metric, *where), by, "min")


def total(metric: Metric, *where: str, by: str = "") -> str:
    """The sum of a gauge that each process has for itself."""
    return _summed(metric, select(metric, *where), by)


def top(n: int, query: str) -> str:
    """The `n` highest at each moment: a label from the code may take up to a hundred values."""
    return f"topk({n}, {query})"


def or_none(query: str, label: str = "") -> str:
    """Zero instead of nothing: a counter is not there before its first event. `label` then has the value `nothing`."""
    zero = f'label_replace(vector(0), "{label}", "nothing", "", "")' if label else "vector(0)"
    return f"{query} or on() {zero}"


def _summed(metric: Metric, query: str, by: str, how: str = "sum") -> str:
    known = {label.key for label in metric.labels} | {"le", "instance"}
    for label in by.split(", ") if by else ():
        _declared(metric, label, known)
    return f"{how} by ({by}) ({query})" if by else f"{how}({query})"


def _declared(metric: Metric, label: str, known: set[str]) -> None:
    if label not in known:
        raise ValueError(f"{metric.prometheus} has no label {label}")
