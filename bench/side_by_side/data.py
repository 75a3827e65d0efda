"""The data set: a simulated shop in Throng, and the same rows in each peer.

All of it lies in one folder. When it is done its figures are in `data.json`, and a second run on the same folder asks at once.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from .columns import OTHER_PROPERTIES, Column, Kind, exported_value, of_exported_column, quoted
from .machine import peak_memory_bytes
from .odd_events import odd_events
from .peers import clickhouse, duckdb
from .peers.peer import PeerProcess
from .throng import App, Throng

DAYS = 90
SEED = 1
EVENTS_PER_USER = 40


@dataclass
class Loading:
    """How an engine got its rows: seconds, most memory while it did, bytes on disk when done."""

    seconds: float
    peak_memory_bytes: int
    stored_bytes: int


@dataclass
class DataSet:
    """What was made. Times are Unix milliseconds; `json_bytes` are the bodies as clients sent them, uncompressed."""

    events: int
    until_ms: int
    app: App
    json_bytes: int = 0
    columns: list[Column] = field(default_factory=list)
    throng: Loading | None = None
    throng_segment_bytes: int = 0
    duckdb: Loading | None = None
    clickhouse: Loading | None = None
    clickhouse_smallest_bytes: int = 0

    def save(self, folder: Path) -> None:
        """Writes `data.json`."""
        text = json.dumps(asdict(self), indent=1, default=lambda kind: kind.value)
        (folder / "data.json").write_text(text + "\n")

    @staticmethod
    def load(folder: Path) -> DataSet:
        """Reads `data.json`."""
        raw: dict[str, Any] = json.loads((folder / "data.json").read_text())
        raw["app"] = App(**raw["app"])
        raw["columns"] = [Column(**{**column, "kind": Kind(column["kind"])}) for column in raw["columns"]]
        for engine in ("throng", "duckdb", "clickhouse"):
            raw[engine] = Loading(**raw[engine])
        return DataSet(**raw)


def prepare(folder: Path, program: Path, events: int, has_odd_events: bool) -> tuple[DataSet, Throng]:
    """The data set in `folder`, made where it is not there yet, and a server that runs on it."""
    server = Throng(program, folder)
    if (folder / "data.json").exists():
        data = DataSet.load(folder)
        if data.events != events:
            raise ValueError(f"{folder} holds {data.events} events, not {events}: give another folder")
        server.start()
        return data, server
    server.start()
    try:
        return _make(folder, server, events, has_odd_events), server
    except BaseException:
        server.stop()
        raise


def _make(folder: Path, server: Throng, events: int, has_odd_events: bool) -> DataSet:
    data = _fill(server, events, has_odd_events)
    assert data.throng is not None
    _say(f"sent in {data.throng.seconds:.0f} s; waiting for compaction")
    # Stopping flushes what is in memory, instead of after the flush interval.
    server.restart()
    server.wait_until_settled()
    data.throng.stored_bytes = _folder_bytes(server.data / "store")
    data.throng_segment_bytes = sum(path.stat().st_size for path in server.segments())
    exported = folder / "exported.parquet"
    server.export(data.app, exported)
    server.stop()
    _copy_to_peers(data, folder, exported)
    exported.unlink()
    server.start()
    data.save(folder)
    return data


def _fill(server: Throng, events: int, has_odd_events: bool) -> DataSet:
    """Ends the history at the last midnight, so that the 90 days are whole ones."""
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    app = server.create_app("shop")
    _say(f"sending {events:,} events")
    started = time.monotonic()
    server.simulate(app, events, max(events // EVENTS_PER_USER, 1), DAYS, SEED, midnight.isoformat().replace("+00:00", "Z"))
    if has_odd_events:
        server.send(app, odd_events(SEED, midnight - timedelta(days=DAYS)))
    server.wait_until_read()
    seconds = time.monotonic() - started
    data = DataSet(events, int(midnight.timestamp() * 1_000), app)
    data.json_bytes = int(server.metrics()["throng_gateway_parsed_bytes_total"])
    data.throng = Loading(seconds, peak_memory_bytes(server.pid()), 0)
    return data


def _copy_to_peers(data: DataSet, folder: Path, exported: Path) -> None:
    """Makes one Parquet file of the export, from which each peer makes its own table."""
    rows_file = folder / "rows.parquet"
    _say("reading the export for the peers")
    with PeerProcess(duckdb.ENGINE, folder) as reader:
        data.columns = _rows_for_peers(reader, exported, rows_file)
    (folder / "events.duckdb").unlink()
    _say("loading DuckDB")
    data.duckdb = _load(duckdb.ENGINE, folder, duckdb.create(data.columns, rows_file))
    data.duckdb.stored_bytes = duckdb.stored_bytes(folder)
    _say("loading ClickHouse")
    data.clickhouse = _load(clickhouse.ENGINE, folder, clickhouse.create(data.columns, rows_file))
    with PeerProcess(clickhouse.ENGINE, folder) as peer:
        for statement in clickhouse.create_smallest(data.columns):
            peer.ask(statement)
        data.clickhouse.stored_bytes = int(peer.ask(clickhouse.size_sql("events")).rows[0][0])
        data.clickhouse_smallest_bytes = int(peer.ask(clickhouse.size_sql("events_smallest")).rows[0][0])
        peer.ask("DROP TABLE events_smallest SYNC")
    rows_file.unlink()


def _load(engine: str, folder: Path, statements: list[str]) -> Loading:
    with PeerProcess(engine, folder) as peer:
        seconds = sum(peer.ask(statement).seconds for statement in statements)
        return Loading(seconds, peer.peak_memory_bytes(), 0)


def _rows_for_peers(reader: PeerProcess, exported: Path, rows_file: Path) -> list[Column]:
    """Writes the rows with the columns of the peers' tables, and looks at each column once."""
    source = f"read_parquet('{exported}')"
    types = {str(row[0]): str(row[1]) for row in reader.ask(f"DESCRIBE SELECT * FROM {source}").rows}
    rows = reader.ask(f"SELECT count({quoted(OTHER_PROPERTIES)}) FROM {source}").rows[0][0]
    if rows:
        raise ValueError(f"{rows} events have properties that the export has no column for, and so the peers' tables neither")
    del types[OTHER_PROPERTIES]
    columns = {name: of_exported_column(name, sql_type) for name, sql_type in types.items()}
    kinds = dict(columns.values())
    if len(kinds) < len(columns):
        raise ValueError("a property has the name of a column that the peers' tables have anyway")
    select = [f"{exported_value(exported_as)} AS {quoted(name)}" for exported_as, (name, _) in columns.items()]
    reader.ask(f"COPY (SELECT {', '.join(select)} FROM {source}) TO '{rows_file}' (FORMAT parquet)")
    return [_look_at(reader, rows_file, name, kind) for name, kind in kinds.items()]


def _look_at(reader: PeerProcess, rows_file: Path, name: str, kind: Kind) -> Column:
    distinct = f"approx_count_distinct({quoted(name)})" if kind is Kind.TEXT else "0"
    sql = f"SELECT count(*) > count({quoted(name)}), {distinct} FROM '{rows_file}'"
    has_nulls, distinct_values = reader.ask(sql).rows[0]
    return Column(name, kind, bool(has_nulls), int(distinct_values))


def _folder_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _say(text: str) -> None:
    print(f"peers: {text}", flush=True)
