"""The ledger: what was asked and what came true, by number, as columns, and what must come of it.

Request `i` has the association ID `i` in decimal. `main` and `plain` wait for a year, so that nothing of theirs is ever
given up. `brief` waits for six hours of event time, and each of its rows has a fate, which says what the join must make
of it whenever it looks; only of the raced ones there are two ways, of which it must go one, whole.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from schemas.deployment import Command

    Column = NDArray[np.int64]

NOTHING, GONE = -1, -2  # no actual ever, or none that meets a prediction; withdrawn


class Fate(IntEnum):
    """What is to come of a row. Those that are aged have an event time beyond the horizon before they are sent."""

    USUAL = 0  # of a deployment that gives nothing up
    MET = 1  # in time both: matched, and gone in the end without a word
    UNANSWERED = 2  # no actual ever: expired in the end
    LAPSED = 3  # an aged request: expired. When that is done comes the actual: unmatched
    UNASKED = 4  # an aged actual: unmatched. When that is done, if it is soon, comes the request: expired
    RACED = 5  # both, and both aged: matched if they meet before the join gives up on one, else each is given up


AGED = (Fate.LAPSED, Fate.UNASKED, Fate.RACED)


class Columns(NamedTuple):
    """One value a request each: which deployment (index in SERVED), event time, answer in the end, asked how often."""

    where: Column
    times_ms: Column
    answers: Column
    asked: Column
    fates: Column


@dataclass(slots=True)
class Ledger:
    """What `Columns` are made of, chunk by chunk, and what else was sent.

    The answer of a raced row is the one that it was given; whether it was met is for the join to say.
    """

    deployments: list[Column] = field(default_factory=list)
    times_ms: list[Column] = field(default_factory=list)
    answers: list[Column] = field(default_factory=list)
    asked: list[Column] = field(default_factory=list)
    fates: list[Column] = field(default_factory=list)
    garbage: int = 0
    actuals: int = 0  # those that ask to forget, too
    forgotten: list[int] = field(default_factory=list)
    reports_ms: list[int] = field(default_factory=list)  # of every custom metric one
    commands: list[Command] = field(default_factory=list)
    ended_ms: int = 0  # when the load ended, by the clock

    @property
    def count(self) -> int:
        """How many rows there are, not counting what was asked again."""
        return sum(map(len, self.times_ms))

    def columns(self) -> Columns:
        """All rows so far."""
        parts = (self.deployments, self.times_ms, self.answers, self.asked, self.fates)
        return Columns(*(np.concatenate(part) if part else np.zeros(0, np.int64) for part in parts))

    def numbers(self, fate: Fate) -> list[int]:
        """The rows of a fate."""
        return [int(number) for number in np.flatnonzero(self.columns().fates == fate)]


def is_acted_on(number: int) -> bool:
    """Whether it is said of the actuals of a request that somebody acted on the prediction; of others nothing is."""
    return number % 5 == 0
