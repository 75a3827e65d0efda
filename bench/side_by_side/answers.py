"""Answers of Throng's API as rows, in the form the peers give theirs: times in Unix milliseconds, keys first, then values."""

from __future__ import annotations

from datetime import datetime
from typing import Any

Row = tuple[Any, ...]
OTHER = "$other"


def table_rows(answer: dict[str, Any]) -> list[Row]:
    """Rows of `/query`: the bucket's start where there is one, group values, metrics."""
    rows = []
    for row in answer["results"]:
        time = [milliseconds(row["time"])] if "time" in row else []
        rows.append(tuple(time + [row[name] for name in answer.get("group_by", []) + answer["metrics"]]))
    return rows


def funnel_rows(answer: dict[str, Any]) -> list[Row]:
    """Rows of `/funnel`: the step's number from 1, the persons who reached it."""
    return [(number, step["users"]) for number, step in enumerate(answer["funnel"], 1)]


def breakdown_rows(answer: dict[str, Any]) -> list[Row]:
    """Rows of a `/funnel` with `breakdown`: the value, the step's number, the persons."""
    return [(group["value"], *row) for group in answer["breakdown"] for row in funnel_rows(group)]


def path_rows(answer: dict[str, Any]) -> list[Row]:
    """Rows of `/paths` that begin with an event: the steps after it, how often, and by how many persons."""
    listed = [row for row in answer["paths"] if row["path"] != OTHER]
    return [(" > ".join(row["path"][1:]), row["sequences"], row["users"]) for row in listed]


def retention_rows(answer: dict[str, Any]) -> list[Row]:
    """Rows of `/retention`: the cohort's start, the number of the period, the persons who returned; none where nobody did."""
    cohorts = ((milliseconds(row["time"]), row["returned"]) for row in answer["retention"])
    return [(start, number, users) for start, returned in cohorts for number, users in enumerate(returned) if users]


def without_other(rows: list[Row]) -> list[Row]:
    """Rows without the one that folds the groups behind the limit, which SQL does not compute."""
    return [row for row in rows if OTHER not in row]


def milliseconds(text: str) -> int:
    """Unix milliseconds of a time in ISO 8601 with an offset."""
    return round(datetime.fromisoformat(text).timestamp() * 1_000)
