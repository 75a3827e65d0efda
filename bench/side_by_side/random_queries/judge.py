"""From a peer's rows to the answer Throng should give, and whether it gave it."""

from __future__ import annotations

import statistics
from typing import Any

from ..answers import OTHER, Row, table_rows
from ..compare import differences
from .tables import Table


def expected_table(table: Table, rows: list[Row]) -> list[Row]:
    """Rows of `/query` from a peer's: the rest named, every kept group in every bucket."""
    bucketed = table.buckets is not None
    first_group = 1 if bucketed else 0
    metrics_at = first_group + len(table.groups) + 1
    found: dict[Row, Row] = {}
    groups: set[Row] = set() if table.groups else {()}
    for row in rows:
        is_rest = row[metrics_at - 1]
        # The rest of several keys is one row, with the mark in each of them.
        group = (OTHER,) * len(table.groups) if is_rest else tuple(row[first_group : metrics_at - 1])
        groups.add(group)
        found[(row[0], *group) if bucketed else group] = tuple(row[metrics_at:])
    if not bucketed:
        return [(*key, *values) for key, values in found.items()]
    zeros = tuple(table.zeros())
    return [(bucket, *group, *found.get((bucket, *group), zeros)) for bucket in table.buckets or [] for group in groups]


def table_differences(table: Table, answer: dict[str, Any], rows: list[Row]) -> list[str]:
    """What differs between a `/query` answer and a peer's rows, the order of rows included."""
    keys = len(table.keys)
    got = table_rows(answer)
    return differences(expected_table(table, rows), got, keys) or _disorder(table, got)


def was_cut(answer: dict[str, Any]) -> bool:
    """Whether groups were folded into the rest."""
    return any(OTHER in row.values() for row in answer["results"])


def _disorder(table: Table, rows: list[Row]) -> list[str]:
    """By time, then the rest last, then the first metric, largest first and null last, then group values."""
    bucketed, groups = table.buckets is not None, len(table.groups)
    first_metric = (1 if bucketed else 0) + groups

    def place(row: Row) -> tuple[Any, ...]:
        group = row[first_metric - groups : first_metric]
        metric = row[first_metric]
        value = (metric is None, 0 if metric is None else -metric)
        return (row[0] if bucketed else 0, OTHER in group, value, tuple(_value_order(part) for part in group))

    for before, after in zip(rows, rows[1:], strict=False):
        if place(before) > place(after):
            return [f"rows out of order: {before} before {after}"]
    return []


def _value_order(value: Any) -> tuple[bool, Any]:
    """A missing value before all others, text by its bytes. The values of one property are of one type."""
    if value is None:
        return (False, 0)
    return (True, value.encode() if isinstance(value, str) else value)


def expected_steps(attempts: list[Row], steps: int) -> list[Row]:
    """Rows (step, users, median and mean time from the step before) from attempts (steps reached, times)."""
    rows: list[Row] = [(1, len(attempts), None, None)]
    for number in range(2, steps + 1):
        times = [attempt[number] - attempt[number - 1] for attempt in attempts if attempt[0] >= number]
        median = statistics.median(times) if times else None
        rows.append((number, len(times), median, statistics.fmean(times) if times else None))
    return rows


def step_rows(funnel: list[dict[str, Any]]) -> list[Row]:
    """The same rows of an answer's funnel."""
    return [(number, step["users"], step.get("median_time_ms"), step.get("avg_time_ms")) for number, step in enumerate(funnel, 1)]


def funnel_differences(request: dict[str, Any], answer: dict[str, Any], rows: list[Row]) -> list[str]:
    """What differs between a `/funnel` answer and a peer's attempts (person, value, steps reached, times)."""
    steps = len(request["steps"])
    attempts = [row[2:] for row in rows]
    found = differences(expected_steps(attempts, steps), step_rows(answer["funnel"]), 1)
    if found or "breakdown" not in request:
        return found
    by_value: dict[Any, list[Row]] = {}
    for row in rows:
        by_value.setdefault(row[1], []).append(row[2:])
    ranked = sorted(by_value.items(), key=lambda item: (-len(item[1]), _value_order(item[0])))
    limit = request["limit"]
    groups: list[tuple[Any, list[Row]]] = ranked[:limit]
    if ranked[limit:]:
        groups.append((OTHER, [attempt for _, of_value in ranked[limit:] for attempt in of_value]))
    expected = [(value, *row) for value, of_value in groups for row in expected_steps(of_value, steps)]
    got = [(group["value"], *row) for group in answer["breakdown"] for row in step_rows(group["funnel"])]
    found = differences(expected, got, 2)
    if not found and [row[0] for row in expected] != [row[0] for row in got]:
        return [f"groups out of order: expected {[value for value, _ in groups]}"]
    return found


def level_differences(request: dict[str, Any], answer: dict[str, Any], rows: list[Row]) -> list[str]:
    """What differs between a `/funnel` answer's users and a peer's persons by steps reached."""
    expected = [(number, sum(count for reached, count in rows if reached >= number)) for number in range(1, len(request["steps"]) + 1)]
    return differences(expected, [row[:2] for row in step_rows(answer["funnel"])], 1)
