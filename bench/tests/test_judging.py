"""The judge must see a wrong answer: each test breaks a right one."""

from __future__ import annotations

import unittest
from datetime import UTC, datetime

from side_by_side.compare import differences
from side_by_side.random_queries.buckets import moment_ms, starts_ms
from side_by_side.random_queries.judge import expected_steps, table_differences
from side_by_side.random_queries.tables import Table

HOUR_MS = 3_600_000


class Comparing(unittest.TestCase):
    """`compare.differences`."""

    rows = [("US", 7, 1.5), (None, 2, None)]

    def test_the_order_of_rows_and_the_last_digits_do_not_matter(self) -> None:
        self.assertEqual(differences(self.rows, [(None, 2, None), ("US", 7, 1.5 + 1e-12)], 1), [])

    def test_every_kind_of_difference_is_seen(self) -> None:
        wrong = [
            [("US", 8, 1.5), (None, 2, None)],
            [("US", 7, 1.5001), (None, 2, None)],
            [("US", 7, 1.5), (None, 2, 0.0)],
            [("US", 7, 1.5), ("", 2, None)],
            [("US", 7, 1.5)],
            [("US", 7, 1.5), (None, 2, None), ("DE", 0, None)],
            [("US", 7, 1.5), ("US", 7, 1.5), (None, 2, None)],
        ]
        for rows in wrong:
            self.assertNotEqual(differences(self.rows, rows, 1), [], rows)

    def test_many_differences_are_counted(self) -> None:
        found = differences([(number, 1) for number in range(100)], [(number, 2) for number in range(100)], 1)
        self.assertEqual(len(found), 6)
        self.assertIn("100 rows", found[-1])


class Judging(unittest.TestCase):
    """`judge`: zeros filled in, the rest named, the order checked."""

    request = {
        "timezone": "UTC",
        "from": "2026-03-01",
        "to": "2026-03-03",
        "interval": "day",
        "metrics": ["events"],
        "group_by": "country",
        "limit": 1,
    }

    def test_a_right_answer_passes_and_broken_ones_do_not(self) -> None:
        table = Table.of(self.request)
        first, second = table.buckets or []
        peer = [(first, "US", False, 3), (first, None, True, 1), (second, None, True, 2)]
        right = [("2026-03-01", "US", 3), ("2026-03-01", "$other", 1), ("2026-03-02", "US", 0), ("2026-03-02", "$other", 2)]
        self.assertEqual(table_differences(table, self._answer(right), peer), [])
        self.assertNotEqual(table_differences(table, self._answer(right[:2] + right[3:]), peer), [])
        self.assertNotEqual(table_differences(table, self._answer([right[1], right[0], *right[2:]]), peer), [])
        self.assertNotEqual(table_differences(table, self._answer([*right[:3], ("2026-03-02", "$other", 3)]), peer), [])

    def _answer(self, rows: list[tuple[str, str, int]]) -> dict[str, object]:
        results = [{"time": f"{day}T00:00:00Z", "country": country, "events": events} for day, country, events in rows]
        return {"results": results, "group_by": ["country"], "metrics": ["events"]}

    def test_steps(self) -> None:
        attempts = [(2, 0, 10, None), (1, 5, None, None), (3, 0, 20, 50)]
        self.assertEqual(expected_steps(attempts, 3), [(1, 3, None, None), (2, 2, 15.0, 15.0), (3, 1, 30, 30.0)])


class Buckets(unittest.TestCase):
    """`buckets`: the wall clock, also where it jumps."""

    def test_a_day_has_as_many_hours_as_the_clock_says(self) -> None:
        for day, hours in (("2026-03-28", 24), ("2026-03-29", 23), ("2026-10-25", 25)):
            from_ms = moment_ms(day, "Europe/Berlin")
            to_ms = from_ms + hours * HOUR_MS
            self.assertEqual(len(starts_ms(from_ms, to_ms, "day", "Europe/Berlin")), 1)
            self.assertEqual(len(starts_ms(from_ms, to_ms, "hour", "Europe/Berlin")), hours)

    def test_half_hours(self) -> None:
        from_ms = moment_ms("2026-04-05", "Australia/Lord_Howe")
        starts = starts_ms(from_ms, from_ms + 4 * HOUR_MS, "hour", "Australia/Lord_Howe")
        minutes = [(start - from_ms) // 60_000 for start in starts]
        # The clock goes back from 2:00 to 1:30: a bucket of half an hour begins there.
        self.assertEqual(minutes, [0, 60, 120, 150, 210])

    def test_weeks_begin_on_monday_and_may_begin_before_the_range(self) -> None:
        from_ms = int(datetime(2026, 3, 4, tzinfo=UTC).timestamp() * 1_000)
        starts = starts_ms(from_ms, from_ms + 7 * 24 * HOUR_MS, "week", "UTC")
        days = [datetime.fromtimestamp(start / 1_000, UTC).strftime("%m-%d") for start in starts]
        self.assertEqual(days, ["03-02", "03-09"])


if __name__ == "__main__":
    unittest.main()
