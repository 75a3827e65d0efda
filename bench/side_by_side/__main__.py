"""`python -m side_by_side`: started by `cargo xtask bench peers`, which builds the program and installs the peers."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from . import data, engines, machine, measure, report
from .questions import QUESTIONS
from .random_queries.check import RandomQueries
from .throng import Throng

EVENTS = 20_000_000
EVENTS_ANSWERS_ONLY = 1_000_000
# Random requests are about small things that a large shop has not: they get a data set of their own, with odd events in it.
RANDOM_EVENTS = 200_000
RANDOM_QUERIES = 1_000


def main() -> int:
    """Makes the data, asks, compares, measures and reports; 1 when an answer differs."""
    arguments = _arguments()
    events = arguments.events or (EVENTS_ANSWERS_ONLY if arguments.answers_only else EVENTS)
    with tempfile.TemporaryDirectory(prefix="throng-peers-") as temporary:
        folder = arguments.data or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        # A copy: a build beside the run must not change what a restarted server is.
        program = Path(shutil.copy(arguments.program, folder / "throng"))
        passed, failed = _random_queries(folder, program, arguments.random, arguments.seed)
        asked, differing = _questions(folder, program, events, arguments.answers_only)
    for failure in failed + differing:
        print(f"\nFAILED {failure}", flush=True)
    print(f"{passed + asked} passed, {len(failed + differing)} failed")
    return 1 if failed or differing else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="cargo xtask bench peers", description=__doc__)
    parser.add_argument("--program", type=Path, required=True, help="the built throng")
    parser.add_argument("--events", type=int, help=f"events of the shop [default: {EVENTS:,}, with --answers-only {EVENTS_ANSWERS_ONLY:,}]")
    parser.add_argument("--answers-only", action="store_true", help="compare the answers, measure nothing, write nothing")
    parser.add_argument("--random", type=int, default=RANDOM_QUERIES, help="random requests to compare [default: %(default)s]")
    parser.add_argument("--seed", type=int, default=1, help="of the random requests [default: %(default)s]")
    parser.add_argument("--data", type=Path, help="keep the data in this folder, and use what is there [default: a temporary one]")
    return parser.parse_args()


def _random_queries(folder: Path, program: Path, count: int, seed: int) -> tuple[int, list[str]]:
    if count == 0:
        return 0, []
    folder = folder / "random"
    folder.mkdir(exist_ok=True)
    made, server = data.prepare(folder, program, RANDOM_EVENTS, has_odd_events=True)
    duckdb, clickhouse = peers = engines.start_peers(folder, made.until_ms)
    print(f"peers: asking {count} random requests of seed {seed}", flush=True)
    try:
        outcome = RandomQueries(server, made.app, duckdb.process, clickhouse.process).run(count, seed, made.until_ms)
    finally:
        _stop([*peers], server)
    print(
        f"peers: random requests: {outcome.passed} of {count} answered alike, {outcome.also_clickhouse} of them asked of ClickHouse too, "
        f"{outcome.with_rows} answers with something in them",
        flush=True,
    )
    return outcome.passed, outcome.failed


def _questions(folder: Path, program: Path, events: int, answers_only: bool) -> tuple[int, list[str]]:
    folder = folder / f"shop-{events}"
    folder.mkdir(exist_ok=True)
    made, server = data.prepare(folder, program, events, has_odd_events=False)
    peers = engines.start_peers(folder, made.until_ms)
    all_engines: list[engines.Engine] = [engines.ThrongEngine(server, made.app, made.until_ms), *peers]
    try:
        print("peers: comparing answers", flush=True)
        differing = measure.compare_answers(all_engines, QUESTIONS)
        if not answers_only:
            _measure(made, all_engines, len(differing))
    finally:
        _stop(peers, server)
    return len(QUESTIONS) - len(differing), differing


def _measure(made: data.DataSet, all_engines: list[engines.Engine], differing: int) -> None:
    measured: measure.Measured = {}
    load_before = machine.load()
    # Memory is that of the warm questions alone.
    for engine in all_engines:
        engine.start_afresh()
    print("peers: warm", flush=True)
    measure.time_warm(all_engines, QUESTIONS, measured)
    memory = {engine.name: engine.peak_memory_bytes() for engine in all_engines}
    print("peers: cold", flush=True)
    measure.time_cold(all_engines, QUESTIONS, measured)
    run = report.Run(
        data=made,
        versions={engine.name: engine.version() for engine in all_engines},
        question_memory_bytes=memory,
        sample=_sample(all_engines[1]),
        answers=f"{len(QUESTIONS) - differing} of {len(QUESTIONS)} questions answered alike by all who have them",
        load=(load_before, machine.load()),
    )
    body = report.section(run, measured)
    name = f"Side by side with ClickHouse and DuckDB, {made.events:,} events"
    print(f"\n## {name}\n\n{body}", flush=True)
    report.publish(name, body)


def _sample(peer: engines.Engine) -> dict[str, str]:
    assert isinstance(peer, engines.PeerEngine)
    names = ["user_id", "insert_id", "session_id", "ref_id"]
    row = peer.process.ask(f"SELECT {', '.join(names)} FROM events LIMIT 1").rows[0]
    return dict(zip(names, row, strict=True))


def _stop(peers: list[engines.PeerEngine], server: Throng) -> None:
    for peer in peers:
        peer.stop()
    server.stop()


if __name__ == "__main__":
    sys.exit(main())
