"""How far a worker is behind, as its heartbeats say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from schemas.records import Records
from schemas.topics import Layout, Topic
from streams.batch import Batch, Span
from streams.connection import Connection
from streams.intake import Intake
from streams.role import PlainRole

LAYOUT = Layout("toy", partitions=3)


class Reader(PlainRole):
    name = "reader"
    inputs = (Topic.REQUESTS,)

    def process(self, batch: Batch) -> None:
        """It is never asked."""


@pytest.fixture
def intake() -> Intake:
    """Partition 0 is read up to 70, 1 has ended at 50 (a mark after its last record), 2 was never read from."""
    made = Intake(Reader(), Connection({}, LAYOUT), 100, 0.0)  # type: ignore[arg-type]  # a role but for its effects
    made._next = {("toy.requests.v1", 0): 70, ("toy.requests.v1", 1): 49, ("toy.requests.v1", 2): -2}
    made._ended = {(Topic.REQUESTS, 1): 50}
    return made


def ends(*offsets: int) -> dict[tuple[str, int], int]:
    return {("toy.requests.v1", number): offset for number, offset in enumerate(offsets)}


def worked_on(partition: int, span: Span) -> Batch:
    nothing = Records([], [], np.zeros(0, np.int32), np.zeros(0, np.int64), np.zeros(0, np.int64))
    return Batch({Topic.REQUESTS: nothing}, {(Topic.REQUESTS, partition): span}, now_ms=0)


def test_lag_is_what_was_not_read_and_nothing_where_the_end_was_reached(intake: Intake) -> None:
    assert intake.lag(ends(100, 50, 7)) == {"requests-0": 30, "requests-1": 0, "requests-2": 7}


def test_an_open_transaction_beyond_the_end_that_was_read_is_no_lag(intake: Intake) -> None:
    assert intake.lag(ends(100, 90, 7))["requests-1"] == 0


def test_while_a_batch_is_worked_on_it_is_behind_and_so_is_what_comes_in_the_meantime(intake: Intake) -> None:
    busy = worked_on(0, Span(60, 70))
    assert intake.lag(ends(100, 50, 7), busy) == {"requests-0": 40, "requests-1": 0, "requests-2": 7}
    assert intake.lag(ends(500, 58, 7), busy) == {"requests-0": 440, "requests-1": 8, "requests-2": 7}


class Message:
    """All that a lag looks at."""

    def __init__(self, offset: int) -> None:
        self._offset = offset

    def offset(self) -> int:
        return self._offset


def hold(intake: Intake, *, aligned: bool) -> None:
    held: Any = {(Topic.REQUESTS, 0): [Message(64), Message(69)], (Topic.REQUESTS, 1): [Message(46), Message(48)]}
    intake._held = held
    intake._role.aligned = aligned


def test_what_waits_for_other_partitions_is_lag_too(intake: Intake) -> None:
    hold(intake, aligned=True)
    assert intake.lag(ends(100, 50, 7)) == {"requests-0": 36, "requests-1": 3, "requests-2": 7}
    assert intake.lag(ends(100, 90, 7))["requests-1"] == 3
    busy = worked_on(0, Span(60, 64))
    assert intake.lag(ends(100, 58, 7), busy) == {"requests-0": 40, "requests-1": 11, "requests-2": 7}


def test_what_the_role_may_not_read_yet_is_no_lag_of_its_own(intake: Intake) -> None:
    """Else a worker that waits for another would be taken for stuck."""
    hold(intake, aligned=False)
    assert intake.lag(ends(100, 50, 7)) == {"requests-0": 30, "requests-1": 0, "requests-2": 7}


def test_an_abort_in_the_meantime_does_not_trouble_who_asks(intake: Intake) -> None:
    class Popped(dict[Any, int]):
        """An end that is taken away between two looks."""

        def __contains__(self, key: object) -> bool:
            found = super().__contains__(key)
            if found:
                self.clear()
            return found

    intake._ended = Popped(intake._ended)
    assert intake.lag(ends(100, 58, 7), worked_on(0, Span(60, 70)))["requests-1"] == 8


def test_what_is_not_told_of_has_no_lag(intake: Intake) -> None:
    assert intake.lag({}) == {"requests-0": 0, "requests-1": 0, "requests-2": 0}
