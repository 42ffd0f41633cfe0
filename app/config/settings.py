"""Every setting, declared once. `docs/config.md` and `.env.example` are generated from this class.

Read once, by the command line, from the environment, `.env` and files with secrets (one a setting); everything else
takes values as parameters.
A wrong or missing value raises one `ConfigError` that lists all of them and how to mend each.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Field, IPvAnyNetwork, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict, SettingsError
from sqlalchemy.engine import make_url

from app.config.database import database_address
from app.config.forms import OtlpProtocol, header_pairs, web_address
from app.config.secret_files import secrets_dir, unreadable
from app.errors import ConfigError

_TOKEN = re.compile(r"\d+:[A-Za-z0-9_-]{3,}")
_WEBHOOK_SECRET = re.compile(r"[A-Za-z0-9_-]{16,256}")
_SECRET_HEADER = re.compile(r"auth|key|token|secret|cookie", re.IGNORECASE)
_HOST_PORT = re.compile(r"\S+:\d+")


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
    metrics_port: int = Field(
        0, ge=0, le=65535, description="Another port for `/metrics` and `/health`; 0: the same one."
    )
    metrics_user: str = Field("metrics", description="Name that `/metrics` and `/health` ask for.")
    metrics_password: SecretStr = Field(
        SecretStr(""), description="Password that `/metrics` and `/health` ask for; empty: they ask for none."
    )
    metrics_allow: Annotated[frozenset[IPvAnyNetwork], NoDecode] = Field(
        frozenset(),
        description="Addresses and networks that may see `/metrics` and `/health`, separated by commas; empty: all may.",
    )
    trusted_proxies: Annotated[frozenset[IPvAnyNetwork], NoDecode] = Field(
        frozenset(),
        description="Addresses and networks of your reverse proxies, whose `X-Forwarded-For` is believed.",
    )

    # Storage
    database_url: SecretStr = Field(
        SecretStr("sqlite+aiosqlite:///bot.db"),
        description="Database: `postgresql://user:password@host/name`, or SQLite for a laptop.",
    )

    database_shared_connections: bool = Field(
        False,
        description="True when a pooler such as PgBouncer hands out connections per transaction: no prepared statements then.",
    )

    database_wait_s: float = Field(
        60,
        ge=0,
        allow_inf_nan=False,
        description="Seconds that a bot or worker waits at its start for a database that does not answer yet.",
    )

    # Updates
    inbox_limit: int = Field(
        10_000, ge=1, description="Updates that may wait; beyond that the webhook answers 429."
    )
    update_concurrency: int = Field(
        32, ge=1, le=1000, description="Chats whose updates are processed at the same time."
    )
    update_deadline_s: float = Field(
        60,
        gt=0,
        allow_inf_nan=False,
        description="Seconds after which a handler is stopped; one call to Telegram may take 30.",
    )
    update_body_retention_hours: float = Field(
        0,
        ge=0,
        allow_inf_nan=False,
        description="Hours for which the database keeps the text of a processed update; 0: not at all.",
    )
    passive_policy: Literal["store", "reject"] = Field(
        "store",
        description="What an instance does with updates while another is ACTIVE: `store` them for it, or `reject` them.",
    )
    lease_heartbeat_s: float = Field(
        1.0, gt=0, le=60, description="Seconds between heartbeats of the ACTIVE instance."
    )
    lease_expiry_s: float = Field(
        4.0,
        gt=0,
        le=600,
        validate_default=True,
        description="Seconds without a heartbeat after which another instance takes over; three heartbeats at least.",
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
    otel_exporter_otlp_protocol: OtlpProtocol = Field(
        "http/protobuf",
        description="How telemetry is sent: OTLP over HTTP is all there is (port 4318, not 4317).",
    )
    otel_exporter_otlp_headers: SecretStr = Field(
        SecretStr(""),
        description="Headers for the Collector, such as `authorization=Bearer%20abc`, with commas between.",
    )
    otel_service_name: str = Field("tracegram", description="`service.name` of traces, logs and metrics.")
    otel_export_interval_ms: int = Field(
        1000, ge=50, le=60_000, description="Milliseconds between exports of spans and log records."
    )
    grafana_url: str = Field(
        "",
        description="Address of Grafana; `/debug` then links each trace to Tempo and its log lines to Loki.",
    )
    tempo_url: str = Field(
        "",
        description="Address of Tempo's API; `/debug` then says whether a trace was kept there, and by which policy.",
    )
    trace_retention_hours: float = Field(
        72,
        gt=0,
        allow_inf_nan=False,
        description="Hours for which `/debug` remembers traces, in the database.",
    )
    trace_memory_mb: int = Field(
        32, ge=1, le=4096, description="Memory in MB for the newest traces, which `/debug` lists."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least log level.")
    hash_key: SecretStr = Field(
        SecretStr(""),
        description="Root key of the hashes that stand for user and chat ids in telemetry; empty: a new one per start.",
    )
    hash_rotation: Literal["day", "week", "month", "never"] = Field(
        "month",
        description="How long (in UTC) a hash stands for the same person; hashes of two periods cannot be joined.",
    )

    @field_validator("admin_ids", "allow_hosts", "metrics_allow", "trusted_proxies", mode="before")
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

    @field_validator("bot_api_url", "webhook_url", "otel_exporter_otlp_endpoint", "grafana_url", "tempo_url")
    @classmethod
    def _web_address(cls, value: str) -> str:
        return web_address(value)

    @field_validator("otel_exporter_otlp_headers")
    @classmethod
    def _pairs(cls, value: SecretStr) -> SecretStr:
        header_pairs(value.get_secret_value())
        return value

    @field_validator("database_url")
    @classmethod
    def _with_driver(cls, secret: SecretStr) -> SecretStr:
        return SecretStr(database_address(secret.get_secret_value()))

    @field_validator("lease_expiry_s")
    @classmethod
    def _outlasts_heartbeats(cls, value: float, info: ValidationInfo) -> float:
        if value < 3 * info.data.get("lease_heartbeat_s", 0):
            raise ValueError("must be three times LEASE_HEARTBEAT_S at least")
        return value

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
        held = [self.bot_token, self.webhook_secret, self.metrics_password, self.hash_key]
        # A tenant's name in a header is no secret, and may be an ordinary word.
        headers = [value for name, value in self.otlp_headers().items() if _SECRET_HEADER.search(name)]
        secrets = [*(secret.get_secret_value() for secret in held), *headers]
        return secrets + ([password] if password else [])

    def activity_key(self) -> str:
        """The root of the key that active users are counted under: it must outlive a restart, also without `HASH_KEY`."""
        return self.hash_key.get_secret_value() or self.bot_token.get_secret_value()

    def otlp_headers(self) -> dict[str, str]:
        """The headers for the Collector by name."""
        return header_pairs(self.otel_exporter_otlp_headers.get_secret_value())


def load(**overrides: Any) -> Settings:
    """Read the environment, `.env` and the files of `SECRETS_DIR`; the first one wins.

    Raises `ConfigError` with every problem in one message.
    """
    folder = secrets_dir()
    try:
        return Settings(**{"_secrets_dir": folder, **overrides})
    except ValidationError as error:
        raise ConfigError(_explain(error)) from None
    except SettingsError as error:
        raise unreadable(folder, error) from None


def _explain(error: ValidationError) -> str:
    lines = ["The settings are not usable:"]
    for problem in error.errors(include_input=False, include_url=False):
        name = str(problem["loc"][0])
        message = "missing" if problem["type"] == "missing" else problem["msg"].removeprefix("Value error, ")
        lines.append(f"  {name.upper()}: {message}. ({Settings.model_fields[name].description})")
    lines.append("Set them in the environment or in .env; docs/config.md explains each.")
    return "\n".join(lines)
