"""The peer's process: opens a database, then reads a statement a line and answers with its rows and its time.

`python -m side_by_side.peers.worker duckdb|clickhouse FOLDER`. Only this process loads the engine, so its memory is the engine's.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..machine import THREADS

Execute = Callable[[str], list[Any]]


def open_duckdb(folder: Path) -> Execute:
    """DuckDB on a file of its own format."""
    import duckdb

    connection = duckdb.connect(folder / "events.duckdb", config={"threads": THREADS})
    connection.execute("SET TimeZone = 'UTC'")

    def execute(sql: str) -> list[Any]:
        return connection.execute(sql).fetchall()

    return execute


def open_clickhouse(folder: Path) -> Execute:
    """ClickHouse's engine on a folder of its own."""
    from chdb import session

    database = session.Session(str(folder / "clickhouse"))
    # A session has one connection, and with it settings last.
    database.query(f"SET max_threads = {THREADS}")

    def execute(sql: str) -> list[Any]:
        text = database.query(sql, "JSONCompactEachRow").bytes()
        return [json.loads(line) for line in text.splitlines()] if text else []

    return execute


ENGINES: dict[str, tuple[Callable[[Path], Execute], str]] = {
    "duckdb": (open_duckdb, "SELECT library_version FROM pragma_version()"),
    "clickhouse": (open_clickhouse, "SELECT version()"),
}


def main() -> None:
    """Answers until its standard input ends."""
    engine, folder = sys.argv[1], Path(sys.argv[2])
    # The engine may print; only answers go to the reader.
    answers = sys.stdout
    sys.stdout = sys.stderr
    open_engine, version_sql = ENGINES[engine]
    execute = open_engine(folder)
    print(json.dumps({"version": execute(version_sql)[0][0]}), file=answers, flush=True)
    for line in sys.stdin:
        try:
            started = time.perf_counter()
            rows = execute(json.loads(line)["sql"])
            reply = {"seconds": time.perf_counter() - started, "rows": rows}
        except Exception as error:  # Engines raise types of their own; the text is what the asker needs.
            reply = {"error": str(error)}
        print(json.dumps(reply, default=str), file=answers, flush=True)


if __name__ == "__main__":
    main()
