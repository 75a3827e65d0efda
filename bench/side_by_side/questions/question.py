"""What a question is, and the words its SQL is written in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ..answers import Row, table_rows
from ..compare import FLOAT_TOLERANCE

DAY_MS = 86_400_000


@dataclass(frozen=True)
class Question:
    """One question. `call` and `request` are None while Throng has no call for it; its peers then answer each other.

    Requests and SQL name their ranges as `{d90}`, `{d30}`, `{d7}`: the last so many days of the data.
    """

    title: str
    call: str | None
    request: dict[str, Any] | None
    range: str
    duckdb: str
    clickhouse: str
    keys: int
    """How many of a row's values tell which row it is."""
    read: Callable[[dict[str, Any]], list[Row]] = table_rows
    tolerance: float = FLOAT_TOLERANCE
    """Relative; wide for sketches."""

    @property
    def number(self) -> str:
        """`Q1`."""
        return self.title.split(" ", 1)[0]


def throng_request(question: Question, until_ms: int) -> dict[str, Any]:
    """The request with its range, past the cache of answers: a repeated one would be answered without any work."""
    assert question.request is not None
    from_ms, to_ms = range_ms(question.range, until_ms)
    request = _with_inner_ranges(question.request, until_ms)
    return {**request, "from": iso(from_ms), "to": iso(to_ms), "cache": False}


def duckdb_sql(question: Question, until_ms: int) -> str:
    """The question for DuckDB."""
    return _with_ranges(question.duckdb, until_ms, lambda ms: f"TIMESTAMP '{plain(ms)}'")


def clickhouse_sql(question: Question, until_ms: int) -> str:
    """The question for ClickHouse."""
    return _with_ranges(question.clickhouse, until_ms, lambda ms: f"toDateTime64('{plain(ms)}', 3, 'UTC')")


def range_ms(name: str, until_ms: int) -> tuple[int, int]:
    """`d7`: the seven days up to `until_ms`."""
    return until_ms - int(name[1:]) * DAY_MS, until_ms


def iso(ms: int) -> str:
    """ISO 8601 in UTC, with milliseconds."""
    return datetime.fromtimestamp(ms / 1_000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def plain(ms: int) -> str:
    """A moment in UTC as SQL writes it, with milliseconds."""
    return datetime.fromtimestamp(ms / 1_000, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def _with_inner_ranges(value: Any, until_ms: int) -> Any:
    """A part of a request with `"range": "{d30}"`, as rules of segments have it, as `from` and `to`."""
    if isinstance(value, list):
        return [_with_inner_ranges(item, until_ms) for item in value]
    if not isinstance(value, dict):
        return value
    out: dict[str, Any] = {}
    for key, inner in value.items():
        if key == "range":
            from_ms, to_ms = range_ms(str(inner).strip("{}"), until_ms)
            out |= {"from": iso(from_ms), "to": iso(to_ms)}
        else:
            out[key] = _with_inner_ranges(inner, until_ms)
    return out


def _with_ranges(sql: str, until_ms: int, literal: Callable[[int], str]) -> str:
    for name in ("d90", "d30", "d7"):
        from_ms, to_ms = range_ms(name, until_ms)
        sql = sql.replace("{" + name + "}", f"time >= {literal(from_ms)} AND time < {literal(to_ms)}")
    return sql
