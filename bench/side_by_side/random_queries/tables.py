"""A `/query` request as SQL."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ..columns import quoted
from ..questions.question import DAY_MS
from .buckets import moment_ms, starts_ms
from .dialect import Dialect
from .predicates import all_of, event_names

PERSON = "coalesce(user_id, anonymous_id)"
SESSION_IDLE_MS = 1_800_000
# Sessions are cut over the person's events from so long before the range.
SESSION_REACH_MS = DAY_MS
# Measures that are 0 of nothing; all others are null.
ZERO_OF_NOTHING = {"events", "unique_users", "count_distinct", "sum", "sessions"}


@dataclass(frozen=True)
class Table:
    """A request with what is needed to write it as SQL and to fill its answer. Times are Unix milliseconds."""

    request: dict[str, Any]
    zone: str
    from_ms: int
    to_ms: int
    buckets: list[int] | None
    groups: list[str]
    metrics: list[Any]

    @staticmethod
    def of(request: dict[str, Any]) -> Table:
        """Resolves range, buckets and groups."""
        zone = request["timezone"]
        from_ms, to_ms = moment_ms(request["from"], zone), moment_ms(request["to"], zone)
        interval = request.get("interval")
        buckets = starts_ms(from_ms, to_ms, interval, zone) if interval else None
        groups = request.get("group_by", [])
        return Table(request, zone, from_ms, to_ms, buckets, [groups] if isinstance(groups, str) else groups, request["metrics"])

    @property
    def group_names(self) -> list[str]:
        """Names of the group columns in SQL."""
        return [f"g{number}" for number in range(len(self.groups))]

    @property
    def keys(self) -> list[str]:
        """What rows are told apart by, in SQL, the mark of the folded rest left out."""
        return (["bucket"] if self.buckets is not None else []) + self.group_names

    def zeros(self) -> list[float | None]:
        """What each metric is of no events."""
        return [_of_nothing(metric) for metric in self.metrics]


def folded_sql(table: Table, dialect: Dialect) -> str:
    """Rows (bucket, groups, whether it is the rest, metrics), for DuckDB: the groups behind the limit are one."""
    groups = table.group_names
    if not groups:
        return plain_sql(table, dialect)
    order = ", ".join(f"{name} NULLS FIRST" for name in groups)
    same = " AND ".join(f"matched.{name} IS NOT DISTINCT FROM kept.{name}" for name in groups)
    kept = (
        f"kept AS (SELECT {', '.join(groups)}, true AS is_kept FROM matched GROUP BY {', '.join(groups)} "
        f"ORDER BY {_ranking(table, dialect)} DESC NULLS LAST, {order} LIMIT {table.request['limit']})"
    )
    shown = ", ".join(f"CASE WHEN kept.is_kept THEN matched.{name} END AS {name}" for name in groups)
    folded = (
        f"folded AS (SELECT matched.* EXCLUDE ({', '.join(groups)}), {shown}, kept.is_kept IS NULL AS is_rest "
        f"FROM matched LEFT JOIN kept ON {same})"
    )
    keys = ", ".join([*table.keys, "is_rest"])
    return f"WITH {_matched(table, dialect)}, {kept}, {folded} SELECT {keys}, {_metrics(table, dialect)} FROM folded GROUP BY {keys}"


def plain_sql(table: Table, dialect: Dialect) -> str:
    """The same without folding, for answers that were not cut."""
    keys = ", ".join(table.keys)
    # Without a key there is one row, also of nothing.
    by = f" GROUP BY {keys}" if keys else ""
    return f"WITH {_matched(table, dialect)} SELECT {keys}{', ' if keys else ''}false, {_metrics(table, dialect)} FROM matched{by}"


def is_of_sessions(table: Table) -> bool:
    """Whether it counts sessions."""
    return table.metrics == ["sessions"]


def _metrics(table: Table, dialect: Dialect) -> str:
    return ", ".join(_metric(metric, table, dialect) for metric in table.metrics)


def _ranking(table: Table, dialect: Dialect) -> str:
    """What decides which groups stay: the first metric; of a formula, its first series."""
    first = table.metrics[0]
    return _metric(first["A"] if isinstance(first, dict) and "formula" in first else first, table, dialect)


def _matched(table: Table, dialect: Dialect) -> str:
    """The events that match, or their sessions, with bucket, groups and person."""
    groups = "".join(f", {quoted(name)} AS g{number}" for number, name in enumerate(table.groups))
    in_range = f"time >= {dialect.moment(table.from_ms)} AND time < {dialect.moment(table.to_ms)}"
    wanted = f"{event_names(_names(table), dialect)} AND {all_of(table.request.get('filters'), table.zone, dialect)}"
    source, bucket = _bucketed(table, dialect, "events")
    matched = f"(SELECT events.*, {PERSON} AS person{bucket}{groups} FROM {source} WHERE {in_range} AND {wanted})"
    if not is_of_sessions(table):
        return f"matched AS {matched}"
    keys = "".join(f", {name}" for name in table.keys)
    # Groups whose events match have a row, also where no session begins with them.
    return (
        f"{_sessions(table, dialect, groups, f'{in_range} AND {wanted}')}, "
        f"matched AS (SELECT 1 AS session{keys} FROM sessions UNION ALL SELECT DISTINCT 0 AS session{keys} FROM {matched} AS grouped)"
    )


def _names(table: Table) -> list[str] | None:
    """The request's event names; without any, those of its metrics where each of them names one."""
    if "events" in table.request:
        return list(table.request["events"])
    series = [part for metric in table.metrics for part in _series(metric)]
    if all(isinstance(part, dict) and "event" in part for part in series):
        return [part["event"] for part in series]
    return None


def _series(metric: Any) -> list[Any]:
    return [metric["A"], metric["B"]] if isinstance(metric, dict) and "formula" in metric else [metric]


def _bucketed(table: Table, dialect: Dialect, source: str) -> tuple[str, str]:
    """What to select from, and the column with the start of each row's bucket."""
    if table.buckets is None:
        return source, ""
    bucketed, start = dialect.bucketed(source, table.buckets)
    return bucketed, f", {start} AS bucket"


def _sessions(table: Table, dialect: Dialect, groups: str, matches: str) -> str:
    """One row for each session that begins in the range and has an event that matches, in the group of its first such event."""
    reach = f"time >= {dialect.moment(table.from_ms - SESSION_REACH_MS)} AND time < {dialect.moment(table.to_ms)}"
    at = dialect.time_ms("time")
    # Between events at one time, the smallest group.
    order = ", ".join(["time", *(f"{name} NULLS FIRST" for name in table.group_names)])
    first = "".join(f", first({name} ORDER BY {order}) FILTER (WHERE is_match) AS {name}" for name in table.group_names)
    source, bucket = _bucketed(table, dialect, "begun")
    return (
        f"marked AS (SELECT *, {PERSON} AS person, "
        f"{at} - lag({at}) OVER (PARTITION BY {PERSON}, session_id IS NULL ORDER BY time) AS pause_ms "
        f"FROM events WHERE {reach} AND {PERSON} IS NOT NULL), "
        f"cut AS (SELECT *, CASE WHEN session_id IS NULL THEN sum(CASE WHEN pause_ms > {SESSION_IDLE_MS} THEN 1 ELSE 0 END) "
        f"OVER (PARTITION BY person, session_id IS NULL ORDER BY time) END AS number FROM marked), "
        f"flagged AS (SELECT *, {matches} AS is_match{groups} FROM cut), "
        f"begun AS (SELECT min(time) AS time{first} FROM flagged GROUP BY person, session_id, number HAVING max(is_match)), "
        f"sessions AS (SELECT begun.*{bucket} FROM {source} WHERE time >= {dialect.moment(table.from_ms)})"
    )


def _metric(metric: Any, table: Table, dialect: Dialect) -> str:
    if isinstance(metric, str):
        return _measure({"fn": metric}, table, dialect)
    if "formula" not in metric:
        return _measure(metric, table, dialect)
    parts = {letter: dialect.number(_metric(metric[letter], table, dialect)) for letter in ("A", "B")}
    spelled = re.sub("[AB]", lambda found: parts[found.group()], metric["formula"])
    if "/" not in metric["formula"]:
        return spelled
    # A division by zero is null.
    over = metric["formula"].split("/", 1)[1].split("*", 1)[0].strip()
    divisor = re.sub("[AB]", lambda found: parts[found.group()], over)
    return f"CASE WHEN {divisor} <> 0 THEN {spelled} END"


def _measure(measure: dict[str, Any], table: Table, dialect: Dialect) -> str:
    name, _, field = measure["fn"].partition(":")
    field = measure.get("property", field)
    column = quoted(field) if field else ""
    names = [measure["event"]] if "event" in measure else None
    wanted = f"{event_names(names, dialect)} AND {all_of(measure.get('filters'), table.zone, dialect)}"

    def of(aggregate: str, also: str = "true") -> str:
        return f"{aggregate} FILTER (WHERE {wanted} AND {also})"

    persons = of("count(DISTINCT person)")
    match name:
        case "events":
            return of("count(*)")
        case "sessions":
            return "coalesce(sum(session), 0)"
        case "unique_users":
            return persons
        case "events_per_user":
            return f"{dialect.number(of('count(*)', 'person IS NOT NULL'))} / nullif({persons}, 0)"
        case "count_distinct":
            return of(f"count(DISTINCT {column})")
        case "sum":
            return f"coalesce({of(f'sum({column})')}, 0)"
        case "avg_per_user":
            has_value = f"person IS NOT NULL AND {column} IS NOT NULL"
            return f"{of(f'sum({column})', has_value)} / nullif({of('count(DISTINCT person)', has_value)}, 0)"
        case "median":
            return of(dialect.quantile(column, 0.5))
        case "avg" | "min" | "max":
            return of(f"{name}({column})")
        case _:
            return of(dialect.quantile(column, int(name[1:]) / 100))


def _of_nothing(metric: Any) -> float | None:
    if isinstance(metric, dict) and "formula" in metric:
        parts = [_of_nothing(metric[letter]) for letter in ("A", "B")]
        return None if None in parts or "/" in metric["formula"] else 0
    name = metric if isinstance(metric, str) else metric["fn"]
    return 0 if name.partition(":")[0] in ZERO_OF_NOTHING else None
