"""Asks random requests of Throng and of the peers, and keeps those whose answers differ."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from ..peers.peer import PeerProcess
from ..throng import App, Throng
from .dialect import ClickHouse, DuckDb
from .funnels import attempts_sql, level_counts_sql
from .generator import Generator
from .judge import funnel_differences, level_differences, table_differences, was_cut
from .tables import Table, folded_sql, is_of_sessions, plain_sql


@dataclass
class Outcome:
    """How many requests every engine answered alike, how many of them ClickHouse could be asked too, and those that differ, in full."""

    passed: int = 0
    also_clickhouse: int = 0
    with_rows: int = 0
    failed: list[str] = field(default_factory=list)


class RandomQueries:
    """The engines on one data set."""

    def __init__(self, server: Throng, app: App, duckdb: PeerProcess, clickhouse: PeerProcess) -> None:
        self._server = server
        self._app = app
        self._duckdb = duckdb
        self._clickhouse = clickhouse

    def run(self, count: int, seed: int, until_ms: int) -> Outcome:
        """Asks `count` requests of this seed about the 90 days up to `until_ms`."""
        outcome = Outcome()
        generator = Generator(seed, until_ms)
        for number in range(count):
            call, request = generator.next()
            try:
                found = self._differences(call, request, outcome)
            except RuntimeError as error:
                found = [str(error)]
            if found:
                asked = f"request {number} of seed {seed}, /{call}: {json.dumps(request, ensure_ascii=False)}"
                outcome.failed.append("\n  ".join([asked, *found]))
            else:
                outcome.passed += 1
        return outcome

    def _differences(self, call: str, request: dict[str, Any], outcome: Outcome) -> list[str]:
        answer, _ = self._server.ask(self._app, call, {**request, "cache": False})
        if not answer["complete"]:
            return [f"incomplete: {answer['missing']}"]
        outcome.with_rows += _says_something(call, answer)
        return self._of_funnel(request, answer, outcome) if call == "funnel" else self._of_table(request, answer, outcome)

    def _of_table(self, request: dict[str, Any], answer: dict[str, Any], outcome: Outcome) -> list[str]:
        table = Table.of(request)
        sql = folded_sql(table, DuckDb())
        found = [f"DuckDB: {line}" for line in table_differences(table, answer, self._duckdb.ask(sql).rows)]
        # ClickHouse's `first` skips nulls, and folding in it would be a second way to the same SQL.
        if was_cut(answer) or (is_of_sessions(table) and table.groups):
            return found
        outcome.also_clickhouse += 1
        rows = self._clickhouse.ask(plain_sql(table, ClickHouse())).rows
        return found + [f"ClickHouse: {line}" for line in table_differences(table, answer, rows)]

    def _of_funnel(self, request: dict[str, Any], answer: dict[str, Any], outcome: Outcome) -> list[str]:
        attempts = self._duckdb.ask(attempts_sql(request, DuckDb())).rows
        found = [f"DuckDB: {line}" for line in funnel_differences(request, answer, attempts)]
        if request.get("entry") == "first":
            return found
        outcome.also_clickhouse += 1
        levels = self._clickhouse.ask(level_counts_sql(request, ClickHouse())).rows
        return found + [f"ClickHouse: {line}" for line in level_differences(request, answer, levels)]


def _says_something(call: str, answer: dict[str, Any]) -> bool:
    """Whether the answer is more than zeros: a request nothing matches proves little."""
    if call == "funnel":
        return bool(answer["funnel"][0]["users"])
    return any(row[name] for row in answer["results"] for name in answer["metrics"])
