"""Row by row: are two answers the same?"""

from __future__ import annotations

import math
from typing import Any

Row = tuple[Any, ...]
# Sums of the same floats in another order differ in their last digits.
FLOAT_TOLERANCE = 1e-9
SHOWN_DIFFERENCES = 5


def differences(expected: list[Row], got: list[Row], keys: int, tolerance: float = FLOAT_TOLERANCE) -> list[str]:
    """What differs, a line each, at most `SHOWN_DIFFERENCES` and a count; nothing when the answers are the same.

    The first `keys` values of a row tell which row it is and are compared exactly, as are whole numbers, unless `tolerance` is wider than
    for floats. The order of rows is not looked at.
    """
    left, right = _by_key(expected, keys), _by_key(got, keys)
    if len(left) != len(expected) or len(right) != len(got):
        return [f"a key comes twice: {len(expected)} rows with {len(left)} keys, {len(got)} rows with {len(right)} keys"]
    found = []
    for key in sorted(left.keys() | right.keys(), key=repr):
        if key not in right:
            found.append(f"{key}: expected {left[key]}, no such row")
        elif key not in left:
            found.append(f"{key}: no such row expected, got {right[key]}")
        elif not _same_row(left[key], right[key], tolerance):
            found.append(f"{key}: expected {left[key]}, got {right[key]}")
    if len(found) > SHOWN_DIFFERENCES:
        return found[:SHOWN_DIFFERENCES] + [f"... {len(found)} rows differ of {len(expected)}"]
    return found


def _by_key(rows: list[Row], keys: int) -> dict[Row, Row]:
    return {tuple(_canonical(value) for value in row[:keys]): tuple(row[keys:]) for row in rows}


def _canonical(value: Any) -> Any:
    """True is no 1: booleans get a name of their own. 10 and 10.0 are one value."""
    return f"boolean {value}" if isinstance(value, bool) else value


def _same_row(expected: Row, got: Row, tolerance: float) -> bool:
    return len(expected) == len(got) and all(_same(a, b, tolerance) for a, b in zip(expected, got, strict=True))


def _same(expected: Any, got: Any, tolerance: float) -> bool:
    if not isinstance(expected, (int, float)) or not isinstance(got, (int, float)):
        return bool(expected == got)
    if isinstance(expected, int) and isinstance(got, int) and tolerance == FLOAT_TOLERANCE:
        return expected == got
    return math.isclose(expected, got, rel_tol=tolerance, abs_tol=FLOAT_TOLERANCE)
