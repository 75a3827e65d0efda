"""Ranges and buckets on the wall clock of a zone, by Python's own time zone data."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

# Every offset of the zones that requests name is a multiple of it.
OFFSET_STEP_MS = 1_800_000
MINUTE_MS = 60_000
# How far before the range the bucket it begins in may start, days.
REACH_DAYS = 32


def moment_ms(text: str, zone: str) -> int:
    """Unix milliseconds of a date, a time on the zone's wall clock, or a time with an offset."""
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        time = time.replace(tzinfo=ZoneInfo(zone))
    return round(time.timestamp() * 1_000)


def starts_ms(from_ms: int, to_ms: int, interval: str, zone: str) -> list[int]:
    """Where each bucket that has a part in `[from_ms, to_ms)` begins; the first may begin before `from_ms`."""
    if interval == "minute":
        edges = list(range(from_ms // MINUTE_MS * MINUTE_MS, to_ms, MINUTE_MS))
    elif interval == "hour":
        edges = _hours(from_ms, to_ms, ZoneInfo(zone))
    else:
        edges = _calendar(from_ms, to_ms, interval, ZoneInfo(zone))
    first = max(edge for edge in edges if edge <= from_ms)
    return [edge for edge in edges if first <= edge < to_ms]


def _hours(from_ms: int, to_ms: int, zone: ZoneInfo) -> list[int]:
    """A bucket begins at each full hour of the wall clock, and where the offset changes."""
    edges = []
    for at_ms in range(from_ms // OFFSET_STEP_MS * OFFSET_STEP_MS - 4 * OFFSET_STEP_MS, to_ms, OFFSET_STEP_MS):
        here = datetime.fromtimestamp(at_ms / 1_000, UTC).astimezone(zone)
        before = datetime.fromtimestamp((at_ms - 1) / 1_000, UTC).astimezone(zone)
        if here.minute == 0 or here.utcoffset() != before.utcoffset():
            edges.append(at_ms)
    return edges


def _calendar(from_ms: int, to_ms: int, interval: str, zone: ZoneInfo) -> list[int]:
    day = datetime.fromtimestamp(from_ms / 1_000, UTC).astimezone(zone).date() - timedelta(days=REACH_DAYS)
    edges = []
    while (start := _midnight_ms(day, zone)) < to_ms:
        if interval == "day" or (interval == "week" and day.weekday() == 0) or (interval == "month" and day.day == 1):
            edges.append(start)
        day += timedelta(days=1)
    return edges


def _midnight_ms(day: date, zone: ZoneInfo) -> int:
    return round(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp() * 1_000)
