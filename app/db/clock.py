"""The database's own clock in SQL, as seconds since the epoch and as a moment: the one clock that all instances share."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import DateTime, Float
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


class clock(FunctionElement[float]):  # reads as the SQL function that it is
    """The moment at which the statement runs, not at which its transaction began."""

    type = Float()
    inherit_cache = True


@compiles(clock, "postgresql")
def _postgresql(*_: Any, **__: Any) -> str:
    return "EXTRACT(EPOCH FROM clock_timestamp())::float8"


@compiles(clock, "sqlite")
def _sqlite(*_: Any, **__: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


class moment(FunctionElement[datetime]):  # reads as the SQL function that it is
    """The same as the columns of type `UtcDateTime` hold it; with a number, so many seconds later."""

    type = DateTime(timezone=True)
    inherit_cache = True


@compiles(moment, "postgresql")
def _postgresql_moment(element: moment, compiler: Any, **how: Any) -> str:
    later = "".join(f" + {compiler.process(s, **how)} * interval '1 second'" for s in element.clauses)
    return f"(clock_timestamp(){later})"


@compiles(moment, "sqlite")
def _sqlite_moment(element: moment, compiler: Any, **how: Any) -> str:
    later = "".join(f", {compiler.process(s, **how)} || ' seconds'" for s in element.clauses)
    # Microseconds, as SQLAlchemy writes them: texts are compared.
    return f"(strftime('%Y-%m-%d %H:%M:%f', 'now'{later}) || '000')"
