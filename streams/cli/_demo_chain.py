"""What the demo does with a running chain: send at the pace of the chain, wait until all is worked off, read back."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

from confluent_kafka import OFFSET_BEGINNING, TopicPartition

from monitors.pace import MOST_MS
from schemas.topics import Topic
from streams.connection import ends

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from confluent_kafka import Consumer, Message

    from infra.demo.replay import Message as Record
    from streams.connection import Connection

SENT = (Topic.REQUESTS, Topic.ACTUALS)
# in the order of the data: when one stage is done, the inputs of the next are complete
STAGES = (
    ("scorer", (Topic.REQUESTS,)),
    ("shadow", (Topic.REQUESTS,)),
    ("joiner", (Topic.PREDICTIONS, Topic.SHADOW_PREDICTIONS, Topic.ACTUALS)),
    ("observer", (Topic.REQUESTS, Topic.PREDICTIONS, Topic.SHADOW_PREDICTIONS, Topic.OUTCOMES)),
    ("evaluator", (Topic.SUMMARIES,)),
    ("projector", (Topic.METRICS, Topic.ALERTS, Topic.DEPLOYMENTS)),
)
PACED = STAGES[:4]
AHEAD = 5_000
"""How many records a group may be behind on a topic while the replay goes on. A month passes in seconds here: were it
more, months would close before the outcomes known by then are joined."""

PATIENCE_S = 120.0
EMIT_S = 1.5 + MOST_MS / 1_000  # as long as a window may wait, and until the next progress record
LOOK_S = 0.05
COMMIT_MARKER = 1  # ends of topics that are written in transactions count the marker behind the last record


class StuckError(RuntimeError):
    """The chain makes no progress, or a worker was given up."""


class Chain:
    """The running chain as the demo sees it. `check` raises where it is known to be broken."""

    def __init__(self, connection: Connection, check: Callable[[], None]) -> None:
        self._connection, self._check = connection, check
        self._producer = connection.producer()
        self._admin = connection.admin()
        self._groups: dict[str, Consumer] = {}
        self.sent: Counter[Topic] = Counter()

    def send(self, records: Iterable[Record]) -> None:
        """Produce these; returns before they are acknowledged."""
        names = {topic: self._connection.layout.name(topic) for topic in SENT}
        for record in records:
            while True:
                try:
                    self._producer.produce(names[record.topic], record.value, record.key)
                    break
                except BufferError:  # the local queue is full: let some of it go
                    self._producer.poll(LOOK_S)
            self.sent[record.topic] += 1
        self._producer.poll(0)

    def keep_pace(self, ahead: int = AHEAD) -> None:
        """Wait until no group is more than `ahead` records behind what was sent."""
        self._work_off(self._behind, ahead, "the chain does not keep up")

    def settle(self) -> None:
        """Wait until every stage has worked off what the stages before it have written."""
        self._producer.flush(PATIENCE_S)
        for role, topics in STAGES:
            self._drain(role, topics)
        time.sleep(EMIT_S)
        for role, topics in STAGES[-2:]:
            self._drain(role, topics)

    def until(self, done: Callable[[], bool], patience_s: float) -> bool:
        """Whether it came to be so in time."""
        limit = time.monotonic() + patience_s
        while not done():
            if time.monotonic() > limit:
                return False
            self._check()
            time.sleep(LOOK_S)
        return True

    def read(self, topic: Topic) -> Iterator[Message]:
        """All committed records of a topic as it is now."""
        name = self._connection.layout.name(topic)
        places = [(name, number) for number in self._connection.partitions(topic)]
        left = {place: end for place, end in ends(self._admin, places, stable=True).items() if end}
        reader = self._connection.consumer("demo-reader", **{"enable.partition.eof": True})
        reader.assign([TopicPartition(place, number, OFFSET_BEGINNING) for place, number in left])
        try:
            while left:
                for message in reader.consume(5_000, 0.5):
                    if message.error() is None:
                        yield message
                for place in list(left):
                    if reader.position([TopicPartition(*place)])[0].offset >= left[place]:
                        del left[place]
        finally:
            reader.close()

    def close(self) -> None:
        """Let go of the clients."""
        for group in self._groups.values():
            group.close()
        self._groups.clear()

    def _behind(self) -> int:
        """How many records the slowest group has yet to read of a topic."""
        goals = self._ends({topic for _, topics in PACED for topic in topics})
        return max(
            sum(goals[place] - at for place, at in self._committed(role, topic).items())
            for role, topics in PACED
            for topic in topics
        )

    def _drain(self, role: str, topics: Iterable[Topic]) -> None:
        goals = self._ends(topics)

        def left() -> int:
            done = {place: at for topic in topics for place, at in self._committed(role, topic).items()}
            return sum(max(0, goal - done[place]) for place, goal in goals.items())

        self._work_off(left, 0, f"{role} does not come to the end of {', '.join(topics)}")

    def _ends(self, topics: Iterable[Topic]) -> dict[tuple[str, int], int]:
        """Up to where there are records; what a group has committed when it has read them all."""
        layout = self._connection.layout
        marks = {layout.name(topic): 0 if topic in SENT else COMMIT_MARKER for topic in topics}
        places = [(layout.name(topic), number) for topic in topics for number in self._connection.partitions(topic)]
        return {place: max(0, end - marks[place[0]]) for place, end in ends(self._admin, places, stable=True).items()}

    def _committed(self, role: str, topic: Topic) -> dict[tuple[str, int], int]:
        if role not in self._groups:
            self._groups[role] = self._connection.consumer(self._connection.group(role))
        name = self._connection.layout.name(topic)
        asked = [TopicPartition(name, number) for number in self._connection.partitions(topic)]
        found = self._groups[role].committed(asked, PATIENCE_S)
        return {(place.topic, place.partition): max(0, place.offset) for place in found}

    def _work_off(self, left: Callable[[], int], enough: int, what: str) -> None:
        """Wait until no more than `enough` records are left, for as long as they become fewer."""
        least, limit = left(), time.monotonic() + PATIENCE_S
        while least > enough:
            if time.monotonic() > limit:
                raise StuckError(f"{what}: {least:,} records, none less in {PATIENCE_S:.0f} s; see `watchkeeper logs`")
            self._check()
            time.sleep(LOOK_S)
            now = left()
            if now < least:
                least, limit = now, time.monotonic() + PATIENCE_S
