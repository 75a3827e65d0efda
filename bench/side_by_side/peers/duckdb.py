"""DuckDB: a table in its own file format, written in order, so that its zone maps skip what a question does not need."""

from __future__ import annotations

from pathlib import Path

from ..columns import Column, quoted

NAME = "DuckDB"
ENGINE = "duckdb"


def create(columns: list[Column], rows_file: Path) -> list[str]:
    """Text columns stay VARCHAR: DuckDB chooses dictionary, FSST or the like per row group itself."""
    names = ", ".join(quoted(column.name) for column in columns)
    order = "time::DATE, event, hash(user_id), time"
    return [
        f"CREATE TABLE events AS SELECT {names} FROM read_parquet('{rows_file}') ORDER BY {order}",
        "CHECKPOINT",
    ]


def stored_bytes(folder: Path) -> int:
    """The database file and its log; asked for when no process has it open."""
    return sum(file.stat().st_size for file in folder.glob("events.duckdb*"))
