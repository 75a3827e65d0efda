"""The tables, and their place in `docs/benchmarks.md`."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import machine
from .data import DataSet, Loading
from .measure import COLD_ROUNDS, WARM_ROUNDS, Measured, Times

THRONG = "Throng"
PEERS = ["DuckDB", "ClickHouse"]
NO_CALL = "no call yet"
PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"


@dataclass(frozen=True)
class Run:
    """What a run found, beside the times."""

    data: DataSet
    versions: dict[str, str]
    question_memory_bytes: dict[str, int]
    sample: dict[str, str]
    """One event's ids, so that a reader can judge how well they compress."""
    answers: str
    load: tuple[float, float]
    """Load average when the measuring began and when it ended."""


def section(run: Run, measured: Measured) -> str:
    """The words and the three tables."""
    parts = [_words(run), _size_table(run), _warm_words(measured), _warm_table(measured), _cold_words(measured), _cold_table(measured)]
    return "\n\n".join(parts) + "\n"


def publish(name: str, body: str) -> None:
    """Replaces the section between its markers, which are added at the end when absent: as the other benchmarks do."""
    begin, end = f"<!-- bench {name} -->", f"<!-- end {name} -->"
    text = PAGE.read_text()
    marked = f"{begin}\n{body}{end}"
    if begin in text and end in text:
        text = text[: text.index(begin)] + marked + text[text.index(end) + len(end) :]
    else:
        text += f"\n## {name}\n\n{marked}\n"
    PAGE.write_text(text)


def _words(run: Run) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in run.versions.items())
    ids = ", ".join(f"`{name}` `{value}`" for name, value in run.sample.items())
    return (
        f"{run.data.events:,} events of a simulated shop over 90 days, {run.data.json_bytes / run.data.events:.0f} bytes of JSON each, "
        f"with ids such as {ids}; "
        f"the same rows and columns in every engine. {versions}; {machine.THREADS} threads each on {machine.processor()}. Other work "
        f"ran beside it: "
        f"load average {run.load[0]:.1f} when the measuring began, {run.load[1]:.1f} when it ended. Answers: {run.answers}.\n\n"
        "DuckDB is a table in its own format, ClickHouse (through chdb) a MergeTree with LowCardinality, both sorted by day, event, "
        "hashed user and time. "
        "Throng gets its events through HTTP (parsed, checked, deduplicated, logged, counted into windows and rollups), the peers read "
        "them from a Parquet "
        "file, so load times are not of the same work. Peak memory is VmHWM of the process; a peer's holds Python too."
    )


def _size_table(run: Run) -> str:
    data = run.data
    rows = [
        "| engine | stored | bytes an event | JSON over stored | load | peak memory, load | peak memory, questions |",
        "|---|---|---|---|---|---|---|",
    ]
    loadings: list[tuple[str, str, Loading | None]] = [
        (THRONG, "Throng, the whole store: segments, manifest, rollups", data.throng),
        ("DuckDB", "DuckDB", data.duckdb),
        ("ClickHouse", "ClickHouse, default codecs (LZ4)", data.clickhouse),
    ]
    for name, label, loading in loadings:
        assert loading is not None
        size = _size_cells(data, loading.stored_bytes)
        rows.append(
            f"| {label} | {size} | {loading.seconds:.0f} s | {_mb(loading.peak_memory_bytes)} | {_mb(run.question_memory_bytes[name])} |"
        )
    rows.append(f"| Throng, segments alone (size only) | {_size_cells(data, data.throng_segment_bytes)} | - | - | - |")
    rows.append(f"| ClickHouse, ZSTD(1), Delta on times (size only) | {_size_cells(data, data.clickhouse_smallest_bytes)} | - | - | - |")
    return "\n".join(rows)


def _size_cells(data: DataSet, stored_bytes: int) -> str:
    return f"{_mb(stored_bytes)} | {stored_bytes / data.events:.1f} | {data.json_bytes / stored_bytes:.1f} x"


def _warm_words(measured: Measured) -> str:
    best, median = _ratios(measured, lambda times: times.best), _ratios(measured, lambda times: times.median)
    return (
        f"**Warm**, milliseconds, best and median of {WARM_ROUNDS} rounds in which the engines took turns. Ratio: the faster peer's "
        f"time over Throng's, above 1 where Throng is faster. "
        f"Geometric mean of the ratios: **{_mean(best)}** by best, **{_mean(median)}** by median; {_won(best)} of {len(best)} questions "
        f"at least as fast as the faster peer. "
        'Throng\'s cache of answers is passed by (`"cache": false`); what else each engine keeps in memory, it may use. Its times hold '
        "the HTTP request and answer."
    )


def _warm_table(measured: Measured) -> str:
    engines = [THRONG, *PEERS]
    heads = " | ".join(f"{name} best | median" for name in engines)
    rows = [f"| question | {heads} | ratio, best | ratio, median |", "|---|" + "---|" * (2 * len(engines) + 2)]
    for title, times in measured.items():
        cells = [f"{_ms(times[name].best)} | {_ms(times[name].median)}" if name in times else f"{NO_CALL} | -" for name in engines]
        ratios = [_ratio(times, lambda of: of.best), _ratio(times, lambda of: of.median)]
        rows.append(f"| {title} | {' | '.join(cells)} | {' | '.join(map(_ratio_text, ratios))} |")
    return "\n".join(rows)


def _cold_words(measured: Measured) -> str:
    ratios = _ratios(measured, lambda times: times.cold_median)
    return (
        f"**Cold**, milliseconds: the first question of a fresh process (for Throng a restarted server), the page cache warm; median of "
        f"{COLD_ROUNDS}. "
        f"Geometric mean of the ratios: **{_mean(ratios)}**; {_won(ratios)} of {len(ratios)} questions at least as fast as the faster peer."
    )


def _cold_table(measured: Measured) -> str:
    engines = [THRONG, *PEERS]
    rows = [f"| question | {' | '.join(engines)} | ratio |", "|---|" + "---|" * (len(engines) + 1)]
    for title, times in measured.items():
        cells = [_ms(times[name].cold_median) if name in times else NO_CALL for name in engines]
        rows.append(f"| {title} | {' | '.join(cells)} | {_ratio_text(_ratio(times, lambda of: of.cold_median))} |")
    return "\n".join(rows)


def _ratio(times: dict[str, Times], of: Callable[[Times], float]) -> float | None:
    """The faster peer's time over Throng's; None where Throng has no call."""
    if THRONG not in times:
        return None
    return min(of(times[name]) for name in PEERS) / of(times[THRONG])


def _ratios(measured: Measured, of: Callable[[Times], float]) -> list[float]:
    ratios = (_ratio(times, of) for times in measured.values())
    return [ratio for ratio in ratios if ratio is not None]


def _won(ratios: list[float]) -> int:
    return sum(ratio >= 1.0 for ratio in ratios)


def _mean(ratios: list[float]) -> str:
    return f"{statistics.geometric_mean(ratios):.2f}"


def _ratio_text(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.2f}"


def _ms(seconds: float) -> str:
    return f"{seconds * 1_000:.1f}"


def _mb(count: int) -> str:
    return f"{count / 1e6:,.0f} MB"
