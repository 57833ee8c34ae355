"""What waits for another input: how much of it a worker holds, and that nothing of it is lost."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from confluent_kafka import TopicPartition

from schemas.topics import Layout, Topic
from streams import intake as intake_module
from streams.batch import Batch, Effects
from streams.connection import END_OF_PARTITION, Connection
from streams.intake import ALIGNED_PARTS, Intake
from streams.role import Place, PlainRole

BATCH_ROWS, POLLED = 400, 60
MOST = BATCH_ROWS // ALIGNED_PARTS + POLLED
PREDICTIONS, ACTUALS = (Topic.PREDICTIONS, 0), (Topic.ACTUALS, 0)
LAYOUT = Layout("toy", partitions=1)


class Pair(PlainRole):
    """Reads two topics that belong together."""

    name = "pair"
    inputs: tuple[Topic, ...] = (Topic.PREDICTIONS, Topic.ACTUALS)
    aligned = True

    def process(self, batch: Batch) -> Effects:
        raise AssertionError(batch)


@dataclass(frozen=True, slots=True)
class Record:
    """A consumed record, or the end of a partition."""

    place: Place
    at: int
    time_ms: int = 0
    size: int = 10
    end: bool = False

    def error(self) -> Record | None:
        return self if self.end else None

    def code(self) -> int:
        return END_OF_PARTITION

    def topic(self) -> str:
        return LAYOUT.name(self.place[0])

    def partition(self) -> int:
        return self.place[1]

    def offset(self) -> int:
        return self.at

    def timestamp(self) -> tuple[int, int]:
        return 1, self.time_ms

    def key(self) -> bytes:
        return b"%d" % self.at

    def value(self) -> bytes:
        return bytes(self.size)

    def __len__(self) -> int:
        return self.size


@dataclass
class Fetches:
    """The consumer as far as an intake tells it what to fetch."""

    paused: set[Place] = field(default_factory=set)

    def pause(self, places: list[TopicPartition]) -> None:
        self.paused |= {self._place(one) for one in places}

    def resume(self, places: list[TopicPartition]) -> None:
        self.paused -= {self._place(one) for one in places}

    def _place(self, one: TopicPartition) -> Place:
        topic = next(topic for topic in Pair.inputs if LAYOUT.name(topic) == one.topic)
        return topic, one.partition


class Worker:
    """An intake, fed by polls; `taken` is what its batches had, by partition."""

    def __init__(self) -> None:
        self.intake = Intake(Pair(), Connection({}, LAYOUT), BATCH_ROWS, 0.0)
        self.fetches = Fetches()
        self.intake.consumer = cast("Any", self.fetches)
        self.intake._next = {(LAYOUT.name(topic), 0): 0 for topic in Pair.inputs}
        self.taken: dict[Place, list[int]] = {PREDICTIONS: [], ACTUALS: []}
        self.fetched = {PREDICTIONS: 0, ACTUALS: 0}

    def poll(self, *records: Record) -> None:
        for record in records:
            self.fetched[record.place] += not record.end
        if batch := self.intake.batch([*records], frozenset(self.taken), tick=False):  # type: ignore[list-item]  # as a message
            for place, span in batch.spans.items():
                self.taken[place] += range(span.first, span.next)

    def come(self, place: Place, count: int, time_ms: int, size: int = 10) -> list[Record]:
        """The next records of a partition, unless it is paused."""
        first = self.fetched[place]
        still = place in self.fetches.paused
        return [] if still else [Record(place, first + row, time_ms, size) for row in range(count)]

    def held(self) -> int:
        return sum(map(len, self.intake._held.values()))


@pytest.mark.parametrize("size", [10, intake_module.MOST_HELD_BYTES // 50])
def test_actuals_that_wait_for_predictions_are_bounded_in_memory_and_none_is_lost(size: int) -> None:
    worker = Worker()
    for _ in range(40):
        worker.poll(*worker.come(PREDICTIONS, 3, time_ms=1), *worker.come(ACTUALS, POLLED, time_ms=99, size=size))
        assert worker.held() <= (MOST if size == 10 else 2 * POLLED)
    assert worker.fetches.paused == {ACTUALS}
    assert not worker.taken[ACTUALS]
    assert worker.intake.lag({(LAYOUT.name(Topic.ACTUALS), 0): 10_000})["actuals-0"] == 10_000
    worker.poll(Record(PREDICTIONS, worker.fetched[PREDICTIONS], end=True))
    worker.poll(*worker.come(ACTUALS, POLLED, time_ms=99))
    assert worker.fetches.paused == set()
    assert worker.taken == {place: [*range(count)] for place, count in worker.fetched.items()}


def test_actuals_do_not_wait_where_nobody_predicts() -> None:
    worker = Worker()
    worker.poll(Record(PREDICTIONS, 0, end=True), *worker.come(ACTUALS, POLLED, time_ms=99))
    assert worker.taken[ACTUALS] == [*range(POLLED)]
