"""PgBouncer in front of a PostgreSQL, in transaction mode: each transaction gets another connection."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL

from tests.kit.bot import free_port

_CONFIGURATION = """
[databases]
* = host={host} port={port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = trust
auth_file = {users}
pool_mode = transaction
default_pool_size = 25
max_client_conn = 300
server_login_retry = 1
"""


@contextmanager
def pgbouncer(server: URL) -> Iterator[URL]:
    """Start it in front of `server`; gives the address to use instead."""
    # Debian puts it where only root's PATH looks.
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    assert program is not None, "there is no pgbouncer: run scripts/setup-pgbouncer"
    listen = free_port()
    with tempfile.TemporaryDirectory(prefix="pgbouncer-") as name:
        folder = Path(name)
        users, configuration = folder / "users.txt", folder / "pgbouncer.ini"
        users.write_text(f'"{server.username}" "{server.password or ""}"\n')
        host, port = server.host or str(server.query["host"]), server.port or 5432
        configuration.write_text(_CONFIGURATION.format(host=host, port=port, listen=listen, users=users))
        # It refuses to run as root; the owner of the server's socket may open it.
        user = Path(host).stat().st_uid if os.geteuid() == 0 and host.startswith("/") else None
        folder.chmod(0o755)
        process = subprocess.Popen(
            [program, "--quiet", configuration],
            user=user,
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        try:
            _until_it_listens(process, listen)
            yield server.set(host="127.0.0.1", port=listen, query={})
        finally:
            process.kill()
            process.wait()


def _until_it_listens(process: subprocess.Popen[bytes], port: int) -> None:
    while process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.01)
        else:
            return
    raise AssertionError("pgbouncer ended at once")
