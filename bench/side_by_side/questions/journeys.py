"""Q9 to Q11 and Q13 to Q16: funnels, retention, sessions, segments and paths.

The data end where the ranges end, so no later step can lie behind a range. Persons, sessions and devices hang together: a person has one
device, and two events of a session are never at the same time.
"""

from __future__ import annotations

from typing import Any

from ..answers import breakdown_rows, funnel_rows, path_rows, retention_rows
from .question import DAY_MS, Question

FUNNEL_STEPS = ["page_view", "add_to_cart", "purchase"]


def _duckdb_funnel(range_name: str, window_ms: int, group: str | None) -> str:
    """For each add_to_cart the latest page_view before it; then whether a purchase follows such a pair in time.

    DuckDB has no funnel of its own. Lists per person were twice as fast here as ASOF joins and three times as window functions.
    """
    key = f"{group}, " if group else ""
    any_value = f"any_value({group}) AS {group}, " if group else ""
    return (
        f"WITH person AS (SELECT user_id, {any_value}"
        "list(epoch_ms(time)) FILTER (event = 'page_view') AS views, list(epoch_ms(time)) FILTER (event = 'add_to_cart') AS carts, "
        "list(epoch_ms(time)) FILTER (event = 'purchase') AS purchases "
        f"FROM events WHERE {{{range_name}}} AND event IN ('page_view', 'add_to_cart', 'purchase') GROUP BY user_id HAVING views IS NOT "
        f"NULL), "
        f"paired AS (SELECT {key}purchases, list_filter(list_transform(carts, lambda cart: {{'cart': cart, "
        f"'entry': list_max(list_filter(views, lambda view: view <= cart AND view >= cart - {window_ms}))}}), "
        "lambda pair: pair.entry IS NOT NULL) AS pairs FROM person), "
        f"reached AS (SELECT {key}CASE WHEN coalesce(len(pairs), 0) = 0 THEN 1 WHEN coalesce(len(list_filter(purchases, lambda bought: "
        f"len(list_filter(pairs, lambda pair: pair.cart <= bought AND pair.entry >= bought - {window_ms})) > 0)), 0) > 0 THEN 3 "
        "ELSE 2 END AS step FROM paired) "
        f"SELECT {key}number, count(*) FILTER (step >= number) FROM reached, range(1, 4) AS steps(number) GROUP BY ALL"
    )


def _clickhouse_funnel(range_name: str, window_ms: int, group: str | None) -> str:
    key = f"{group}, " if group else ""
    any_value = f"any({group}) AS {group}, " if group else ""
    return (
        f"SELECT {key}number, countIf(step >= number) FROM (SELECT user_id, {any_value}windowFunnel({window_ms})"
        "(toUInt64(toUnixTimestamp64Milli(time)), event = 'page_view', event = 'add_to_cart', event = 'purchase') AS step "
        f"FROM events WHERE {{{range_name}}} AND event IN ('page_view', 'add_to_cart', 'purchase') GROUP BY user_id) "
        f"ARRAY JOIN [1, 2, 3] AS number WHERE step > 0 GROUP BY {key}number"
    )


FUNNELS = [
    Question(
        "Q9 funnel, 7-day window, 90 days",
        "funnel",
        {"steps": FUNNEL_STEPS, "window": "7d"},
        "d90",
        _duckdb_funnel("d90", 7 * DAY_MS, None),
        _clickhouse_funnel("d90", 7 * DAY_MS, None),
        keys=1,
        read=funnel_rows,
    ),
    Question(
        "Q10 funnel, 1-day window, 30 days, by device",
        "funnel",
        {"steps": FUNNEL_STEPS, "window": "1d", "breakdown": "device_type"},
        "d30",
        _duckdb_funnel("d30", DAY_MS, "device_type"),
        _clickhouse_funnel("d30", DAY_MS, "device_type"),
        keys=2,
        read=breakdown_rows,
    ),
]

SESSIONS = [
    Question(
        "Q13 sessions per day, 90 days",
        "query",
        {"metric": "sessions", "interval": "day"},
        "d90",
        "SELECT epoch_ms(day::TIMESTAMP), n FROM (SELECT start::DATE AS day, count(*) AS n FROM (SELECT min(time) AS start FROM events "
        "WHERE {d90} GROUP BY user_id, session_id) GROUP BY day)",
        "SELECT toUnixTimestamp(toDate(start)) * 1000 AS day, count() FROM (SELECT min(time) AS start FROM events "
        "WHERE {d90} GROUP BY user_id, session_id) GROUP BY day",
        keys=1,
    ),
]

RETENTION = [
    Question(
        "Q11 weekly retention signup > page_view",
        "retention",
        {"start_event": "signup", "return_event": "page_view", "period": "week", "entry": "recurring"},
        "d90",
        "WITH signed_up AS (SELECT DISTINCT user_id, date_trunc('week', time) AS week FROM events WHERE {d90} AND event = 'signup'), "
        "seen AS (SELECT DISTINCT user_id, date_trunc('week', time) AS week FROM events WHERE {d90} AND event = 'page_view') "
        "SELECT epoch_ms(s.week::TIMESTAMP), date_diff('week', s.week, v.week) AS later, count(*) FROM signed_up s "
        "JOIN seen v ON v.user_id = s.user_id AND v.week >= s.week GROUP BY s.week, later",
        "WITH signed_up AS (SELECT DISTINCT user_id, toMonday(time) AS week FROM events WHERE {d90} AND event = 'signup'), "
        "seen AS (SELECT DISTINCT user_id, toMonday(time) AS week FROM events WHERE {d90} AND event = 'page_view') "
        "SELECT toUnixTimestamp(s.week) * 1000, intDiv(v.week - s.week, 7) AS later, count() FROM signed_up AS s "
        "JOIN seen AS v ON v.user_id = s.user_id WHERE v.week >= s.week GROUP BY s.week, later",
        keys=2,
        read=retention_rows,
    ),
]

_MEMBERS = "SELECT user_id FROM events WHERE {d30} AND event = 'purchase' GROUP BY user_id HAVING count(*) >= 2"
SEGMENTS = [
    Question(
        "Q14 daily active who bought twice in 30 days",
        "query",
        {"metric": "unique_users", "interval": "day", "segment": {"did": "purchase", "at_least": 2, "range": "{d30}"}},
        "d30",
        "SELECT epoch_ms(day::TIMESTAMP), n FROM (SELECT time::DATE AS day, count(DISTINCT user_id) AS n FROM events "
        f"WHERE {{d30}} AND user_id IN ({_MEMBERS}) GROUP BY day)",
        f"SELECT toUnixTimestamp(toDate(time)) * 1000 AS day, uniqExact(user_id) FROM events WHERE {{d30}} AND user_id IN ({_MEMBERS}) "
        "GROUP BY day",
        keys=1,
    ),
]

def _step(event: str, name: str, op: str, value: Any) -> dict[str, Any]:
    return {"event": event, "filters": [{"property": name, "op": op, "value": value}]}


_UNORDERED_REQUEST_STEPS = [
    _step("page_view", "url", "contains", "item-1"),
    _step("search", "term", "contains", "red"),
    _step("add_to_cart", "country", "eq", "US"),
    _step("click", "browser", "eq", "Chrome"),
    _step("purchase", "price", "gt", 50),
]
_UNORDERED_STEPS = [
    "event = 'page_view' AND url LIKE '%item-1%'",
    "event = 'search' AND term LIKE '%red%'",
    "event = 'add_to_cart' AND country = 'US'",
    "event = 'click' AND browser = 'Chrome'",
    "event = 'purchase' AND price > 50",
]


def _unordered(bit_or: str, bit_count: str, time_ms: str, unnest: str, when: str) -> str:
    """Persons by the most different steps within seven days from one of them."""
    mask = " ".join(f"WHEN {condition} THEN {1 << bit}" for bit, condition in enumerate(_UNORDERED_STEPS))
    anything = " OR ".join(f"({condition})" for condition in _UNORDERED_STEPS)
    return (
        f"WITH step AS (SELECT user_id, {time_ms} AS at_ms, CASE {mask} ELSE 0 END AS mask FROM events WHERE {{d90}} AND ({anything})), "
        f"around AS (SELECT user_id, {bit_or}(mask) OVER (PARTITION BY user_id ORDER BY at_ms RANGE BETWEEN CURRENT ROW AND "
        f"{7 * DAY_MS} FOLLOWING)"
        f" AS mask FROM step), reached AS (SELECT user_id, max({bit_count}(mask)) AS steps FROM around GROUP BY user_id) "
        f"SELECT number, {when} FROM reached {unnest} GROUP BY number"
    )


UNORDERED = [
    Question(
        "Q15 five filtered steps, unordered, 7-day window",
        "funnel",
        {"steps": _UNORDERED_REQUEST_STEPS, "mode": "unordered", "window": "7d"},
        "d90",
        _unordered("bit_or", "bit_count", "epoch_ms(time)", ", range(1, 6) AS all_steps(number)", "count(*) FILTER (steps >= number)"),
        _unordered(
            "groupBitOr",
            "bitCount",
            "toUnixTimestamp64Milli(time)",
            "ARRAY JOIN [1, 2, 3, 4, 5] AS number",
            "countIf(steps >= number)",
        ),
        keys=1,
        read=funnel_rows,
    ),
]

PATHS = [
    Question(
        "Q16 top 20 three-step paths after a session's first page_view",
        "paths",
        {"start": "page_view", "steps": 3, "full_length_only": True, "limit": 20},
        "d90",
        "WITH session AS (SELECT user_id, list(event ORDER BY time) AS names FROM events WHERE {d90} GROUP BY user_id, session_id), "
        "path AS (SELECT user_id, names[list_position(names, 'page_view') + 1 : list_position(names, 'page_view') + 3] AS steps "
        "FROM session WHERE list_contains(names, 'page_view')) "
        "SELECT array_to_string(steps, ' > ') AS steps_text, count(*) AS n, count(DISTINCT user_id) FROM path WHERE len(steps) = 3 "
        "GROUP BY steps_text ORDER BY n DESC, steps_text LIMIT 20",
        "WITH session AS (SELECT user_id, arrayMap(pair -> pair.2, arraySort(groupArray((time, event)))) AS names FROM events "
        "WHERE {d90} GROUP BY user_id, session_id), "
        "path AS (SELECT user_id, arraySlice(names, indexOf(names, 'page_view') + 1, 3) AS steps FROM session "
        "WHERE has(names, 'page_view')) "
        "SELECT arrayStringConcat(steps, ' > ') AS steps_text, count() AS n, uniqExact(user_id) FROM path WHERE length(steps) = 3 "
        "GROUP BY steps_text ORDER BY n DESC, steps_text LIMIT 20",
        keys=1,
        read=path_rows,
    ),
]
