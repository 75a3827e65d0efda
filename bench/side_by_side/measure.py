"""Answers compared and times taken, every engine in turn."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field

from .answers import Row
from .compare import differences
from .engines import Engine
from .questions.question import Question

WARM_ROUNDS = 7
COLD_ROUNDS = 3


@dataclass
class Times:
    """Seconds of one question on one engine. Cold: the first question of a fresh process. Warm: after it was asked before."""

    cold: list[float] = field(default_factory=list)
    warm: list[float] = field(default_factory=list)

    @property
    def cold_median(self) -> float:
        """Median of the cold rounds."""
        return statistics.median(self.cold)

    @property
    def median(self) -> float:
        """Median of the warm rounds."""
        return statistics.median(self.warm)

    @property
    def best(self) -> float:
        """Best of the warm rounds."""
        return min(self.warm)


Measured = dict[str, dict[str, Times]]
"""By the question's title, then by the engine's name."""


def compare_answers(engines: list[Engine], questions: Iterable[Question]) -> list[str]:
    """Compares each engine's answer with the last engine's, which has a statement for every question; a text per question that failed."""
    failed = []
    for question in questions:
        try:
            found = _differences(engines, question)
        except RuntimeError as error:
            found = [str(error)]
        if found:
            failed.append("\n  ".join([question.title, *found]))
    return failed


def _differences(engines: list[Engine], question: Question) -> list[str]:
    answers: dict[str, list[Row]] = {engine.name: engine.ask(question)[0] for engine in engines if engine.can_answer(question)}
    judge = engines[-1].name
    expected = answers.pop(judge)
    if not expected:
        return [f"{judge} has no rows: the question proves nothing"]
    found = []
    for name, rows in answers.items():
        found += [f"{name} against {judge}: {line}" for line in differences(expected, rows, question.keys, question.tolerance)]
    return found


def time_warm(engines: list[Engine], questions: Iterable[Question], measured: Measured) -> None:
    """Each round asks every engine once, so that whatever else the machine does falls on all of them alike."""
    for question in questions:
        able = [engine for engine in engines if engine.can_answer(question)]
        for engine in able:
            engine.ask(question)
        for _ in range(WARM_ROUNDS):
            for engine in able:
                _times(measured, question, engine).warm.append(engine.ask(question)[1])


def time_cold(engines: list[Engine], questions: Iterable[Question], measured: Measured) -> None:
    """A fresh process for every question, in which it is the first."""
    for question in questions:
        able = [engine for engine in engines if engine.can_answer(question)]
        for _ in range(COLD_ROUNDS):
            for engine in able:
                engine.start_afresh()
                _times(measured, question, engine).cold.append(engine.ask(question)[1])


def _times(measured: Measured, question: Question, engine: Engine) -> Times:
    return measured.setdefault(question.title, {}).setdefault(engine.name, Times())
