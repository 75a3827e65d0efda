"""A process that has one peer's database open and answers SQL on it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..machine import peak_memory_bytes, pin_to_measured_cores

Row = tuple[Any, ...]


@dataclass(frozen=True)
class Answer:
    """Rows as JSON values, and the seconds the engine took to give them to its own process."""

    rows: list[Row]
    seconds: float


class PeerProcess:
    """A process that has one peer's database open. The first question it gets is a cold one."""

    def __init__(self, engine: str, folder: Path) -> None:
        command = [sys.executable, "-m", "side_by_side.peers.worker", engine, str(folder)]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
            preexec_fn=pin_to_measured_cores,
        )
        self.version: str = self._read()["version"]

    def ask(self, sql: str) -> Answer:
        """Runs one statement. An error names it."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"sql": sql}) + "\n")
        self._process.stdin.flush()
        reply = self._read()
        if "error" in reply:
            raise RuntimeError(f"{reply['error']}\nin: {sql}")
        return Answer([tuple(row) for row in reply["rows"]], reply["seconds"])

    def peak_memory_bytes(self) -> int:
        """Most resident memory so far, Python and the engine's own code included."""
        return peak_memory_bytes(self._process.pid)

    def stop(self) -> None:
        """Closes the database and waits for the end."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=300)

    def __enter__(self) -> PeerProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the peer's process ended with {self._process.wait()}")
        return dict(json.loads(line))
