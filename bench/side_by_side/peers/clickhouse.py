"""ClickHouse's engine through chdb: a MergeTree as its documentation advises, merged to the end.

Nullable only where there are nulls, LowCardinality for text of fewer than 10,000 values, the sorting key from rare to fine.
"""

from __future__ import annotations

from pathlib import Path

from ..columns import Column, Kind, quoted

NAME = "ClickHouse"
ENGINE = "clickhouse"

LOW_CARDINALITY_BELOW = 10_000
TYPES = {
    Kind.TEXT: "String",
    Kind.TIME: "DateTime64(3, 'UTC')",
    Kind.FLOAT: "Float64",
    Kind.INTEGER: "Int64",
    Kind.BOOLEAN: "Bool",
}
# What the documentation gives as the better codecs where size counts; the default is LZ4 for every column.
SMALLEST_CODECS = {Kind.TIME: "CODEC(Delta, ZSTD(1))"}
OTHER_SMALLEST_CODEC = "CODEC(ZSTD(1))"


def create(columns: list[Column], rows_file: Path) -> list[str]:
    """With the default codec, for speed."""
    return _create("events", columns, f"file('{rows_file}', Parquet)", is_smallest=False)


def create_smallest(columns: list[Column]) -> list[str]:
    """The same rows in a table `events_smallest` with ZSTD and Delta, made from `events`: only its size is looked at."""
    return _create("events_smallest", columns, "events", is_smallest=True)


def size_sql(table: str) -> str:
    """A statement that gives the bytes of a table on disk."""
    return f"SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND table = '{table}'"


def column_type(column: Column) -> str:
    """The type of a column."""
    inner = TYPES[column.kind]
    if column.has_nulls:
        inner = f"Nullable({inner})"
    is_low = column.kind is Kind.TEXT and column.distinct < LOW_CARDINALITY_BELOW
    return f"LowCardinality({inner})" if is_low else inner


def _create(table: str, columns: list[Column], source: str, is_smallest: bool) -> list[str]:
    def codec(column: Column) -> str:
        return SMALLEST_CODECS.get(column.kind, OTHER_SMALLEST_CODEC) if is_smallest else ""

    definitions = ", ".join(f"{quoted(column.name)} {column_type(column)} {codec(column)}" for column in columns)
    names = ", ".join(quoted(column.name) for column in columns)
    # A sorting key takes no Nullable.
    user = "ifNull(user_id, '')" if any(column.name == "user_id" and column.has_nulls for column in columns) else "user_id"
    return [
        f"CREATE TABLE {table} ({definitions}) ENGINE = MergeTree ORDER BY (toDate(time), event, cityHash64({user}), time)",
        f"INSERT INTO {table} SELECT {names} FROM {source}",
        f"OPTIMIZE TABLE {table} FINAL",
    ]
