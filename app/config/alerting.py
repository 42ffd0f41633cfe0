"""The settings of the alerts, apart from those of the bot: the rules are rendered where there is no token.

Read from the environment and `.env` like all others; a wrong value raises one `ConfigError` that lists all of them.
"""

from __future__ import annotations

import os
from difflib import get_close_matches

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, DotEnvSettingsSource, SettingsConfigDict

from app.config.forms import web_address
from app.errors import ConfigError


class Alerting(BaseSettings):
    """When an alert is raised. A rate is in per cent, a time in seconds; a value must be over its threshold to alert."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", frozen=True, hide_input_in_errors=True)

    # Alerts
    alert_error_rate_threshold: float = Field(
        5.0,
        gt=0,
        lt=100,
        description="Per cent of the updates of five minutes that may fail (`HighErrorRate`).",
    )
    alert_retry_rate_threshold: float = Field(
        30.0,
        gt=0,
        lt=100,
        description="Per cent of the attempts at jobs in 15 minutes that may end in another one (`HighRetryRate`).",
    )
    alert_min_events: int = Field(
        10,
        ge=1,
        description="No rate alerts before more failures, retries or requests than this: a quiet night is no incident.",
    )
    alert_queue_depth_threshold: int = Field(
        50, ge=1, description="Jobs that may wait for five minutes (`QueueBackup`)."
    )
    alert_inbox_depth_threshold: int = Field(
        80, ge=1, description="Updates that may wait or run for five minutes (`InboxBackup`)."
    )
    alert_webhook_latency_threshold: float = Field(
        1.0,
        gt=0,
        lt=2,  # a quantile is never over the highest edge of its histogram: at it, no alert could fire
        description="Seconds within which 95 of 100 webhook calls are to be answered (`SlowWebhook`); 2 is the most that is measured.",
    )
    alert_heartbeat_age_threshold: float = Field(
        45.0, gt=0, allow_inf_nan=False, description="Seconds without a heartbeat (`HeartbeatStale`)."
    )
    alert_pool_usage_threshold: float = Field(
        90.0,
        gt=0,
        lt=100,
        description="Per cent of the connection pool that may be in use for five minutes (`PoolNearLimit`): 90 is 18 of 20.",
    )
    alert_pool_wait_threshold: float = Field(
        1.0,
        gt=0,
        lt=30,
        description="Seconds within which 95 of 100 connections are to be had (`DatabaseIssues`); 30 is the most that is measured.",
    )
    alert_loop_lag_threshold: float = Field(
        0.5,
        gt=0,
        lt=30,
        description="Seconds that the event loop may be late, 99 times of 100, for five minutes (`EventLoopLag`); "
        "30 is the most that is measured.",
    )
    runbook_url: str = Field(
        "",
        description="Address of the folder of runbooks, for the links of alerts; empty: their path in this repository.",
    )

    @field_validator("runbook_url")
    @classmethod
    def _web_address(cls, value: str) -> str:
        return web_address(value)


#: The thresholds without an environment, for what is generated and committed.
DEFAULTS = Alerting.model_construct()


def unknown() -> list[str]:
    """The names, in the environment and `.env`, that look like a threshold and are none, each with the most similar one that is."""
    known = [name.upper() for name in Alerting.model_fields]
    # ALERT_CHAT_ID is Alertmanager's: deploy/make-secrets takes it.
    given = {name.upper() for name in (*os.environ, *DotEnvSettingsSource(Alerting).env_vars)}
    odd = sorted(name for name in given - {*known, "ALERT_CHAT_ID"} if name.startswith("ALERT_"))
    nearest = {name: get_close_matches(name, known, n=1) for name in odd}
    return [f"{name} is no setting" + "".join(f"; is it {one}?" for one in nearest[name]) for name in odd]


def load_alerting() -> Alerting:
    """Read the environment and `.env`. Raises `ConfigError` with every problem in one message."""
    try:
        return Alerting()
    except ValidationError as error:
        lines = ["The settings of the alerts are not usable:"]
        for problem in error.errors(include_input=False, include_url=False):
            name = str(problem["loc"][0])
            message = problem["msg"].removeprefix("Value error, ")
            lines.append(f"  {name.upper()}: {message}. ({Alerting.model_fields[name].description})")
        lines.append("Set them in the environment or in .env; docs/config.md explains each.")
        raise ConfigError("\n".join(lines)) from None
