"""The settings: every wrong value gets a line that says how to mend it, and no line shows a secret."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.config.demo import demo_environment, demo_port
from app.config.settings import Settings, load
from app.errors import ConfigError

TOKEN = "7000000001:AAtoken-token_token-token-token-tok"
WEBHOOK = {"bot_mode": "webhook", "webhook_url": "https://bot.example.org", "webhook_secret": "s" * 16}


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*Settings.model_fields, "demo_port", "secrets_dir"]:
        monkeypatch.delenv(name.upper(), raising=False)


def settings(**values: Any) -> Settings:
    return load(**{"_env_file": None, "bot_token": TOKEN, **values})


def problems(**values: Any) -> list[str]:
    """The lines about single settings, without their explanation in parentheses."""
    with pytest.raises(ConfigError) as caught:
        settings(**values)
    first, *lines, last = str(caught.value).splitlines()
    assert first == "The settings are not usable:"
    assert last == "Set them in the environment or in .env; docs/config.md explains each."
    described = []
    for line in lines:
        name = line.strip().split(":")[0]
        explanation = f". ({Settings.model_fields[name.lower()].description})"
        assert line.endswith(explanation)
        described.append(line.strip().removesuffix(explanation))
    return described


def test_a_token_is_all_that_is_needed() -> None:
    given = settings()
    assert given.bot_token.get_secret_value() == TOKEN
    assert (given.bot_mode, given.web_port, given.admin_ids) == ("polling", 8080, frozenset())


def test_an_empty_protocol_is_an_unset_one() -> None:
    assert settings(otel_exporter_otlp_protocol="").otel_exporter_otlp_protocol == "http/protobuf"


IN_MEMORY = (
    "DATABASE_URL: must name a file, such as sqlite:///bot.db: in memory each connection has another database, "
    "and nothing survives the process"
)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"bot_token": "none"}, "BOT_TOKEN: not a bot token; ask @BotFather for one, or try `tracegram demo` without any"),
        ({"bot_token": "12:ab"}, "BOT_TOKEN: not a bot token; ask @BotFather for one, or try `tracegram demo` without any"),
        ({"bot_api_url": "api.telegram.org"}, "BOT_API_URL: must begin with http:// or https://"),
        ({"bot_mode": "push"}, "BOT_MODE: Input should be 'polling' or 'webhook'"),
        ({**WEBHOOK, "webhook_url": ""}, "WEBHOOK_URL: needed by BOT_MODE=webhook, such as https://bot.example.org"),
        ({"webhook_url": "bot.example.org"}, "WEBHOOK_URL: must begin with http:// or https://"),
        ({**WEBHOOK, "webhook_secret": "s" * 15}, "WEBHOOK_SECRET: needed by BOT_MODE=webhook, 16 to 256 of A-Z a-z 0-9 _ -"),
        ({**WEBHOOK, "webhook_secret": "s" * 257}, "WEBHOOK_SECRET: needed by BOT_MODE=webhook, 16 to 256 of A-Z a-z 0-9 _ -"),
        ({**WEBHOOK, "webhook_secret": "s" * 15 + "!"}, "WEBHOOK_SECRET: needed by BOT_MODE=webhook, 16 to 256 of A-Z a-z 0-9 _ -"),
        ({"admin_ids": "1,me"}, "ADMIN_IDS: Input should be a valid integer, unable to parse string as an integer"),
        ({"web_port": "65536"}, "WEB_PORT: Input should be less than or equal to 65535"),
        ({"web_port": "-1"}, "WEB_PORT: Input should be greater than or equal to 0"),
        ({"database_url": "mysql://u:p@h/d"}, "DATABASE_URL: must be a postgresql:// or sqlite:// address"),
        ({"database_url": "postgresql+psycopg://u:p@h/d"}, "DATABASE_URL: must be a postgresql:// or sqlite:// address"),
        ({"database_url": "bot.db"}, "DATABASE_URL: must be a postgresql:// or sqlite:// address"),
        ({"database_url": "postgresql://u:p@h:x/d"}, "DATABASE_URL: must be a postgresql:// or sqlite:// address"),
        *(({"database_url": url}, IN_MEMORY) for url in ("sqlite://", "sqlite:///:memory:", "sqlite:///file:x?mode=memory&uri=true")),
        ({"worker_concurrency": "65"}, "WORKER_CONCURRENCY: Input should be less than or equal to 64"),
        ({"job_deadline_s": "0"}, "JOB_DEADLINE_S: Input should be greater than 0"),
        ({"max_file_mb": "0"}, "MAX_FILE_MB: Input should be greater than or equal to 1"),
        ({"max_duration_s": "long"}, "MAX_DURATION_S: Input should be a valid number, unable to parse string as a number"),
        ({"allow_hosts": "localhost"}, "ALLOW_HOSTS: each entry needs a host and a port, such as 127.0.0.1:8091"),
        ({"otel_exporter_otlp_endpoint": "collector:4318"}, "OTEL_EXPORTER_OTLP_ENDPOINT: must begin with http:// or https://"),
        ({"otel_export_interval_ms": "49"}, "OTEL_EXPORT_INTERVAL_MS: Input should be greater than or equal to 50"),
        ({"log_level": "TRACE"}, "LOG_LEVEL: Input should be 'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
    ],
)  # fmt: skip
def test_a_wrong_value_gets_its_line(values: dict[str, str], expected: str) -> None:
    assert problems(**values) == [expected]


def test_a_missing_token_is_called_missing() -> None:
    with pytest.raises(ConfigError, match=r"(?m)^  BOT_TOKEN: missing\. \(Token of the bot"):
        load(_env_file=None)


def test_every_problem_is_listed_at_once() -> None:
    lines = problems(bot_token="none", web_port="many", log_level="LOUD", allow_hosts="localhost")
    assert [line.split(":")[0] for line in lines] == ["BOT_TOKEN", "WEB_PORT", "ALLOW_HOSTS", "LOG_LEVEL"]


def test_a_wrong_webhook_gets_both_its_lines() -> None:
    assert [line.split(":")[0] for line in problems(bot_mode="webhook")] == ["WEBHOOK_URL", "WEBHOOK_SECRET"]


SECRET = "Sup3r-s3cret"


@pytest.mark.parametrize(
    "values",
    [
        {"bot_token": SECRET},
        {"bot_token": f"{SECRET}:abc"},
        {**WEBHOOK, "webhook_secret": f"{SECRET}!"},
        {"database_url": f"mysql://user:{SECRET}@host/name"},
        {"database_url": f"postgresql://user:p@x:{SECRET}@host/name"},
        {"database_url": f"postgresql://user@host:{SECRET}/name"},
        {"database_url": SECRET},
        {"admin_ids": SECRET},
        {"web_port": SECRET},
        {"log_level": SECRET},
    ],
)
def test_no_value_is_shown(values: dict[str, str]) -> None:
    with pytest.raises(ConfigError) as caught:
        settings(**values)
    error: BaseException | None = caught.value
    assert SECRET not in str(error)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("postgres://u:p@h/d", "postgresql+asyncpg://u:p@h/d"),
        ("postgresql://u:p@h:5432/d?ssl=require", "postgresql+asyncpg://u:p@h:5432/d?ssl=require"),
        ("postgresql+asyncpg://u:p@h/d", "postgresql+asyncpg://u:p@h/d"),
        ("sqlite:///bot.db", "sqlite+aiosqlite:///bot.db"),
        ("sqlite+aiosqlite:///bot.db", "sqlite+aiosqlite:///bot.db"),
    ],
)
def test_a_plain_database_address_gets_its_driver(given: str, stored: str) -> None:
    assert settings(database_url=given).database_url.get_secret_value() == stored


def test_lists_are_split_at_commas() -> None:
    given = settings(admin_ids=" 1, 2,,2 ", allow_hosts="127.0.0.1:80, [::1]:81")
    assert given.admin_ids == {1, 2}
    assert given.allow_hosts == {"127.0.0.1:80", "[::1]:81"}


def test_addresses_lose_their_last_slash() -> None:
    given = settings(bot_api_url="http://localhost:8081/", otel_exporter_otlp_endpoint="http://c:4318/")
    assert (given.bot_api_url, given.otel_exporter_otlp_endpoint) == (
        "http://localhost:8081",
        "http://c:4318",
    )


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "env"
    path.write_text(f"BOT_TOKEN={TOKEN}\nWEB_PORT=1\nLOG_LEVEL=ERROR\nSOMETHING_ELSE=1\n")
    monkeypatch.setenv("WEB_PORT", "2")
    given = load(_env_file=path)
    assert (given.web_port, given.log_level) == (2, "ERROR")


def test_secrets_are_complete() -> None:
    planted = {
        "bot_token": TOKEN,
        "webhook_secret": "planted-webhook-secret",
        "metrics_password": "planted-metrics-password",
        "hash_key": "planted-hash-key",
        "database_url": "postgresql://user:planted%2Fpassword@host/name",
        "otel_exporter_otlp_headers": "authorization=planted=header, x-scope-orgid=tracegram",
    }
    given = settings(**planted)
    assert [secret for secret in given.secrets() if secret] == [
        TOKEN,
        "planted-webhook-secret",
        "planted-metrics-password",
        "planted-hash-key",
        "planted=header",
        "planted/password",
    ]
    hidden = {name for name, field in Settings.model_fields.items() if "Secret" in str(field.annotation)}
    assert hidden == set(planted), "a new secret must be planted here and be in secrets()"


def test_what_is_shown_of_settings_holds_no_secret() -> None:
    given = settings(hash_key=SECRET, webhook_secret=SECRET * 2, database_url=f"postgresql://u:{SECRET}@h/d")
    assert SECRET not in f"{given!r} {given} {given.model_dump_json()}"


def test_headers_for_the_collector_by_name() -> None:
    given = settings(otel_exporter_otlp_headers="authorization=Bearer a=b, x-scope = one, x-key=a%2Cb%20c,")
    assert given.otlp_headers() == {"authorization": "Bearer a=b", "x-scope": "one", "x-key": "a,b c"}
    assert settings().otlp_headers() == {}


@pytest.mark.parametrize(("value", "port"), [("0", 0), ("8090", 8090), ("65535", 65535)])
def test_the_demo_port(monkeypatch: pytest.MonkeyPatch, value: str, port: int) -> None:
    monkeypatch.setenv("DEMO_PORT", value)
    assert demo_port() == port


@pytest.mark.parametrize("value", ["", "-1", "65536", "many", "1.5"])
def test_a_demo_port_that_is_none(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("DEMO_PORT", value)
    with pytest.raises(ConfigError, match="DEMO_PORT: must be a number from 0 to 65535"):
        demo_port()


def test_the_demo_s_bot_inherits_no_setting_and_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.setenv(name.upper(), SECRET)
    monkeypatch.setenv("SOME_API_KEY", SECRET)
    given = demo_environment()
    assert "PATH" in given
    assert SECRET not in given.values()


def test_a_secret_is_read_from_a_file_of_its_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "bot_token").write_text(f"{TOKEN}\n")
    (tmp_path / "database_url").write_text("postgresql://bot:of-the-file@db/bot\n")
    (tmp_path / "of_another_program").write_text("x")
    monkeypatch.setenv("SECRETS_DIR", str(tmp_path))
    monkeypatch.setenv("DATABASE_URL", "postgresql://bot:of-the-environment@db/bot")

    given = load(_env_file=None)
    assert given.bot_token.get_secret_value() == TOKEN
    assert "of-the-environment" in given.secrets()


def test_a_wrong_secret_of_a_file_gets_its_line_and_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "bot_token").write_text("planted-secret")
    monkeypatch.setenv("SECRETS_DIR", str(tmp_path))
    with pytest.raises(ConfigError) as caught:
        load(_env_file=None)
    assert "  BOT_TOKEN: not a bot token" in str(caught.value)
    assert "planted-secret" not in str(caught.value)


def test_a_folder_of_secrets_that_is_not_there_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SECRETS_DIR", str(tmp_path / "nowhere"))
    with pytest.raises(ConfigError) as caught:
        settings()
    assert str(caught.value) == (
        "SECRETS_DIR: no such folder. Name one with a file for each secret, or leave it out."
    )


def test_a_secret_that_may_not_be_read_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Mounted with the rights of its owner outside, where the process inside is somebody else."""
    (tmp_path / "bot_token").write_text(TOKEN)
    monkeypatch.setenv("SECRETS_DIR", str(tmp_path))

    def refuse(*_: Any, **__: Any) -> str:
        raise PermissionError(13, "Permission denied", str(tmp_path / "bot_token"))

    # Root may read everything, so the refusal is played.
    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(ConfigError) as caught:
        load(_env_file=None)
    assert str(caught.value) == (
        f"SECRETS_DIR: cannot read a file in {tmp_path} (permission denied). "
        "The user that runs this process must be allowed to."
    )


@pytest.mark.parametrize("password", ["planted", "plan/ted", "plan\u2100ted", "plan[ted"])
def test_no_address_may_hold_a_password_and_none_is_quoted(password: str) -> None:
    told = problems(grafana_url=f"https://user:{password}@host")
    assert told == ["GRAFANA_URL: must hold no user name and no password"]
