"""Every setting, declared once. `docs/config.md` and `.env.example` are generated from this class.

Read once, by the command line, from the environment and `.env`; everything else takes values as parameters.
A wrong or missing value raises one `ConfigError` that lists all of them and how to mend each.
"""

from __future__ import annotations

import os
import re
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from app.errors import ConfigError

_TOKEN = re.compile(r"\d+:[A-Za-z0-9_-]{3,}")
_WEBHOOK_SECRET = re.compile(r"[A-Za-z0-9_-]{16,256}")
_SECRET_HEADER = re.compile(r"auth|key|token|secret|cookie", re.IGNORECASE)
_HOST_PORT = re.compile(r"\S+:\d+")

#: asyncpg and aiosqlite are the only drivers: a plain URL, as hosting services give it, is completed.
_DRIVERS = {
    "postgres://": "postgresql+asyncpg://",
    "postgresql://": "postgresql+asyncpg://",
    "sqlite://": "sqlite+aiosqlite://",
}


class Settings(BaseSettings):
    """The settings of one process. Names are the environment's, in lower case."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", frozen=True, hide_input_in_errors=True)

    # Telegram
    bot_token: SecretStr = Field(description="Token of the bot, from @BotFather, such as `123456:AbC...`.")
    bot_api_url: str = Field(
        "https://api.telegram.org", description="Base address of the Bot API; the sandbox or a local server."
    )
    bot_mode: Literal["polling", "webhook"] = Field(
        "polling", description="How updates arrive: `polling` for development, `webhook` for production."
    )
    webhook_url: str = Field(
        "",
        validate_default=True,
        description="Public https address of this bot, without a path; needed by `BOT_MODE=webhook`.",
    )
    webhook_secret: SecretStr = Field(
        SecretStr(""),
        validate_default=True,
        description="Secret that Telegram sends with each webhook call: 16 to 256 of `A-Za-z0-9_-`.",
    )
    admin_ids: Annotated[frozenset[int], NoDecode] = Field(
        frozenset(),
        description="Telegram ids of the admins, separated by commas. Only they can use `/debug`.",
    )

    # Web
    web_host: str = Field("127.0.0.1", description="Address that the web server binds to.")
    web_port: int = Field(
        8080, ge=0, le=65535, description="Port of webhook, `/metrics` and `/health`; 0 picks a free one."
    )

    # Storage
    database_url: SecretStr = Field(
        SecretStr("sqlite+aiosqlite:///bot.db"),
        description="Database: `postgresql://user:password@host/name`, or SQLite for a laptop.",
    )

    # Jobs
    worker_concurrency: int = Field(2, ge=0, le=64, description="Jobs at once in this process; 0 means none.")
    job_deadline_s: float = Field(
        300, gt=0, allow_inf_nan=False, description="Seconds after which a download is stopped."
    )
    max_file_mb: int = Field(
        50, ge=1, le=2000, description="Largest file in MB; Telegram's own limit for bots is 50."
    )
    max_duration_s: float = Field(
        7200, gt=0, allow_inf_nan=False, description="Longest audio or video in seconds."
    )
    allow_hosts: Annotated[frozenset[str], NoDecode] = Field(
        frozenset(),
        description="`host:port` pairs, separated by commas, that links may lead to although they are private.",
    )
    ffmpeg_path: str = Field("", description="ffmpeg to use; empty: the one on PATH, else the wheel's.")

    # Telemetry
    otel_exporter_otlp_endpoint: str = Field(
        "", description="OTLP/HTTP address of the Collector; empty: traces stay in the bot, for `/debug`."
    )
    otel_exporter_otlp_headers: SecretStr = Field(
        SecretStr(""),
        description="Headers for the Collector, such as `authorization=Bearer abc`, with commas between.",
    )
    otel_service_name: str = Field("tracegram", description="`service.name` of traces, logs and metrics.")
    otel_export_interval_ms: int = Field(
        1000, ge=50, le=60_000, description="Milliseconds between exports of spans and log records."
    )
    grafana_url: str = Field(
        "",
        description="Address of Grafana; `/debug` then links each trace to Tempo and its log lines to Loki.",
    )
    trace_retention_hours: float = Field(
        72,
        gt=0,
        allow_inf_nan=False,
        description="Hours for which `/debug` remembers traces, in the database.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least log level.")
    hash_key: SecretStr = Field(
        SecretStr(""),
        description="Key of the hashes that stand for user and chat ids in telemetry; empty: a new one per start.",
    )

    @field_validator("admin_ids", "allow_hosts", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if isinstance(value, str):
            return [part.strip() for part in value.split(",") if part.strip()]
        return value

    @field_validator("allow_hosts")
    @classmethod
    def _host_and_port(cls, value: frozenset[str]) -> frozenset[str]:
        for pair in value:
            if not _HOST_PORT.fullmatch(pair):
                raise ValueError("each entry needs a host and a port, such as 127.0.0.1:8091")
        return value

    @field_validator("bot_token")
    @classmethod
    def _token_form(cls, value: SecretStr) -> SecretStr:
        if not _TOKEN.fullmatch(value.get_secret_value()):
            raise ValueError("not a bot token; ask @BotFather for one, or try `tracegram demo` without any")
        return value

    @field_validator("bot_api_url", "webhook_url", "otel_exporter_otlp_endpoint", "grafana_url")
    @classmethod
    def _web_address(cls, value: str) -> str:
        if value and not value.startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://")
        return value.rstrip("/")

    @field_validator("database_url")
    @classmethod
    def _with_driver(cls, secret: SecretStr) -> SecretStr:
        value = secret.get_secret_value()
        for plain, full in _DRIVERS.items():
            if value.startswith(plain):
                value = full + value.removeprefix(plain)
        try:
            url = make_url(value)
            driver = url.drivername
        except (ArgumentError, ValueError):  # the latter for a port that is none; it would quote the password
            url, driver = make_url("sqlite://"), ""
        if f"{driver}://" not in _DRIVERS.values():
            raise ValueError("must be a postgresql:// or sqlite:// address")
        # Hosting services write `sslmode`, as libpq calls it; asyncpg calls it `ssl`.
        if "sslmode" in url.query:
            ssl = url.query["sslmode"]
            url = url.difference_update_query(["sslmode"]).update_query_dict({"ssl": ssl})
        return SecretStr(url.render_as_string(hide_password=False))

    @field_validator("webhook_url")
    @classmethod
    def _webhook_needs_address(cls, value: str, info: ValidationInfo) -> str:
        if info.data.get("bot_mode") == "webhook" and not value:
            raise ValueError("needed by BOT_MODE=webhook, such as https://bot.example.org")
        return value

    @field_validator("webhook_secret")
    @classmethod
    def _webhook_needs_secret(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        if info.data.get("bot_mode") == "webhook" and not _WEBHOOK_SECRET.fullmatch(value.get_secret_value()):
            raise ValueError("needed by BOT_MODE=webhook, 16 to 256 of A-Z a-z 0-9 _ -")
        return value

    def secrets(self) -> list[str]:
        """Every secret that the settings hold, for the scrubber; of the database address only its password."""
        password = make_url(self.database_url.get_secret_value()).password
        held = [self.bot_token, self.webhook_secret, self.hash_key]
        # A tenant's name in a header is no secret, and may be an ordinary word.
        headers = [value for name, value in self.otlp_headers().items() if _SECRET_HEADER.search(name)]
        secrets = [*(secret.get_secret_value() for secret in held), *headers]
        return secrets + ([password] if password else [])

    def otlp_headers(self) -> dict[str, str]:
        """The headers for the Collector by name."""
        pairs = self.otel_exporter_otlp_headers.get_secret_value().split(",")
        return {
            name.strip(): value.strip() for name, _, value in (pair.partition("=") for pair in pairs) if name
        }


def load(**overrides: Any) -> Settings:
    """Read the environment and `.env`. Raises `ConfigError` with every problem in one message."""
    try:
        return Settings(**overrides)
    except ValidationError as error:
        raise ConfigError(_explain(error)) from None


def _explain(error: ValidationError) -> str:
    lines = ["The settings are not usable:"]
    for problem in error.errors(include_input=False, include_url=False):
        name = str(problem["loc"][0])
        message = "missing" if problem["type"] == "missing" else problem["msg"].removeprefix("Value error, ")
        lines.append(f"  {name.upper()}: {message}. ({Settings.model_fields[name].description})")
    lines.append("Set them in the environment or in .env; docs/config.md explains each.")
    return "\n".join(lines)


def demo_port() -> int:
    """Port of the demo's chat page: `DEMO_PORT`, or 8090. Raises `ConfigError` when it is no port."""
    value = os.environ.get("DEMO_PORT", "8090")
    if not value.isdecimal() or int(value) > 65535:
        raise ConfigError("DEMO_PORT: must be a number from 0 to 65535; 0 picks a free port.")
    return int(value)


def demo_environment() -> dict[str, str]:
    """What the demo's bot inherits: where programs and certificates are, and no setting or secret of this machine."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SSL_CERT_FILE", "VIRTUAL_ENV")
    return {name: os.environ[name] for name in kept if name in os.environ}
