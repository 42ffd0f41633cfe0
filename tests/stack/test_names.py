"""Metrics have the same names and labels on both ways, scraped and over OTLP, and they are those of the catalogue."""

from __future__ import annotations

from pathlib import Path

from app.telemetry.catalogue import CATALOGUE, Metric
from deploy.native.run import Stack
from tests.stack.backends import eventually, series
from tests.stack.bots import Bot, bot

#: What Prometheus adds to a series of its own accord, on one way or the other.
_OF_PROMETHEUS = {
    "job",
    "instance",
    "service_instance_id",
    "service_name",
    "service_namespace",
    "service_version",
    "le",
}
#: Made by Prometheus of a scrape, and of a resource.
_OF_PROMETHEUS_ITSELF = {"up", "target_info", "scrape_duration_seconds", "scrape_samples_scraped",
                         "scrape_samples_post_metric_relabeling", "scrape_series_added"}  # fmt: skip
Names = dict[str, set[str]]


def _declared(metric: Metric) -> Names:
    names = [metric.prometheus]
    if metric.kind == "histogram":
        names = [f"{metric.prometheus}_{part}" for part in ("bucket", "sum", "count")]
    return {name: {label.key for label in metric.labels} for name in names}


DECLARED = {name: labels for metric in CATALOGUE for name, labels in _declared(metric).items()}


async def test_scrape_and_otlp_give_the_names_and_labels_of_the_catalogue(
    stack: Stack, tmp_path: Path
) -> None:
    async with bot(stack, tmp_path) as here:
        await _converse(here)
        scraped = await eventually(
            lambda: _names(stack, "tracegram", {"bot_download_duration_seconds_count"}), 60
        )
        pushed = await eventually(lambda: _names(stack, "otlp/tracegram", set(scraped)), 60)
    assert scraped == {name: DECLARED.get(name) for name in scraped}
    assert pushed == {name: DECLARED.get(name) for name in pushed}
    assert len(scraped) > len(DECLARED) / 2


async def _converse(here: Bot) -> None:
    """Something of each kind: a command, a button, a button that is out of date, a job, a failure."""
    await here.alice.say("/start")
    menu = await here.alice.until(lambda m: m["keyboard"])
    await here.alice.press(menu["message_id"], "mm.help")
    await here.alice.press(menu["message_id"], "he.back", force=True)
    await here.alice.say(f"{here.media}/watch/sample")
    await here.alice.until(lambda m: m["text"] == "✅ Done: here is your mp3.", 60)


async def _names(stack: Stack, job: str, until: set[str]) -> Names:
    """Every metric of a job with its labels, once those of `until` are there."""
    found: Names = {}
    for one in await series(stack, f'{{job="{job}",__name__!~"ALERTS.*"}}'):
        labels = dict(one["metric"])
        found.setdefault(labels.pop("__name__"), set()).update(labels.keys() - _OF_PROMETHEUS)
    return {name: found[name] for name in found.keys() - _OF_PROMETHEUS_ITSELF} if until <= set(found) else {}
