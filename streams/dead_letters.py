"""Dead letters: what could not be read, with where it was and why, so that a person can look and replay it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from schemas.observation import DeadLetter
from schemas.topics import Topic

if TYPE_CHECKING:
    from schemas.records import Records, Unreadable
    from streams.batch import Effects

KEPT_BYTES = 64 << 10


def bury(effects: Effects, topic: Topic, records: Records, unreadable: Unreadable) -> None:
    """Write a dead letter for one record of a batch."""
    row = unreadable.row
    key, value = records.keys[row], records.values[row] or b""
    partition, offset = int(records.partitions[row]), int(records.offsets[row])
    letter = DeadLetter(
        topic=topic.value,
        partition=partition,
        offset=offset,
        timestamp_ms=int(records.timestamps_ms[row]),
        reason=unreadable.reason,
        size_bytes=len(value),
        key=None if key is None else key[:KEPT_BYTES],
        value=value[:KEPT_BYTES],
    )
    effects.send(Topic.DEAD_LETTERS, f"{topic}-{partition}-{offset}".encode(), msgspec.json.encode(letter))
