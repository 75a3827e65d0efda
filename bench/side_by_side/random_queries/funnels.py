"""A `/funnel` request as SQL, from the words of docs/semantics.md, section 7. The steps name different events."""

from __future__ import annotations

from typing import Any

from ..columns import quoted
from .buckets import moment_ms
from .dialect import Dialect
from .predicates import all_of
from .tables import PERSON

UNIT_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def window_ms(request: dict[str, Any]) -> int | None:
    """The window in milliseconds; None for none."""
    window = request["window"]
    if window == "none":
        return None
    return window if isinstance(window, int) else int(window[:-1]) * UNIT_MS[window[-1]]


def attempts_sql(request: dict[str, Any], dialect: Dialect) -> str:
    """For DuckDB: rows (person, value on the entry, steps reached, time of each step in ms) of the attempt shown of each person.

    Every step-1 event is followed by the earliest event of step 2 not before it, and so on: of each entry the attempt that reaches most.
    """
    steps = request["steps"]
    value = quoted(request["breakdown"]) if "breakdown" in request else "NULL"
    events = [f"step{number} AS ({_step_sql(request, number, dialect, value)})" for number in range(1, len(steps) + 1)]
    first = "step1"
    if request.get("entry") == "first":
        events.append(
            "opened AS (SELECT * FROM step1 QUALIFY row_number() OVER (PARTITION BY person ORDER BY at_ms, value NULLS FIRST) = 1)"
        )
        first = "opened"
    chain = [f"chain1 AS (SELECT person, value, at_ms AS t1 FROM {first})"]
    window = window_ms(request)
    for number in range(2, len(steps) + 1):
        before = f"chain{number - 1}"
        fits = f"s.at_ms - c.t1 <= {window}" if window is not None else "true"
        chain.append(
            f"chain{number} AS (SELECT c.*, CASE WHEN {fits} THEN s.at_ms END AS t{number} FROM {before} c "
            f"ASOF LEFT JOIN step{number} s ON s.person = c.person AND s.at_ms >= c.t{number - 1})"
        )
    times = [f"t{number}" for number in range(1, len(steps) + 1)]
    reached = " + ".join(f"({time} IS NOT NULL)::INTEGER" for time in times)
    last = f"chain{len(steps)}"
    return (
        f"WITH {', '.join(events + chain)} SELECT person, value, {reached} AS reached, {', '.join(times)} FROM {last} "
        "QUALIFY row_number() OVER (PARTITION BY person ORDER BY reached DESC, t1, value NULLS FIRST) = 1"
    )


def level_counts_sql(request: dict[str, Any], dialect: Dialect) -> str:
    """For ClickHouse: persons by the steps they reached, by its own `windowFunnel`, which takes any entry."""
    window = window_ms(request)
    conditions = [_condition(step, request["timezone"], dialect) for step in request["steps"]]
    from_ms, to_ms = _range_ms(request)
    entry_to = f"time < {dialect.moment(to_ms)}"
    conditions[0] = f"({conditions[0]}) AND {entry_to}"
    until = f" AND {entry_to}" if request.get("range_applies_to") == "all" else ""
    wide = window if window is not None else 10**13
    return (
        f"SELECT reached, count() FROM (SELECT {PERSON} AS person, windowFunnel({wide})(toUInt64({dialect.time_ms('time')}), "
        f"{', '.join(conditions)}) AS reached FROM events WHERE time >= {dialect.moment(from_ms)}{until} AND {PERSON} IS NOT NULL "
        f"AND {all_of(request.get('filters'), request['timezone'], dialect)} GROUP BY person) WHERE reached > 0 GROUP BY reached"
    )


def _step_sql(request: dict[str, Any], number: int, dialect: Dialect, value: str) -> str:
    """Persons and times of a step's events; on the first also the value they are broken down by."""
    from_ms, to_ms = _range_ms(request)
    holds_range = number == 1 or request.get("range_applies_to") == "all"
    until = f" AND time < {dialect.moment(to_ms)}" if holds_range else ""
    zone = request["timezone"]
    condition = _condition(request["steps"][number - 1], zone, dialect)
    shown = f", {value} AS value" if number == 1 else ""
    return (
        f"SELECT {PERSON} AS person, {dialect.time_ms('time')} AS at_ms{shown} FROM events WHERE time >= {dialect.moment(from_ms)}{until} "
        f"AND {PERSON} IS NOT NULL AND ({condition}) AND {all_of(request.get('filters'), zone, dialect)}"
    )


def _condition(step: Any, zone: str, dialect: Dialect) -> str:
    if isinstance(step, str):
        return f"event = {dialect.text(step)}"
    if "any_of" in step:
        return " OR ".join(f"({_condition(part, zone, dialect)})" for part in step["any_of"])
    return f"event = {dialect.text(step['event'])} AND {all_of(step['filters'], zone, dialect)}"


def _range_ms(request: dict[str, Any]) -> tuple[int, int]:
    return moment_ms(request["from"], request["timezone"]), moment_ms(request["to"], request["timezone"])
