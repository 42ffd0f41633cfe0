"""The tables that the effects are counted in, and the judgement: lost, applied twice, out of order, written too late.

Nothing in them is unique but the rows' own numbers: a second effect would be seen, not refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from sqlalchemy import text

from app.db.session import Database

_TABLES = (
    """CREATE TABLE chaos_effects (id bigserial PRIMARY KEY, update_id bigint, chat bigint, seq int, epoch bigint,
       attempt int, sent_at float8, began_at float8,
       applied_at float8 DEFAULT EXTRACT(EPOCH FROM clock_timestamp()))""",
    "CREATE TABLE chaos_sums (chat bigint PRIMARY KEY, n bigint NOT NULL DEFAULT 0)",
    "CREATE TABLE chaos_epochs (epoch bigint, handed_over bool, taken_at float8)",
    """CREATE FUNCTION chaos_note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
       INSERT INTO chaos_epochs VALUES (NEW.epoch, OLD.holder IS NULL AND OLD.epoch > 0, NEW.taken_at);
       RETURN NEW; END $$""",
    """CREATE TRIGGER chaos_note AFTER UPDATE ON lock_heartbeat FOR EACH ROW
       WHEN (NEW.epoch <> OLD.epoch) EXECUTE FUNCTION chaos_note()""",
)

#: Effects of a leader that had lost the lease without handing it over, by the moment of the next one's take-over.
_LATE = """SELECT count(*) FROM chaos_effects e JOIN chaos_epochs n ON n.epoch = e.epoch + 1
           WHERE NOT n.handed_over AND {moment} > pg_xact_commit_timestamp(n.xmin)"""
_WRITTEN, _COMMITTED = "to_timestamp(e.applied_at)", "pg_xact_commit_timestamp(e.xmin)"


@dataclass(frozen=True)
class Verdict:
    """What the ledger says. All must be 0 but `effects`, `epochs` and `committed_late`.

    The last are updates that were marked done before a take-over and committed a moment after it: their rows were
    locked meanwhile, so that the new leader could not take them.
    """

    effects: int
    epochs: int
    lost: int
    twice: int
    out_of_order: int
    sums_wrong: int
    written_after_takeover: int
    committed_late: int
    set_aside: int

    @property
    def good(self) -> bool:
        """Whether nothing is wrong."""
        bad = {key: n for key, n in asdict(self).items() if key not in _MAY_BE}
        return not any(bad.values())


_MAY_BE = ("effects", "epochs", "committed_late")


async def prepare(database: Database, chats: Iterable[int]) -> None:
    """Make the tables, beside the product's own."""
    async with database.engine.begin() as connection:
        for statement in _TABLES:
            await connection.execute(text(statement))
        rows = [{"chat": chat} for chat in chats]
        await connection.execute(text("INSERT INTO chaos_sums (chat) VALUES (:chat)"), rows)


async def judge(database: Database, sent: dict[int, int]) -> Verdict:
    """Compare the ledger with what was sent: `sent` is the number of updates of each chat, numbered from 1."""
    effects = await rows(database, "SELECT chat, seq FROM chaos_effects ORDER BY id")
    chats: dict[int, list[int]] = {chat: [] for chat in sent}
    for effect in effects:
        chats[effect["chat"]].append(effect["seq"])
    summed = await rows(database, "SELECT chat, n FROM chaos_sums")
    sums = {row["chat"]: row["n"] for row in summed}
    return Verdict(
        effects=len(effects),
        epochs=await _count(database, "SELECT count(*) FROM chaos_epochs"),
        lost=sum(len(set(range(1, n + 1)) - set(chats[chat])) for chat, n in sent.items()),
        twice=sum(len(seqs) - len(set(seqs)) for seqs in chats.values()),
        out_of_order=sum(one > other for seqs in chats.values() for one, other in pairwise(seqs)),
        sums_wrong=sum(sums[chat] != n for chat, n in sent.items()),
        written_after_takeover=await _count(database, _LATE.format(moment=_WRITTEN)),
        committed_late=await _count(database, _LATE.format(moment=_COMMITTED)),
        set_aside=await _count(database, "SELECT count(*) FROM updates WHERE state = 'set_aside'"),
    )


async def _count(database: Database, sql: str) -> int:
    return int(await number(database, sql))


async def rows(database: Database, sql: str) -> list[dict[str, Any]]:
    """All rows of a query. Without a transaction: this process may be too busy to end it in time."""
    async with database.engine.connect() as connection:
        outside = await connection.execution_options(isolation_level="AUTOCOMMIT")
        return [dict(row) for row in (await outside.execute(text(sql))).mappings()]


async def number(database: Database, sql: str) -> float:
    """The one number that a query gives."""
    ((value,),) = (row.values() for row in await rows(database, sql))
    return float(value)
