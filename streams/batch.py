"""What goes through an agent: a batch of records in, effects out. Both are plain data.

A batch is everything that one transaction will consume. Effects are everything that it will write. A role is a
function from the one to the other; the engine commits both together or neither.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from schemas.records import Records

if TYPE_CHECKING:
    from collections.abc import Sequence

    from confluent_kafka import Message

    from schemas.topics import Topic


@dataclass(frozen=True, slots=True)
class Span:
    """Offsets of one source partition in a batch: `first` up to, not including, `next`."""

    first: int
    next: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Records of one transaction by topic, in log order within each partition.

    `now_ms` is the engine's clock when the batch was closed; `tick` says that the role's timer is due; `caught_up`
    names the source partitions that were at their end; `assigned` all that this worker reads.
    """

    records: dict[Topic, Records]
    spans: dict[tuple[Topic, int], Span]
    now_ms: int
    tick: bool = False
    caught_up: frozenset[tuple[Topic, int]] = frozenset()
    assigned: frozenset[tuple[Topic, int]] = frozenset()

    def __len__(self) -> int:
        return sum(map(len, self.records.values()))


@dataclass(frozen=True, slots=True)
class Send:
    """Records for one topic, as columns. Without `partition` the key decides (murmur2, as Kafka's own clients do)."""

    topic: Topic
    keys: Sequence[bytes | None]
    values: Sequence[bytes | None]
    partition: int | None = None


@dataclass(slots=True)
class Effects:
    """What a transaction writes besides its tables."""

    sends: list[Send] = field(default_factory=list)

    def send(self, topic: Topic, key: bytes | None, value: bytes | None, partition: int | None = None) -> None:
        """Write one record."""
        self.sends.append(Send(topic, (key,), (value,), partition))

    def send_all(self, topic: Topic, keys: Sequence[bytes | None], values: Sequence[bytes | None]) -> None:
        """Write many records to one topic."""
        if keys:
            self.sends.append(Send(topic, keys, values))


def columns(messages: Sequence[Message]) -> Records:
    """The columns of some messages of one topic."""
    count = len(messages)
    return Records(
        keys=[message.key() for message in messages],
        values=[message.value() for message in messages],
        partitions=np.fromiter([message.partition() for message in messages], np.int32, count),
        offsets=np.fromiter([message.offset() for message in messages], np.int64, count),
        timestamps_ms=np.fromiter([message.timestamp()[1] for message in messages], np.int64, count),
    )
