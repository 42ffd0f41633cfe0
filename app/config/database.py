"""The form of the database's address. Apart from the other forms, which the rules of Prometheus need without SQLAlchemy."""

from __future__ import annotations

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

#: asyncpg and aiosqlite are the only drivers: a plain URL, as hosting services give it, is completed.
_DRIVERS = {
    "postgres://": "postgresql+asyncpg://",
    "postgresql://": "postgresql+asyncpg://",
    "sqlite://": "sqlite+aiosqlite://",
}


def database_address(value: str) -> str:
    """An address as SQLAlchemy takes it, with its driver. Raises `ValueError`, without the value, for one that cannot serve."""
    for plain, full in _DRIVERS.items():
        if value.startswith(plain):
            value = full + value.removeprefix(plain)
    try:
        url = make_url(value)
        driver = url.drivername
    except (ArgumentError, ValueError):  # the latter for a port that is none; it would quote the password
        driver = ""
    if f"{driver}://" not in _DRIVERS.values():
        raise ValueError("must be a postgresql:// or sqlite:// address")
    if driver.startswith("sqlite") and _is_in_memory(url):
        raise ValueError(
            "must name a file, such as sqlite:///bot.db: in memory each connection has another database, "
            "and nothing survives the process"
        )
    # Hosting services write `sslmode`, as libpq calls it; asyncpg calls it `ssl`.
    if "sslmode" in url.query:
        ssl = url.query["sslmode"]
        url = url.difference_update_query(["sslmode"]).update_query_dict({"ssl": ssl})
    return url.render_as_string(hide_password=False)


def _is_in_memory(sqlite: URL) -> bool:
    return not sqlite.database or ":memory:" in sqlite.database or sqlite.query.get("mode") == "memory"
