"""Random requests. The same seed and last day make the same ones."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

from ..questions.question import DAY_MS, iso
from .fields import EVENTS, FILTER_VALUES, GROUP_FIELDS, NUMBERS, PARTS, PATTERNS, ZONES

Request = dict[str, Any]
DATA_DAYS = 90
HOUR_MS = 3_600_000
# Longest range of each interval, days: the product bounds buckets to 10,000 and rows to 100,000.
INTERVAL_DAYS = {"minute": 0.1, "hour": 6.0, "day": 95.0, "week": 95.0, "month": 95.0}
SHARE_OF_FUNNELS = 0.25
TEXT_OPERATORS = [
    "eq",
    "neq",
    "in",
    "not_in",
    "contains",
    "not_contains",
    "starts_with",
    "ends_with",
    "matches",
    "is_set",
    "is_not_set",
    "gt",
    "lte",
    "between",
]


class Generator:
    """Draws requests about the 90 days up to `until_ms`."""

    def __init__(self, seed: int, until_ms: int) -> None:
        self._draw = random.Random(seed)
        self._until_ms = until_ms

    def next(self) -> tuple[str, Request]:
        """A call and its request."""
        if self._draw.random() < SHARE_OF_FUNNELS:
            return "funnel", self._funnel()
        return "query", self._query()

    def _query(self) -> Request:
        draw = self._draw
        interval = draw.choice([None, None, *INTERVAL_DAYS])
        request: Request = self._range(INTERVAL_DAYS.get(interval, 95.0) if interval else 95.0)
        if interval:
            request["interval"] = interval
        if draw.random() < 0.12:
            request["metrics"] = ["sessions"]
        else:
            request["metrics"] = _distinct([self._metric() for _ in range(draw.choice([1, 1, 2, 3]))])
        groups = draw.sample(sorted(GROUP_FIELDS), draw.choice([0, 0, 1, 1, 2, 3]))
        if groups:
            request["group_by"] = groups if len(groups) > 1 or draw.random() < 0.5 else groups[0]
            request["limit"] = draw.choice([1, 3, 10, 25, 100]) if interval else draw.choice([1, 5, 25, 100, 10_000])
        if draw.random() < 0.5:
            request["events"] = draw.sample(EVENTS, draw.randrange(1, 4))
        if draw.random() < 0.6:
            request["filters"] = self._filters()
        return request

    def _metric(self) -> Any:
        draw = self._draw
        kind = draw.random()
        if kind < 0.55:
            return self._function()
        if kind < 0.85:
            function, _, name = self._function().partition(":")
            metric: Request = {"fn": function, **({"property": name} if name else {})}
            if draw.random() < 0.5:
                metric["event"] = draw.choice(EVENTS)
            if draw.random() < 0.5:
                metric["filters"] = self._filters()
            return metric
        formula = draw.choice(["A / B", "A / B * 100", "(A - B) / (A + B)", "A - B * 2"])
        return {"formula": formula, "A": self._function(), "B": {"fn": self._count(), "event": draw.choice(EVENTS)}}

    def _count(self) -> str:
        return self._draw.choice(["events", "unique_users"])

    def _function(self) -> str:
        draw = self._draw
        if draw.random() < 0.4:
            return self._count()
        of_numbers = ["sum", "avg", "min", "max", "median", "p90", "p95", "p99", "p1", "avg_per_user"]
        distinct = ["price", "url", "country", "user_id", "term", "ref_id", "session_id", "event"]
        return draw.choice(["events_per_user", f"{draw.choice(of_numbers)}:price", f"count_distinct:{draw.choice(distinct)}"])

    def _range(self, longest_days: float) -> Request:
        """Bare dates, wall clock times, or moments to the millisecond; sometimes beyond the data."""
        draw = self._draw
        request: Request = {"timezone": draw.choice(ZONES)}
        length_ms = max(int(longest_days * DAY_MS * draw.random() ** 2), 2 * HOUR_MS if longest_days < 1 else DAY_MS)
        earliest = self._until_ms - (DATA_DAYS + 2) * DAY_MS
        from_ms = earliest + draw.randrange(max(self._until_ms + DAY_MS - length_ms - earliest, 1))
        form = draw.random()
        if longest_days >= 1 and form < 0.4:
            return {**request, "from": _date(from_ms), "to": _date(from_ms + max(length_ms, DAY_MS))}
        if form < 0.6:
            return {**request, "from": _wall_clock(from_ms), "to": _wall_clock(from_ms + length_ms)}
        return {**request, "from": iso(from_ms), "to": iso(from_ms + length_ms)}

    def _filters(self, depth: int = 0) -> list[Request]:
        return [self._filter(depth) for _ in range(self._draw.choice([1, 1, 2] if depth else [1, 1, 1, 2]))]

    def _filter(self, depth: int) -> Request:
        draw = self._draw
        if depth < 3 and draw.random() < 0.3:
            group = draw.choice(["and", "or", "or", "not"])
            if group == "not":
                return {"not": self._filter(depth + 1) if draw.random() < 0.5 else self._filters(depth + 1)}
            return {group: self._filters(depth + 1) if draw.random() < 0.95 else []}
        return self._condition()

    def _condition(self) -> Request:
        draw = self._draw
        kind = draw.random()
        if kind < 0.2:
            return self._number_condition()
        if kind < 0.26:
            moment = self._until_ms - draw.randrange(DATA_DAYS * DAY_MS)
            return {"property": "time", "op": draw.choice(["gt", "gte", "lt", "lte"]), "value": iso(moment)}
        name = draw.choice(sorted(FILTER_VALUES))
        values = FILTER_VALUES[name]
        op = draw.choice(TEXT_OPERATORS)
        condition: Request = {"property": name, "op": op}
        if op in ("eq", "neq"):
            condition["value"] = draw.choice([*values, values[0], None, 10])
        elif op in ("in", "not_in"):
            condition["value"] = draw.sample([*values, None, 10], draw.randrange(1, min(4, len(values))))
        elif op in ("gt", "lte"):
            condition["value"] = draw.choice([*values, 10])
        elif op == "between":
            condition["value"] = [draw.choice(values), draw.choice(values)]
        elif op == "matches":
            condition["value"] = draw.choice(PATTERNS)
        elif op not in ("is_set", "is_not_set"):
            condition["value"] = draw.choice([*PARTS, *values])
        return condition

    def _number_condition(self) -> Request:
        draw = self._draw
        op = draw.choice(["eq", "neq", "gt", "gte", "lt", "lte", "between", "in", "not_in", "is_set", "is_not_set", "contains"])
        condition: Request = {"property": "price", "op": op}
        if op == "between":
            condition["value"] = [draw.choice(NUMBERS), draw.choice(NUMBERS)]
        elif op in ("in", "not_in"):
            condition["value"] = draw.sample([*NUMBERS, None, "10"], draw.randrange(1, 5))
        elif op == "contains":
            condition["value"] = "1"
        elif op not in ("is_set", "is_not_set"):
            condition["value"] = draw.choice([*NUMBERS, *NUMBERS, "10"])
        return condition

    def _funnel(self) -> Request:
        """Steps of different event names, so that no event can be two steps."""
        draw = self._draw
        names = draw.sample(EVENTS, draw.randrange(2, 7))
        steps: list[Any] = []
        while names and len(steps) < 4:
            steps.append(self._step(names))
        request: Request = {**self._range(95.0), "steps": steps}
        request["window"] = draw.choice(["30m", "1h", "90s", "1d", "7d", "30d", "none", HOUR_MS, 60_000])
        if draw.random() < 0.3:
            request["entry"] = "first"
        if draw.random() < 0.3:
            request["range_applies_to"] = "all"
        if draw.random() < 0.4:
            request["filters"] = self._filters()
        if draw.random() < 0.5:
            request["breakdown"] = draw.choice(["country", "device_type", "plan", "url", "term", "price", "referrer"])
            request["limit"] = draw.choice([1, 5, 25, 10_000])
        return request

    def _step(self, names: list[str]) -> Any:
        draw = self._draw
        kind = draw.random()
        if kind < 0.6 or len(names) < 2:
            return names.pop()
        if kind < 0.85:
            return {"event": names.pop(), "filters": self._filters()}
        return {"any_of": [names.pop(), {"event": names.pop(), "filters": self._filters()}]}


def _distinct(metrics: list[Any]) -> list[Any]:
    """Without a metric that comes twice, since a name is given once."""
    return [metric for number, metric in enumerate(metrics) if metric not in metrics[:number]]


def _date(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1_000, UTC).strftime("%Y-%m-%d")


def _wall_clock(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1_000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
