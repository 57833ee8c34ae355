"""The reading side of a worker: from polls of its role's group to the records of the next batch.

Used in the one thread that does all Kafka work of a worker. Rules:
- A record of a partition that has not been started, or from before its start, is not looked at.
- A partition has ended while its last event is the end.
- What a role may not read yet is held back and comes first in a later batch; where much is held, no more is fetched.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final, cast

from confluent_kafka import (
    OFFSET_BEGINNING,
    OFFSET_INVALID,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from streams.alignment import Alignment
from streams.batch import Batch, Span, columns
from streams.connection import END_OF_PARTITION
from streams.exits import Fenced

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from schemas.topics import Topic
    from streams.connection import Connection
    from streams.role import Place, Role

    Rebalanced = Callable[[Consumer, list[TopicPartition]], None]

POLL_S = 0.1
FAR: Final = 1 << 62
COMMITTED_S = 60.0  # offsets that an open transaction holds are told when it has ended
MOST_HELD_BYTES = 32 << 20  # of a partition
ALIGNED_PARTS = 4  # of a batch that one partition may be ahead of the others
PATIENT_S = 0.1  # a role that gathers so long need not be told of each record at once
SETTLE_S = 0.002  # a transaction begun before the last one's markers are written is put off by 20 ms

log = logging.getLogger("watchkeeper.source")


class Intake:
    """Positions, what is held back, and the consumer; `batch_rows` and `gather_s` say how large a batch gets."""

    consumer: Consumer

    def __init__(self, role: Role, connection: Connection, batch_rows: int, gather_s: float) -> None:
        self._role, self._connection, self._batch_rows, self._gather_s = role, connection, batch_rows, gather_s
        self._inputs = {connection.layout.name(topic): topic for topic in role.inputs}
        self._next: dict[tuple[str, int], int] = {}  # the least offset wanted of each partition that flows
        self._ended: dict[Place, int] = {}  # and where the end was
        self._held: dict[Place, list[Message]] = {}
        self._most_held = batch_rows // ALIGNED_PARTS if role.aligned else batch_rows
        self._alignment = Alignment[Message](self._moment)
        self._throttled: set[Place] = set()

    def open(self, worker: str, *, static: bool, on_assign: Rebalanced, on_revoke: Rebalanced) -> None:
        """Join the group. Both are called inside a poll only."""
        self.consumer = self._connection.member(
            self._role.name, worker, static=static, aligned=self._role.aligned, patient=self._gather_s >= PATIENT_S
        )
        self.consumer.subscribe(list(self._inputs), on_assign=on_assign, on_revoke=on_revoke, on_lost=on_revoke)

    def place(self, topic: str | None, partition: int | None) -> Place:
        """One of our source partitions by the broker's names."""
        return self._inputs[str(topic)], cast("int", partition)

    def kafka(self, place: Place, offset: int = OFFSET_INVALID) -> TopicPartition:
        """The broker's name of one of our source partitions."""
        return TopicPartition(self._connection.layout.name(place[0]), place[1], offset)

    def _moment(self, message: Message) -> int:
        return self._role.moment(self._inputs[str(message.topic())], message.timestamp()[1], message.value())

    def clear(self) -> None:
        """Partitions come or go: nothing flows, and what was held is read again by whoever has it then."""
        self._ended.clear()
        self._held.clear()
        self._throttled.clear()
        self._next.clear()

    def start(self, ready: list[TopicPartition]) -> None:
        """Read these partitions too, from their committed offsets; the others go on where they are."""
        for place in self.consumer.committed(ready, COMMITTED_S):
            if place.error is not None:
                raise KafkaException(place.error)
            self._next[place.topic, place.partition] = place.offset if place.offset >= 0 else OFFSET_BEGINNING
        self.consumer.assign([TopicPartition(*place, offset) for place, offset in self._next.items()])
        if self._throttled:
            self.consumer.pause([self.kafka(place) for place in self._throttled])

    # ------------------------------------------------------------------ from a poll to a batch
    def poll(self, most_s: float, committed: float) -> list[Message]:
        """What comes within a poll, or within `most_s` if that is shorter, and what is gathered after it.

        `committed`: when the last transaction was.
        """
        messages = self.consumer.consume(1, min(POLL_S, most_s))
        if any(message.error() is None for message in messages):
            gather_s = max(self._gather_s, committed + SETTLE_S - time.monotonic())
            messages += self.consumer.consume(self._batch_rows - 1, gather_s)
        return messages

    def batch(self, messages: list[Message], assigned: frozenset[Place], *, tick: bool) -> Batch | None:
        """What may be worked on of these and of what was held; None where that is nothing, and it is no tick."""
        groups = self._gate(self._sorted(messages))
        if not groups and not tick:
            return None
        by_topic: dict[Topic, list[Message]] = defaultdict(list)
        spans = {}
        for place, found in sorted(groups.items()):
            by_topic[place[0]] += found
            spans[place] = Span(found[0].offset() or 0, (found[-1].offset() or 0) + 1)
        return Batch(
            records={topic: columns(found) for topic, found in by_topic.items()},
            spans=spans,
            now_ms=time.time_ns() // 1_000_000,
            tick=tick,
            caught_up=frozenset(self._ended.keys() - self._held.keys()),
            assigned=assigned,
        )

    def _sorted(self, messages: list[Message]) -> dict[Place, list[Message]]:
        """Records by source partition; a partition has ended while its last event is the end."""
        groups: dict[Place, list[Message]] = {}
        ends: dict[Place, tuple[int, int]] = {}
        topic = partition = None
        found: list[Message] = []
        wanted = FAR
        for message in cast("list[Any]", messages):  # every record of every role comes through here, in runs
            error = message.error()
            if error is not None:
                if error.code() != END_OF_PARTITION:
                    raise_for(error)
                elif (message.topic(), message.partition()) in self._next:
                    place = self.place(message.topic(), message.partition())
                    ends[place] = len(groups.get(place, ())), message.offset()
                continue
            if message.partition() != partition or message.topic() != topic:
                topic, partition = message.topic(), message.partition()
                wanted = self._next.get((topic, partition), FAR)
                found = groups.setdefault(self.place(topic, partition), [])
            if message.offset() >= wanted:  # else fetched before this partition was given its start
                found.append(message)
        groups = {place: found for place, found in groups.items() if found}
        for place, found in groups.items():
            self._next[str(found[-1].topic()), place[1]] = (found[-1].offset() or 0) + 1
            self._ended.pop(place, None)
        self._ended |= {place: end for place, (seen, end) in ends.items() if seen == len(groups.get(place, ()))}
        return groups

    def _gate(self, groups: dict[Place, list[Message]]) -> dict[Place, list[Message]]:
        """Hold back records that the role may not read yet; they come first in a later batch."""
        waited = self._held
        for place, kept in waited.items():
            groups[place] = kept + groups.get(place, [])
        self._held = {}
        for place, limit in (self._role.limits(frozenset(groups)) if groups else {}).items():
            found = groups[place]
            count = next((i for i, message in enumerate(found) if (message.offset() or 0) >= limit), len(found))
            self._hold(groups, place, count)
        if self._role.aligned and groups:
            growing = {self.place(*place) for place in self._next} - self._ended.keys()
            for place, count in self._alignment.cuts(groups, growing, time.monotonic()).items():
                self._hold(groups, place, count)
        self._throttle(waited)
        return {place: found for place, found in groups.items() if found}

    def _hold(self, groups: dict[Place, list[Message]], place: Place, count: int) -> None:
        """Take no more than so many records of a place."""
        if count < len(groups[place]):
            self._held[place] = groups[place][count:] + self._held.get(place, [])
            groups[place] = groups[place][:count]

    def _throttle(self, waited: dict[Place, list[Message]]) -> None:
        """Fetch no more of a partition of which much is held back, until it is let go."""
        full = {
            place
            for place, kept in self._held.items()
            if len(kept) >= self._most_held or sum(map(len, kept)) >= MOST_HELD_BYTES
        }
        if stop := full - self._throttled:
            self.consumer.pause([self.kafka(place) for place in stop])
        if go := {place for place in self._throttled if place in waited and place not in self._held}:
            self.consumer.resume([self.kafka(place) for place in go])
        self._throttled = (self._throttled | stop) - go

    # ------------------------------------------------------------------ positions
    def standing(self) -> list[TopicPartition]:
        """Where one partition stands: a tick commits it, so that the group refuses who is no longer a member."""
        for (topic, number), offset in self._next.items():
            held = self._held.get(self.place(topic, number))
            if offset >= 0:
                return [TopicPartition(topic, number, cast("int", held[0].offset()) if held else offset)]
        return []

    def rewind(self, batch: Batch) -> None:
        """Go back to the first record of a batch and of what is held, where these partitions are still ours."""
        first = {place: found[0].offset() or 0 for place, found in self._held.items()}
        first |= {place: span.first for place, span in batch.spans.items()}
        self._held.clear()
        for place in first:
            self._ended.pop(place, None)  # these are read again and their end is told again
        if self._throttled:
            self.consumer.resume([self.kafka(place) for place in self._throttled])
            self._throttled.clear()
        mine = {(place.topic, place.partition) for place in self.consumer.assignment()}
        for place, offset in first.items():
            target = self.kafka(place, offset)
            if (target.topic, target.partition) in mine:
                self._next[target.topic, target.partition] = offset
                self.consumer.seek(target)

    def ends(self) -> dict[tuple[str, int], int]:
        """The ends of the partitions that flow, as far as the last fetch knew."""
        found = {}
        for place in self._next:
            _, high = self.consumer.get_watermark_offsets(TopicPartition(*place), cached=True)
            found[place] = high
        return found

    def lag(self, ends: Mapping[tuple[str, int], int], busy: Batch | None = None) -> dict[str, int]:
        """Records up to the ends by "topic-partition", with those that wait for other partitions (`streams.alignment`).

        Not those that the role may not read yet: they wait for another worker, and who waits is not stuck.
        From what was read on, and 0 where that was the end; while a batch is worked on (`busy`), from what is not yet
        committed: then another thread may ask, as nothing moves.
        """
        found = {}
        for (topic, number), offset in self._next.copy().items():
            place = self.place(topic, number)
            end, at = ends.get((topic, number), 0), max(offset, 0)
            ended = self._ended.get(place)  # looked at once: an abort takes it away in its own thread
            if ended is not None:
                at = end if busy is None else ended
            if busy is not None and place in busy.spans:
                at = busy.spans[place].first
            elif self._role.aligned and (held := self._held.get(place)):
                at -= offset - (held[0].offset() or 0)
            found[f"{place[0]}-{number}"] = max(0, end - at)
        return found


def raise_for(error: KafkaError) -> None:
    """End for what cannot be mended; the rest librdkafka mends by itself."""
    lost = error.fatal() or error.code() == KafkaError._FATAL  # noqa: SLF001  # public, though underscored
    if lost and "group.instance.id" in error.str():  # the code says only that it is fatal
        raise Fenced(error.str())
    if lost:
        raise KafkaException(error)
    log.warning("consumer: %s", error.str())
