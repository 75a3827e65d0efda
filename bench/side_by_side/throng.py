"""A Throng server as a child process, asked over its public HTTP API."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from .machine import cpu_seconds, pin_to_measured_cores

READY_TIMEOUT_S = 60.0
ANSWER_TIMEOUT_S = 120.0
SETTLE_TIMEOUT_S = 3_600.0
# Compaction looks for work every 5 s: segments that stay the same for so long while the process idles need none.
SETTLED_AFTER_S = 12.0
IDLE_CPU_SHARE = 0.1

_Answer = TypeVar("_Answer")


@dataclass(frozen=True)
class App:
    """An app and its keys, as `throng app create` prints them."""

    app_id: str
    write_key: str
    read_key: str


class Throng:
    """One server on one data folder. Restarting it keeps folder and port."""

    def __init__(self, program: Path, folder: Path) -> None:
        self.program = program
        self.folder = folder
        self.data = folder / "data"
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: http.client.HTTPConnection | None = None

    def start(self) -> None:
        """Starts the process and returns when it is ready."""
        with open(self.folder / "throng.log", "ab") as log:
            self._process = subprocess.Popen(
                [self.program, "serve", "--data", self.data, "--listen", f"127.0.0.1:{self.port}"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=pin_to_measured_cores,
            )
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"throng did not start:\n{(self.folder / 'throng.log').read_text()[-2000:]}")
            time.sleep(0.01)

    def stop(self) -> None:
        """SIGTERM, then waits for the end; what is in memory only is flushed."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(timeout=120)
            self._process = None

    def restart(self) -> None:
        """A fresh process on the same folder."""
        self.stop()
        self.start()

    def pid(self) -> int:
        """The process, while it runs."""
        if self._process is None:
            raise RuntimeError("throng is not running")
        return self._process.pid

    def create_app(self, name: str) -> App:
        """Makes an app through the command line, as a person does."""
        command: list[str | Path] = [self.program, "app", "create", name, "--data", self.data]
        made = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        return App(made["app_id"], made["write_key"], made["read_key"])

    def simulate(self, app: App, events: int, users: int, days: int, seed: int, until: str) -> float:
        """Sends a shop's history through the API; seconds it took until all of it was accepted."""
        started = time.monotonic()
        options = {"events": events, "users": users, "days": days, "seed": seed, "rate": 0, "until": until}
        command = [str(self.program), "simulate", "--url", f"http://127.0.0.1:{self.port}", "--write-key", app.write_key]
        for name, value in options.items():
            command += [f"--{name}", str(value)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return time.monotonic() - started

    def send(self, app: App, events: list[dict[str, Any]]) -> None:
        """Sends events as they are; fails unless every one is accepted."""
        for first in range(0, len(events), 1_000):
            chunk = events[first : first + 1_000]
            status, answer = self._post("/api/v1/events/batch", app.write_key, {"events": chunk})
            if status != 200 or answer["accepted"] != len(chunk):
                raise RuntimeError(f"{status}: {answer}")

    def export(self, app: App, file: Path) -> None:
        """Writes all of the app's events to a Parquet file."""
        command: list[str | Path] = [self.program, "export", "--url", f"http://127.0.0.1:{self.port}", "--app", app.app_id]
        command += ["--read-key", app.read_key, "--output", file]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def ask(self, app: App, call: str, request: dict[str, Any]) -> tuple[dict[str, Any], float]:
        """The answer of an analytics call and the seconds until all of it was read and parsed from JSON text."""
        started = time.perf_counter()
        status, answer = self._post(f"/api/v1/analytics/{app.app_id}/{call}", app.read_key, request)
        seconds = time.perf_counter() - started
        if status != 200:
            raise RuntimeError(f"{call} {json.dumps(request)}: {status} {answer}")
        return answer, seconds

    def metrics(self) -> dict[str, float]:
        """Every sample of `/metrics` by its name and labels."""
        text = self._again(self._metrics_once)
        lines = (line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))
        return {name: float(value) for name, value in lines}

    def _metrics_once(self) -> str:
        connection = self._connect()
        connection.request("GET", "/metrics")
        return connection.getresponse().read().decode()

    def segments(self) -> list[Path]:
        """The segments the manifest names; files it does not name do not exist."""
        manifest = sqlite3.connect(f"file:{self.data / 'store' / 'manifest.db'}?mode=ro", uri=True)
        try:
            return [self.data / "store" / path for (path,) in manifest.execute("SELECT path FROM segments ORDER BY id")]
        finally:
            manifest.close()

    def wait_until_read(self) -> None:
        """Waits until the stream has read everything the log holds."""
        self._wait(lambda: self.metrics()["throng_stream_lag_records"] == 0, 0.5, "the stream still lags")

    def wait_until_settled(self) -> None:
        """Waits until compaction has nothing left to do."""

        def is_settled() -> bool:
            segments, cpu_s = self.segments(), cpu_seconds(self.pid())
            time.sleep(SETTLED_AFTER_S)
            used_s = cpu_seconds(self.pid()) - cpu_s
            return segments == self.segments() and used_s < IDLE_CPU_SHARE * SETTLED_AFTER_S

        self._wait(is_settled, 0.0, "segments still change")

    def _wait(self, is_done: Callable[[], bool], pause_s: float, complaint: str) -> None:
        deadline = time.monotonic() + SETTLE_TIMEOUT_S
        while not is_done():
            if time.monotonic() > deadline:
                raise RuntimeError(f"{complaint} after {SETTLE_TIMEOUT_S:.0f} s")
            time.sleep(pause_s)

    def _is_ready(self) -> bool:
        try:
            connection = self._connect()
            connection.request("GET", "/ready")
            response = connection.getresponse()
            response.read()
            return response.status == 200
        except (OSError, http.client.HTTPException):
            self._connection = None
            return False

    def _connect(self) -> http.client.HTTPConnection:
        if self._connection is None:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_TIMEOUT_S)
            connection.connect()
            # Head and body go out in two writes: without this the second waits for the acknowledgement of the first.
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._connection = connection
        return self._connection

    def _post(self, path: str, key: str, body: dict[str, Any]) -> tuple[int, Any]:
        return self._again(lambda: self._post_once(path, key, body))

    def _again(self, ask: Callable[[], _Answer]) -> _Answer:
        """Asks once more on a new connection: the server ends those that were idle for half a minute."""
        try:
            return ask()
        except (BrokenPipeError, ConnectionResetError, http.client.RemoteDisconnected):
            self._connection = None
            return ask()

    def _post_once(self, path: str, key: str, body: dict[str, Any]) -> tuple[int, Any]:
        headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
        connection = self._connect()
        connection.request("POST", path, json.dumps(body), headers)
        response = connection.getresponse()
        text = response.read()
        return response.status, json.loads(text)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
