"""Pieces of PromQL that the rules are made of: each query of the bot's metrics selects the series that are scraped.

The same metrics come over OTLP, too, with another `job`; a query without the selector would count everything twice.
"""

from __future__ import annotations

#: The `job` under which Prometheus scrapes bots and workers.
JOB = "tracegram"


def bot(metric: str, *matchers: str, window: str = "") -> str:
    """The scraped series of a metric of the bot, over a window such as `5m` if one is given."""
    selector = ",".join((f'job="{JOB}"', *matchers))
    return f"{metric}{{{selector}}}" + (f"[{window}]" if window else "")


def summed(metric: str, *matchers: str, window: str, by: str = "") -> str:
    """Events per second of a counter, over all processes."""
    return f"{_sum(by)}(rate({bot(metric, *matchers, window=window)}))"


def increased(metric: str, *matchers: str, window: str, by: str = "") -> str:
    """Events of a counter in a window, over all processes."""
    return f"{_sum(by)}(increase({bot(metric, *matchers, window=window)}))"


def grown(series: str, window: str, by: str) -> str:
    """Whether a counter of another program has grown, also from nothing.

    A counter that is not there before its first event starts at 1, which `increase` does not see as a step. When it was not
    scraped for longer than the window, all of it counts once more.
    """
    return (
        f"{_sum(by)}(increase({series}[{window}])) > 0\n"
        f"or\n{_sum(by)}({series} unless {series} offset {window}) > 0"
    )


def counted(series: str, minutes: int, by: str) -> str:
    """Whether a counter of the bot has grown in the last minutes.

    It begins at zero, but may have grown before the first scrape, which `increase` does not see: of a process that is
    younger, all of it counts. So what is old is not told again after a time without scrapes.
    """
    young = f"{bot('bot_uptime_seconds')} < {minutes * 60}"
    return (
        f"{_sum(by)}(increase({series}[{minutes}m])) > 0\n"
        f"or\n{_sum(by)}({series} and on (instance) {young}) > 0"
    )


def quantile(q: float, metric: str, *matchers: str, window: str, by: str = "") -> str:
    """A quantile of a histogram, over all processes or for each label of `by`."""
    labels = f"{by}, le" if by else "le"
    return f"histogram_quantile({q:g}, {summed(metric, *matchers, window=window, by=labels)})"


def _sum(by: str) -> str:
    return f"sum by ({by}) " if by else "sum"
