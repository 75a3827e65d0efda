"""The columns of an event, the same in every engine."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Kind(enum.Enum):
    """What a column holds."""

    TEXT = "text"
    TIME = "time"
    FLOAT = "float"
    INTEGER = "integer"
    BOOLEAN = "boolean"


@dataclass(frozen=True)
class Column:
    """One column of the table `events`. `distinct` is an estimate, taken for text only (else 0)."""

    name: str
    kind: Kind
    has_nulls: bool
    distinct: int


def quoted(name: str) -> str:
    """A name as an identifier of SQL."""
    return '"' + name.replace('"', '""') + '"'


# Columns every segment has: docs/formats.md, "Segment". `person` and `person_number` are left out: Throng's own hash of the ids.
FIXED = {
    "event": Kind.TEXT,
    "time": Kind.TIME,
    "client_time": Kind.TIME,
    "received_at": Kind.TIME,
    "user_id": Kind.TEXT,
    "anonymous_id": Kind.TEXT,
    "insert_id": Kind.TEXT,
    "session_id": Kind.TEXT,
}
PROPERTY_KINDS = {"s": Kind.TEXT, "n": Kind.FLOAT, "i": Kind.INTEGER, "b": Kind.BOOLEAN}
OVERFLOW = "$overflow"
NOT_OF_AN_EVENT = {"app", "person", "person_number", "date"}


def of_segment_column(name: str) -> tuple[str, Kind] | None:
    """Name and kind of the events' column that a segment's column is; None for those that are no part of an event."""
    if name in NOT_OF_AN_EVENT:
        return None
    if name in FIXED:
        return name, FIXED[name]
    kind, _, property_name = name.partition(":")
    if not property_name or kind not in PROPERTY_KINDS:
        raise ValueError(f'segments have a column "{name}" that this benchmark does not know: see docs/formats.md')
    return property_name, PROPERTY_KINDS[kind]
