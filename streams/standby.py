"""Warm copies: a worker follows the changelog partitions that are not its own into its own stores.

With `standby = all` every worker of a role does, so that any assignment finds a store that lacks the last moments only.

- Committed records only, and no transaction is ever aborted here: its writer is most likely alive.
- A store has one writer at a time. Following goes on in the thread that restores, between its jobs, and a partition
  that is assigned is let go before its job begins; what is still missing is restored as ever.
- A copy that has seen everything says so every minute even if nothing changes, or it would be taken for one that was
  away for so long that tombstones may be gone.
"""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from confluent_kafka import KafkaException, TopicPartition

from streams.connection import END_OF_PARTITION
from streams.tables import Position

if TYPE_CHECKING:
    from collections.abc import Callable

    from confluent_kafka import Consumer, Message

    from streams.connection import Connection
    from streams.tables import Table

POLL_S = 0.1
SEEN_EVERY_MS = 60_000
_CHUNK = 10_000

Place = tuple[str, int]
Rows = dict[bytes, bytes | None]


@dataclass(slots=True)
class Standby:
    """Follows all partitions but those that `mine` answers; `prepare` makes a store fit to go on from its position."""

    connection: Connection
    tables: tuple[Table, ...]
    mine: Callable[[], frozenset[int]]
    prepare: Callable[[Table, int], object]
    _reader: Consumer | None = None
    _followed: dict[Place, Table] = field(default_factory=dict)

    def follow(self) -> None:
        """Apply what has come since the last call, or wait for it a little."""
        wanted = self._wanted()
        if wanted.keys() != self._followed.keys():
            self._assign(wanted)
        if self._reader is None:
            return
        rows: defaultdict[Place, Rows] = defaultdict(dict)
        reached: dict[Place, int] = {}
        for message in self._reader.consume(_CHUNK, POLL_S):
            place = str(message.topic()), message.partition() or 0
            if (at := _reached(message)) is not None and place in self._followed:
                reached[place] = at
                if message.error() is None:
                    rows[place][message.key()] = message.value()  # type: ignore[index]  # our changelogs have keys
        for place, at in reached.items():
            self._apply(place, rows[place], at)

    def close(self) -> None:
        """Follow nothing more."""
        if self._reader is not None:
            self._reader.close()
        self._reader, self._followed = None, {}

    def _wanted(self) -> dict[Place, Table]:
        mine = self.mine()
        return {
            (self.connection.layout.name(table.spec.changelog), number): table
            for table in self.tables
            for number in self.connection.partitions(table.spec.changelog)
            if number not in mine
        }

    def _assign(self, wanted: dict[Place, Table]) -> None:
        """Begin with what is wanted; each goes on from where its store stands."""
        self.close()
        if not wanted:
            return
        for (_, number), table in wanted.items():
            self.prepare(table, number)
        self._reader = self.connection.consumer("standby", **{"enable.partition.eof": True})
        self._reader.assign(
            [TopicPartition(*place, table.store(place[1]).position.offset) for place, table in wanted.items()]
        )
        self._followed = wanted

    def _apply(self, place: Place, rows: Rows, at: int) -> None:
        store = self._followed[place].store(place[1])
        now_ms = time.time_ns() // 1_000_000
        known = store.position
        if rows or at > known.offset or now_ms - known.at_ms >= SEEN_EVERY_MS:
            store.write(rows, Position(max(at, known.offset), known.topic_id, now_ms))


def _reached(message: Message) -> int | None:
    """The offset that a message brings its partition to; None where it tells nothing of it."""
    error, offset = message.error(), message.offset() or 0
    if error is None:
        return offset + 1
    if error.code() == END_OF_PARTITION:
        return offset
    if error.fatal():
        raise KafkaException(error)
    return None
