"""Filters as SQL, from the words of docs/semantics.md, section 5. Every condition is true or false, never null."""

from __future__ import annotations

from typing import Any

from ..columns import Kind, quoted
from .buckets import moment_ms
from .dialect import Dialect
from .fields import KINDS

COMPARISONS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
NEGATED = {"neq": "eq", "not_in": "in", "not_contains": "contains", "is_not_set": "is_set"}


def all_of(filters: list[dict[str, Any]] | None, zone: str, dialect: Dialect) -> str:
    """A list of which all hold; an empty one holds."""
    return " AND ".join(one(item, zone, dialect) for item in filters or []) or "true"


def one(item: dict[str, Any], zone: str, dialect: Dialect) -> str:
    """A condition or a group."""
    if "and" in item:
        return f"({all_of(item['and'], zone, dialect)})"
    if "or" in item:
        parts = [one(part, zone, dialect) for part in item["or"]]
        return f"({' OR '.join(parts)})" if parts else "false"
    if "not" in item:
        inner = item["not"]
        return f"NOT ({all_of(inner if isinstance(inner, list) else [inner], zone, dialect)})"
    op = item["op"]
    if op in NEGATED:
        return f"NOT ({one({**item, 'op': NEGATED[op]}, zone, dialect)})"
    return f"coalesce({_condition(item['property'], op, item.get('value'), zone, dialect)}, false)"


def event_names(names: list[str] | None, dialect: Dialect) -> str:
    """Events of any of these names; any event without a list."""
    return f"event IN ({', '.join(dialect.text(name) for name in names)})" if names is not None else "true"


def _condition(name: str, op: str, value: Any, zone: str, dialect: Dialect) -> str:
    column, kind = quoted(name), KINDS[name]
    if kind is Kind.TIME:
        return f"{column} {COMPARISONS[op]} {dialect.moment(moment_ms(value, zone))}"
    if op == "is_set":
        return f"{column} IS NOT NULL"
    if op == "eq":
        return _equal(column, kind, value, dialect)
    if op == "in":
        return "(" + " OR ".join(f"coalesce({_equal(column, kind, item, dialect)}, false)" for item in value) + ")"
    if op == "between":
        low, high = value
        return f"{column} BETWEEN {_literal(low, dialect)} AND {_literal(high, dialect)}" if _is_of(kind, low) else "false"
    if op in COMPARISONS:
        return f"{column} {COMPARISONS[op]} {_literal(value, dialect)}" if _is_of(kind, value) else "false"
    if kind is not Kind.TEXT:
        return "false"
    spelled = {"contains": dialect.contains, "starts_with": dialect.starts_with, "ends_with": dialect.ends_with, "matches": dialect.matches}
    return spelled[op](column, value)


def _equal(column: str, kind: Kind, value: Any, dialect: Dialect) -> str:
    """Null stands for "not set"; a value of another type is never equal."""
    if value is None:
        return f"{column} IS NULL"
    return f"{column} = {_literal(value, dialect)}" if _is_of(kind, value) else "false"


def _is_of(kind: Kind, value: Any) -> bool:
    return isinstance(value, str) == (kind is Kind.TEXT)


def _literal(value: str | float, dialect: Dialect) -> str:
    return dialect.text(value) if isinstance(value, str) else dialect.number(repr(value))
