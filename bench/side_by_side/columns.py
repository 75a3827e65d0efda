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


# Columns that every export has (docs/semantics.md, "Export"), with their names in the peers' tables.
FIXED = {
    "name": ("event", Kind.TEXT),
    "timestamp": ("time", Kind.TIME),
    "client_timestamp": ("client_time", Kind.TIME),
    "received_at": ("received_at", Kind.TIME),
    "user_id": ("user_id", Kind.TEXT),
    "anonymous_id": ("anonymous_id", Kind.TEXT),
    "insert_id": ("insert_id", Kind.TEXT),
    "session_id": ("session_id", Kind.TEXT),
}
# Properties that have no column in an export.
OTHER_PROPERTIES = "properties"
KIND_OF_TYPE = {"VARCHAR": Kind.TEXT, "DOUBLE": Kind.FLOAT, "BIGINT": Kind.INTEGER, "BOOLEAN": Kind.BOOLEAN}


def of_exported_column(name: str, sql_type: str) -> tuple[str, Kind]:
    """Name and kind of the column in the peers' tables."""
    if name in FIXED:
        return FIXED[name]
    if sql_type not in KIND_OF_TYPE:
        raise ValueError(f'exports have a column "{name}" of the type {sql_type}, which this benchmark does not know')
    return name, KIND_OF_TYPE[sql_type]


def exported_value(name: str) -> str:
    """What the peers store of an exported column, as an expression of SQL. A client's time that is no other is left out, as Throng does."""
    if name not in FIXED or FIXED[name][1] is not Kind.TIME:
        return quoted(name)
    if name == "client_timestamp":
        return "nullif(client_timestamp, timestamp)::TIMESTAMP"
    return f"{quoted(name)}::TIMESTAMP"
