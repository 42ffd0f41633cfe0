"""The queries of the runbooks run: PromQL by promtool, SQL on a migrated database."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from app.db.migrate import migrate
from app.db.session import Database
from tests.kit.runbooks import PAGES, blocks
from tests.stack.promtool import promtool


def test_every_promql_query_is_understood(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    queries = [query for page in PAGES.values() for query in blocks(page, "promql")]
    assert len(queries) > 2 * len(PAGES)
    lines = ["groups:", "- name: runbooks", "  rules:"]
    for number, query in enumerate(queries):
        lines += [
            f"  - record: runbook:{number}",
            "    expr: |-",
            *(f"      {line}" for line in query.splitlines()),
        ]
    rules.write_text("\n".join(lines), encoding="utf-8")
    assert f"{len(queries)} rules found" in promtool("check", "rules", rules)


@pytest.mark.parametrize("name", [name for name, page in PAGES.items() if blocks(page, "sql")])
async def test_every_sql_query_runs(name: str, tmp_path: Path) -> None:
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'bot.db'}")
    await migrate(database)
    async with database.reading() as session:
        for query in blocks(PAGES[name], "sql"):
            await session.execute(text(query))
    await database.close()
