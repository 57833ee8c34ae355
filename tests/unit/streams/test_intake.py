"""How far a worker is behind, as its heartbeats say."""

from __future__ import annotations

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


def test_what_is_not_told_of_has_no_lag(intake: Intake) -> None:
    assert intake.lag({}) == {"requests-0": 0, "requests-1": 0, "requests-2": 0}
