"""What the two SQL dialects spell differently."""

from __future__ import annotations

from typing import Protocol

from ..questions.question import plain


class Dialect(Protocol):
    """Spells literals and functions. Expressions come and go as SQL text."""

    def text(self, value: str) -> str:
        """A string literal."""

    def moment(self, ms: int) -> str:
        """A literal of the type of `time`."""

    def time_ms(self, expression: str) -> str:
        """Unix milliseconds of a time."""

    def contains(self, expression: str, part: str) -> str:
        """Whether text holds this text."""

    def starts_with(self, expression: str, part: str) -> str:
        """Whether text begins with this text."""

    def ends_with(self, expression: str, part: str) -> str:
        """Whether text ends with this text."""

    def matches(self, expression: str, pattern: str) -> str:
        """Whether the expression is found anywhere."""

    def quantile(self, expression: str, share: float) -> str:
        """The exact quantile, linear between neighbours."""

    def number(self, expression: str) -> str:
        """As a floating number; null stays null."""

    def bucketed(self, source: str, starts_ms: list[int]) -> tuple[str, str]:
        """A table with the last of `starts_ms` not after each row's time: what to select from, and the name of that start."""


class DuckDb:
    """As DuckDB spells it."""

    def text(self, value: str) -> str:
        return "'" + value.replace("'", "''") + "'"

    def moment(self, ms: int) -> str:
        return f"TIMESTAMP '{plain(ms)}'"

    def time_ms(self, expression: str) -> str:
        return f"epoch_ms({expression})"

    def contains(self, expression: str, part: str) -> str:
        return f"contains({expression}, {self.text(part)})"

    def starts_with(self, expression: str, part: str) -> str:
        return f"starts_with({expression}, {self.text(part)})"

    def ends_with(self, expression: str, part: str) -> str:
        return f"ends_with({expression}, {self.text(part)})"

    def matches(self, expression: str, pattern: str) -> str:
        return f"regexp_matches({expression}, {self.text(pattern)})"

    def quantile(self, expression: str, share: float) -> str:
        return f"quantile_cont({expression}, {share})"

    def number(self, expression: str) -> str:
        return f"CAST({expression} AS DOUBLE)"

    def bucketed(self, source: str, starts_ms: list[int]) -> tuple[str, str]:
        edges = f"(SELECT unnest({starts_ms}) AS start_ms) AS edges"
        return f"{source} ASOF JOIN {edges} ON {self.time_ms(f'{source}.time')} >= edges.start_ms", "edges.start_ms"


class ClickHouse:
    """As ClickHouse spells it."""

    def text(self, value: str) -> str:
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"

    def moment(self, ms: int) -> str:
        return f"toDateTime64('{plain(ms)}', 3, 'UTC')"

    def time_ms(self, expression: str) -> str:
        return f"toUnixTimestamp64Milli({expression})"

    def contains(self, expression: str, part: str) -> str:
        return f"position({expression}, {self.text(part)}) > 0"

    def starts_with(self, expression: str, part: str) -> str:
        return f"startsWith({expression}, {self.text(part)})"

    def ends_with(self, expression: str, part: str) -> str:
        return f"endsWith({expression}, {self.text(part)})"

    def matches(self, expression: str, pattern: str) -> str:
        return f"match({expression}, {self.text(pattern)})"

    def quantile(self, expression: str, share: float) -> str:
        return f"quantileExactInclusive({share})({expression})"

    def number(self, expression: str) -> str:
        return f"toFloat64({expression})"

    def bucketed(self, source: str, starts_ms: list[int]) -> tuple[str, str]:
        return source, f"arrayLast(start -> start <= {self.time_ms(f'{source}.time')}, {starts_ms})"
