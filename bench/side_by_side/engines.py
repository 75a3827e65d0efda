"""The three engines behind one face: ask a question, start afresh, tell memory and version."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Protocol

from .answers import Row
from .machine import peak_memory_bytes
from .peers import clickhouse, duckdb
from .peers.peer import PeerProcess
from .questions.question import Question, clickhouse_sql, duckdb_sql, throng_request
from .throng import App, Throng


class Engine(Protocol):
    """One engine with the data loaded, running."""

    name: str

    def version(self) -> str:
        """As it says itself."""

    def can_answer(self, question: Question) -> bool:
        """Whether it has a call for the question."""

    def ask(self, question: Question) -> tuple[list[Row], float]:
        """The answer's rows, and the seconds it took."""

    def start_afresh(self) -> None:
        """A new process, in which nothing was asked yet; the operating system's page cache stays."""

    def peak_memory_bytes(self) -> int:
        """Most resident memory of the process that runs now."""

    def stop(self) -> None:
        """Ends the process."""


class ThrongEngine:
    """Throng over HTTP: the seconds include request and answer on a connection kept open."""

    name = "Throng"

    def __init__(self, server: Throng, app: App, until_ms: int) -> None:
        self.server = server
        self.app = app
        self._until_ms = until_ms

    def version(self) -> str:
        output = subprocess.run([self.server.program, "--version"], check=True, capture_output=True, text=True)
        return output.stdout.split()[-1]

    def can_answer(self, question: Question) -> bool:
        return question.call is not None

    def ask(self, question: Question) -> tuple[list[Row], float]:
        assert question.call is not None
        answer, seconds = self.server.ask(self.app, question.call, throng_request(question, self._until_ms))
        if not answer["complete"] or answer["cached"]:
            raise RuntimeError(f"{question.title}: the answer is incomplete or from the cache")
        return question.read(answer), seconds

    def start_afresh(self) -> None:
        self.server.restart()

    def peak_memory_bytes(self) -> int:
        return peak_memory_bytes(self.server.pid())

    def stop(self) -> None:
        self.server.stop()


class PeerEngine:
    """A peer in its own process: the seconds are those of the statement alone, with its rows fetched."""

    def __init__(self, engine: str, name: str, folder: Path, until_ms: int) -> None:
        self.name = name
        self._engine = engine
        self._folder = folder
        self._until_ms = until_ms
        self.process = PeerProcess(engine, folder)

    def version(self) -> str:
        return self.process.version

    def can_answer(self, question: Question) -> bool:
        return True

    def ask(self, question: Question) -> tuple[list[Row], float]:
        to_sql = duckdb_sql if self._engine == duckdb.ENGINE else clickhouse_sql
        answer = self.process.ask(to_sql(question, self._until_ms))
        return answer.rows, answer.seconds

    def start_afresh(self) -> None:
        self.process.stop()
        self.process = PeerProcess(self._engine, self._folder)

    def peak_memory_bytes(self) -> int:
        return self.process.peak_memory_bytes()

    def stop(self) -> None:
        self.process.stop()


def start_peers(folder: Path, until_ms: int) -> list[PeerEngine]:
    """DuckDB and ClickHouse on the tables in `folder`."""
    return [PeerEngine(peer.ENGINE, peer.NAME, folder, until_ms) for peer in (duckdb, clickhouse)]
