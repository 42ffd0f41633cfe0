"""Taking updates out of the inbox and writing how they ended. Only SQL.

A row that is `running` belongs to the instance of its epoch. Every change names the epoch and looks at the lease, so
that an instance which lost it, and does not know yet, can change nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, cast

from sqlalchemy import (
    CursorResult,
    Executable,
    Float,
    Integer,
    and_,
    bindparam,
    exists,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.elements import ColumnElement

from app.db.clock import clock, moment
from app.db.line import Line
from app.db.models import LockRow, UpdateState
from app.errors import Reason
from app.updates.envelope import EXPRESS, PRESS, PRESS_LIFE_S
from app.updates.inbox import IS_RUNNING, IS_WAITING, TABLE, is_open
from app.updates.patience import DEATHS, pause_after_death_s

#: Answers to presses that begin at once: Telegram takes some thirty messages a second.
HURRIED_AT_ONCE = 30


@dataclass(frozen=True, slots=True)
class Claimed:
    """A row that this instance may process."""

    update_id: int
    kind: str
    body: str
    traceparent: str
    attempt: int
    hurried: bool
    received_at: datetime
    failures: int = 0


@dataclass(frozen=True, slots=True)
class GivenUp:
    """An update that was set aside after its last try."""

    update_id: int
    kind: str
    traceparent: str
    attempt: int
    error_type: str
    reason: str


@dataclass(frozen=True, slots=True)
class Settlement:
    """How an update ended, or (`WAITING`) in how many seconds it is to be tried again."""

    update_id: int
    state: UpdateState
    handler: str = ""
    outcome: str = ""
    reason: str = ""
    duration_ms: int = 0
    failures: int = 0
    retry_in_s: float = 0.0


async def claim(line: Line, epoch: int, limit: int, *, express_only: bool = False) -> list[Claimed]:
    """Take up to `limit` updates whose turn it is: the first of each chat of which none is running."""
    statement = _CLAIM_EXPRESS if express_only else _CLAIM
    parameters = {"_epoch": epoch, "_limit": limit}
    claimed = [Claimed(*row) for row in await line.execute(statement, parameters)]
    return sorted(claimed, key=lambda one: one.update_id)


def _claiming(*only: Sequence[str]) -> Executable:
    """Made once: building it costs more than the database's answer."""
    row, other = TABLE.alias("one"), TABLE.alias("other")
    before = or_(
        other.c.state == IS_RUNNING,
        and_(other.c.state == IS_WAITING, other.c.update_id < row.c.update_id),
    )
    heads = (
        select(row.c.update_id)
        .where(
            row.c.state == IS_WAITING,
            row.c.available_at <= moment(),
            ~exists().where(other.c.lane == row.c.lane, is_open(other.c.state), before),
            *(row.c.kind.in_(kinds) for kinds in only),
        )
        .order_by(row.c.update_id)
        .limit(bindparam("_limit", type_=Integer()))
        .with_for_update(skip_locked=True)
        .cte("heads")
    )
    epoch = bindparam("_epoch", type_=TABLE.c.epoch.type)
    return (
        update(TABLE)
        .where(TABLE.c.update_id.in_(select(heads.c.update_id)), TABLE.c.state == IS_WAITING, _leads(epoch))
        .values(state=UpdateState.RUNNING, epoch=epoch, attempts=TABLE.c.attempts + 1)
        .returning(
            TABLE.c.update_id,
            TABLE.c.kind,
            TABLE.c.body,
            TABLE.c.traceparent,
            TABLE.c.attempts,
            TABLE.c.hurried,
            TABLE.c.received_at,
            TABLE.c.failures,
        )
    )


async def hurry(line: Line, epoch: int) -> list[tuple[str, str]]:
    """Mark presses that wait behind another update, once each; gives body and `traceparent`.

    Some at a time, and none that is too old for Telegram to take an answer.
    """
    return [(row.body, row.traceparent) for row in await line.execute(_HURRY, {"_epoch": epoch})]


def _hurrying() -> Executable:
    row = TABLE.alias("one")
    late = (
        select(row.c.update_id)
        .where(
            row.c.state == IS_WAITING,
            row.c.kind == PRESS,
            row.c.hurried.is_(False),
            row.c.received_at > moment(literal_column(str(-PRESS_LIFE_S))),
            _leads(bindparam("_epoch", type_=TABLE.c.epoch.type)),
        )
        .order_by(row.c.update_id)
        .limit(HURRIED_AT_ONCE)
        .with_for_update(skip_locked=True)
        .cte("late")
    )
    return (
        update(TABLE)
        .where(TABLE.c.update_id.in_(select(late.c.update_id)))
        .values(hurried=True)
        .returning(TABLE.c.body, TABLE.c.traceparent)
    )


async def settle(line: Line, epoch: int, settlements: Sequence[Settlement], *, keep_body: bool) -> None:
    """Write how updates ended. One that is another instance's by now stays as it is."""
    now = datetime.now(UTC)
    for state in {one.state for one in settlements}:
        rows = [_parameters(one, epoch, now) for one in settlements if one.state is state]
        await line.execute(_settling(state, keep_body), rows)


@lru_cache
def _settling(state: UpdateState, keep_body: bool) -> Executable:
    values: dict[str, Any] = {
        "state": state,
        "handler": bindparam("_handler"),
        "outcome": bindparam("_outcome"),
        "reason": bindparam("_reason"),
        "duration_ms": bindparam("_duration_ms"),
        "failures": bindparam("_failures"),
    }
    if state is UpdateState.WAITING:
        values["available_at"] = moment(bindparam("_retry_in_s", type_=Float()))
    else:
        values |= {"finished_at": bindparam("_now"), **_forget(state, keep_body)}
    epoch = bindparam("_epoch", type_=TABLE.c.epoch.type)
    return (
        update(TABLE)
        .where(_mine(bindparam("_update_id", type_=TABLE.c.update_id.type), epoch))
        .values(values)
    )


def _parameters(one: Settlement, epoch: int, now: datetime) -> dict[str, Any]:
    return {
        "_epoch": epoch,
        "_update_id": one.update_id,
        "_handler": one.handler,
        "_outcome": one.outcome,
        "_reason": one.reason,
        "_duration_ms": one.duration_ms,
        "_failures": one.failures,
        **({"_retry_in_s": one.retry_in_s} if one.state is UpdateState.WAITING else {"_now": now}),
    }


async def finish(session: AsyncSession, epoch: int, settlement: Settlement, *, keep_body: bool) -> bool:
    """Mark one update done in the handler's own transaction. False: it is another instance's by now."""
    statement = (
        update(TABLE)
        .where(_mine(settlement.update_id, epoch))
        .values(
            state=UpdateState.DONE,
            handler=settlement.handler,
            outcome=settlement.outcome,
            reason=settlement.reason,
            duration_ms=settlement.duration_ms,
            finished_at=datetime.now(UTC),
            **_forget(UpdateState.DONE, keep_body),
        )
    )
    return cast("CursorResult[object]", await session.execute(statement)).rowcount == 1


def _forget(state: UpdateState, keep_body: bool) -> dict[str, Any]:
    """What a finished row no longer holds: the person's words, and which chat it was. Set aside, it may be tried again."""
    if state is UpdateState.SET_ASIDE:
        return {}
    return {"lane": None} if keep_body else {"lane": None, "body": None}


async def requeue(session: AsyncSession, epoch: int, running: Collection[int]) -> list[GivenUp]:
    """Let wait again what nobody processes: what earlier leaders left (one that drains keeps its own until its time
    is up), and claims of this leader whose commit it did not hear of. `running` is what it does process.

    Gives what is set aside instead, because too many leaders did not survive it.
    """
    draining = exists().where(LockRow.epoch == epoch, LockRow.drain_until > clock())
    left = or_(
        TABLE.c.epoch < epoch - 1,
        and_(TABLE.c.epoch == epoch - 1, ~draining),
        and_(TABLE.c.epoch == epoch, TABLE.c.update_id.not_in(running)),
    )
    orphans = (
        select(TABLE.c.update_id, TABLE.c.kind, TABLE.c.traceparent, TABLE.c.attempts, TABLE.c.deaths)
        .where(is_open(TABLE.c.state), TABLE.c.state == IS_RUNNING, left, _leads(epoch))
        # A leader that froze within its transaction may hold one of them: the others do not wait for it.
        .with_for_update(skip_locked=True)
    )
    found = (await session.execute(orphans)).all()
    hopeless = [
        GivenUp(row.update_id, row.kind, row.traceparent, row.attempts, "ProcessDied", Reason.INTERNAL_ERROR)
        for row in found
        if row.deaths + 1 >= DEATHS
    ]
    again = [
        {"_id": row.update_id, "_pause": pause_after_death_s(row.deaths + 1)}
        for row in found
        if row.deaths + 1 < DEATHS
    ]
    if again:
        waiting = {
            "state": UpdateState.WAITING,
            "available_at": moment(bindparam("_pause", type_=Float())),
            "deaths": TABLE.c.deaths + 1,
        }
        statement = update(TABLE).where(TABLE.c.update_id == bindparam("_id"))
        await session.execute(statement.values(waiting), again)
    if hopeless:
        statement = update(TABLE).where(TABLE.c.update_id.in_([one.update_id for one in hopeless]))
        await session.execute(
            statement.values(
                state=UpdateState.SET_ASIDE,
                outcome="error",
                reason=Reason.INTERNAL_ERROR,
                deaths=TABLE.c.deaths + 1,
                finished_at=datetime.now(UTC),
            )
        )
    return hopeless


def _mine(update_id: Any, epoch: Any) -> ColumnElement[bool]:
    return and_(
        TABLE.c.update_id == update_id,
        TABLE.c.state == UpdateState.RUNNING,
        TABLE.c.epoch == epoch,
        or_(_leads(epoch), exists().where(LockRow.epoch == epoch + 1, LockRow.drain_until > clock())),
    )


def _leads(epoch: Any) -> ColumnElement[bool]:
    return exists().where(LockRow.epoch == epoch)


_CLAIM, _CLAIM_EXPRESS, _HURRY = _claiming(), _claiming(EXPRESS), _hurrying()
