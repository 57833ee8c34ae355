"""The transactional source: whole batches of Kafka records to a Faust channel, their effects back in one transaction.

Faust's own Kafka path loses and doubles records, so it is switched off; this service polls confluent-kafka instead.
Rules it keeps:
- One batch in flight. All Kafka work is done in one thread and a rebalance happens only inside a poll, so never in a
  transaction. A batch that was being collected when partitions came or went is thrown away whole.
- Order: begin, produce, flush, send offsets, commit, local write. Effects, table changes and input offsets commit
  together or not at all.
- An abortable error aborts, drops staged writes, and seeks every partition of the batch back to its first record. A
  fatal one, or a commit whose outcome is unknown, ends the process: the next start reads what is true from the broker.
- An assignment starts with nothing: each partition is read from its committed offset once its tables are restored. A
  record of a partition that has not been started, or from before its start, is not looked at.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from confluent_kafka import (
    OFFSET_BEGINNING,
    OFFSET_INVALID,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from mode import Service

from streams.batch import Batch, Effects, Span, columns
from streams.connection import END_OF_PARTITION
from streams.exits import Fenced, OutcomeUnknown, Stuck, leave
from streams.failpoints import FailPoint, FailPoints
from streams.restore import WRITER_HEADER, Job, Restorer
from streams.tables import Position, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from faust.types import ChannelT

    from schemas.topics import Topic
    from streams.connection import Connection
    from streams.role import Role

PARTITION_UA: Final = -1  # let the partitioner decide
POLL_S = 0.1
FAR: Final = 1 << 62
RETRY_S = 0.1
COMMIT_S = 30.0
COMMITTED_S = 60.0  # offsets that an open transaction holds are told when it has ended
STUCK_S = 60.0
MOST_ABORTS = 20
MOST_HELD_BYTES = 32 << 20  # of a partition
BATCH_S = 240.0  # before the group gives our partitions away; the projector may wait for Redis until then
LAG_EVERY_S = 1.0
SETTLE_S = 0.002  # a transaction begun before the last one's markers are written is put off by 20 ms
TWIN_S = 4.0  # the group answers a heartbeat within 1.5 s

log = logging.getLogger("watchkeeper.source")


@dataclass(slots=True)
class Progress:
    """What heartbeats and the watchdog look at."""

    started_ms: int = field(default_factory=lambda: time.time_ns() // 1_000_000)
    batches: int = 0
    records: int = 0
    moved: float = field(default_factory=time.monotonic)
    lag: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Delivery:
    """A batch on its way through the agent; `done` is set when it is committed."""

    batch: Batch
    done: asyncio.Future[None]


T = TypeVar("T")
Place = tuple["Topic", int]


class TransactionalSource(Service):
    """Polls, hands over, commits. The agent calls `transact` for each delivery."""

    def __init__(  # the composition root passes each part by name
        self,
        *,
        role: Role,
        connection: Connection,
        worker: str,
        tables: tuple[Table, ...],
        channel: ChannelT[Delivery],
        batch_rows: int,
        gather_ms: int,
        fail: FailPoints,
        static: bool = True,
        standby: bool = False,
    ) -> None:
        super().__init__()
        self.role, self.connection, self.tables, self.channel, self.fail = role, connection, tables, channel, fail
        self.progress = Progress()
        self._batch_rows, self._gather_s, self._static, self._worker = batch_rows, gather_ms / 1000, static, worker
        self._id = connection.transactional_id(role.name, worker)
        self._inputs = {connection.layout.name(topic): topic for topic in role.inputs}
        self._outputs: dict[Topic, str] = {}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="kafka")
        self._generation = 0
        self._assigned: set[Place] = set()
        self._ended: set[Place] = set()
        self._held: dict[Place, list[Message]] = {}
        self._throttled: set[Place] = set()
        self._next: dict[tuple[str, int], int] = {}  # the least offset wanted of each partition that flows
        self._next_tick = time.monotonic()
        self._measured = self._committed = 0.0
        self._closed = False
        self._aborts = 0
        self._in_flight: float | None = None
        self._restorer = Restorer(
            connection,
            connection.group(role.name),
            self._id,
            tables,
            fail,
            current=lambda: self._generation,
            mine=self._mine if standby and tables else None,
        )
        self._consumer: Consumer
        self._producer: Producer

    @property
    def restoring(self) -> dict[str, float]:
        """Share restored, by changelog partition, of those that are not complete."""
        return dict(self._restorer.progress)

    # ------------------------------------------------------------------ life
    async def on_start(self) -> None:
        """Fence an earlier self, join the group."""
        await self._in_thread(self._open)

    async def on_stop(self) -> None:
        """Leave. A static member stays in the group until its session ends, so that a restart moves nothing."""
        await self._in_thread(self._close)
        self._thread.shutdown()

    async def _in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)

    def _open(self) -> None:
        self._producer = self.connection.producer(self._id)
        self._producer.init_transactions(60)
        self._consumer = self.connection.member(self.role.name, self._worker, static=self._static)
        self._consumer.subscribe(
            list(self._inputs), on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_revoke
        )
        self._restorer.start()

    def _mine(self) -> frozenset[int]:
        """The partitions whose stores the role writes, or will as soon as they are restored."""
        return frozenset(number for _, number in self._assigned)

    def _close(self) -> None:
        self._closed = True
        self._generation += 1
        self._restorer.stop()
        self._consumer.close()
        for table in self.tables:
            table.close()

    # ------------------------------------------------------------------ assignment (inside a poll, in our thread)
    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Nothing flows yet: what came in the same poll would be thrown away, and the consumer be past it."""
        self._changed()
        consumer.assign([])
        self._assigned = {(self._inputs[place.topic], place.partition) for place in partitions}
        self.role.assigned(frozenset(self._assigned))
        waiting: dict[int, list[tuple[str, int]]] = defaultdict(list)
        for place in partitions:
            waiting[place.partition].append((place.topic, place.partition))
        for number, inputs in sorted(waiting.items()):
            job = Job(self._generation, number, tuple(inputs))
            if self.tables:
                self._restorer.submit(job)
            else:
                self._restorer.done.put(job)

    def _on_revoke(self, consumer: Consumer, _partitions: list[TopicPartition]) -> None:
        self._changed()
        self._assigned = set()
        self.role.assigned(frozenset())
        consumer.unassign()

    def _changed(self) -> None:
        self.fail.reach(FailPoint.REBALANCE)
        self._generation += 1
        self._ended.clear()
        self._held.clear()
        self._throttled.clear()
        self._next.clear()
        self.progress.lag.clear()
        for table in self.tables:
            table.withdraw(set(table.live))

    def _resume_restored(self) -> None:
        ready: list[TopicPartition] = []
        while not self._restorer.done.empty():
            job = self._restorer.done.get()
            if isinstance(job, BaseException):
                raise job
            if job.generation != self._generation:
                continue
            for table in self.tables:
                table.open(job.partition)
            self.role.restored(job.partition)
            ready += [TopicPartition(topic, number) for topic, number in job.inputs]
        if ready:
            self._flow(ready)

    def _flow(self, ready: list[TopicPartition]) -> None:
        """Read these partitions too, from their committed offsets; the others go on where they are."""
        for place in self._consumer.committed(ready, COMMITTED_S):
            if place.error is not None:
                raise KafkaException(place.error)
            self._next[place.topic, place.partition] = place.offset if place.offset >= 0 else OFFSET_BEGINNING
        self.progress.moved = time.monotonic()
        self._consumer.assign([TopicPartition(*place, offset) for place, offset in self._next.items()])
        if self._throttled:
            self._consumer.pause([self._kafka(place) for place in self._throttled])

    # ------------------------------------------------------------------ collecting
    def _collect(self) -> Batch | None:
        """The next batch, or None if nothing came within a poll."""
        if self._closed:
            return None
        self._resume_restored()
        self._measure_lag()
        generation, now = self._generation, time.monotonic()
        to_tick = max(0.0, self._next_tick - now) if self.role.tick_ms else POLL_S
        messages = self._consumer.consume(1, min(POLL_S, to_tick))
        if any(message.error() is None for message in messages):
            gather_s = max(self._gather_s, self._committed + SETTLE_S - time.monotonic())
            messages += self._consumer.consume(self._batch_rows - 1, gather_s)
        if generation != self._generation:  # partitions came or went: positions start from the committed offsets again
            return None
        groups = self._sort(messages)
        tick = bool(self.role.tick_ms) and time.monotonic() >= self._next_tick
        if tick:
            self._next_tick = time.monotonic() + (self.role.tick_ms or 0) / 1000
        return self._batch(groups, tick=tick) if groups or tick else None

    def _sort(self, messages: list[Message]) -> dict[Place, list[Message]]:
        """Records by source partition; a partition has ended while its last event is the end."""
        groups: dict[Place, list[Message]] = {}
        ends: dict[Place, int] = {}
        topic = partition = None
        found: list[Message] = []
        wanted = FAR
        for message in cast("list[Any]", messages):  # every record of every role comes through here, in runs
            error = message.error()
            if error is not None:
                if error.code() != END_OF_PARTITION:
                    _raise_for(error)
                elif (message.topic(), message.partition()) in self._next:
                    place = self._place(message)
                    ends[place] = len(groups.get(place, ()))
                continue
            if message.partition() != partition or message.topic() != topic:
                topic, partition = message.topic(), message.partition()
                wanted = self._next.get((topic, partition), FAR)
                found = groups.setdefault(self._place(message), [])
            if message.offset() >= wanted:  # else fetched before this partition was given its start
                found.append(message)
        groups = {place: found for place, found in groups.items() if found}
        for found in groups.values():
            self._next[str(found[-1].topic()), cast("int", found[-1].partition())] = (found[-1].offset() or 0) + 1
        self._ended.difference_update(groups)
        self._ended.update(place for place, seen in ends.items() if seen == len(groups.get(place, ())))
        return self._gate(groups)

    def _place(self, message: Message) -> Place:
        return self._inputs[str(message.topic())], cast("int", message.partition())

    def _gate(self, groups: dict[Place, list[Message]]) -> dict[Place, list[Message]]:
        """Hold back records that the role may not read yet; they come first in a later batch."""
        waited = self._held
        for place, kept in waited.items():
            groups[place] = kept + groups.get(place, [])
        self._held = {}
        for place, limit in (self.role.limits(frozenset(groups)) if groups else {}).items():
            found = groups[place]
            count = next((i for i, message in enumerate(found) if (message.offset() or 0) >= limit), len(found))
            if count < len(found):
                self._held[place] = found[count:]
                groups[place] = found[:count]
        self._throttle(waited)
        return {place: found for place, found in groups.items() if found}

    def _throttle(self, waited: dict[Place, list[Message]]) -> None:
        """Fetch no more of a partition of which much is held back, until it is let go."""
        full = {
            place
            for place, kept in self._held.items()
            if len(kept) >= self._batch_rows or sum(map(len, kept)) >= MOST_HELD_BYTES
        }
        if stop := full - self._throttled:
            self._consumer.pause([self._kafka(place) for place in stop])
        if go := {place for place in self._throttled if place in waited and place not in self._held}:
            self._consumer.resume([self._kafka(place) for place in go])
        self._throttled = (self._throttled | stop) - go

    def _kafka(self, place: Place, offset: int = OFFSET_INVALID) -> TopicPartition:
        return TopicPartition(self.connection.layout.name(place[0]), place[1], offset)

    def _batch(self, groups: dict[Place, list[Message]], *, tick: bool) -> Batch:
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
            caught_up=frozenset(self._ended - self._held.keys()),
            assigned=frozenset(self._assigned),
        )

    @Service.task
    async def _poll(self) -> None:
        loop = asyncio.get_running_loop()
        while not self.should_stop and not self._closed:
            try:
                batch = await self._in_thread(self._collect)
            except BaseException as error:  # noqa: BLE001  # a panic in a library is no Exception; every end has a code
                leave(error)
            if batch is not None:
                delivery = Delivery(batch, loop.create_future())
                self._in_flight = time.monotonic()
                await self.channel.put(delivery)  # type: ignore[arg-type]  # values too, not events only
                await delivery.done
                self._in_flight = None

    # ------------------------------------------------------------------ the transaction
    async def transact(self, delivery: Delivery) -> None:
        """Process one delivery and commit what came of it; returns when it is committed or rewound.

        After the source has closed nothing is done: the next start reads the batch again.
        """
        if not self._closed:
            await self._in_thread(self._transact, delivery.batch)
        delivery.done.set_result(None)

    def _transact(self, batch: Batch) -> None:
        if self._closed:
            return
        effects = self.role.process(batch)
        if not batch.spans and not effects.sends and not any(True for table in self.tables for _ in table.staged()):
            return
        self.fail.reach(FailPoint.BEFORE_BEGIN if batch.spans else FailPoint.TICK)
        self._producer.begin_transaction()
        try:
            positions = self._write(batch, effects)
            self._commit()
        except KafkaException as error:
            if not error.args[0].txn_requires_abort():
                self._look_for_twin()
                raise
            self._aborted(batch, error)
            return
        self._aborts = 0
        self.fail.reach(FailPoint.AFTER_COMMIT)
        self._committed = time.monotonic()
        for table, found in zip(self.tables, positions, strict=True):
            table.commit(found)
        self.role.committed(batch)
        self.progress.batches += 1
        self.progress.records += len(batch)
        self.progress.moved = time.monotonic()

    def _write(self, batch: Batch, effects: Effects) -> list[dict[int, Position]]:
        for send in effects.sends:
            topic = self._outputs.setdefault(send.topic, self.connection.layout.name(send.topic))
            self._produce(topic, send.keys, send.values, send.partition)
        marks = [self._produce_changelog(table) for table in self.tables]
        self.fail.reach(FailPoint.AFTER_PRODUCE)
        self._producer.flush()
        self.fail.reach(FailPoint.BEFORE_OFFSETS)
        if offsets := [self._kafka(place, span.next) for place, span in batch.spans.items()] or self._standing():
            member = self._consumer.consumer_group_metadata()
            _retried(lambda: self._producer.send_offsets_to_transaction(offsets, member, COMMIT_S))
        self.fail.reach(FailPoint.BEFORE_COMMIT)
        return [{number: mark[0] for number, mark in found.items()} for found in marks]

    def _standing(self) -> list[TopicPartition]:
        """Where one partition stands: a tick commits it, so that the group refuses who is no longer a member."""
        for (topic, number), offset in self._next.items():
            held = self._held.get((self._inputs[topic], number))
            if offset >= 0:
                return [TopicPartition(topic, number, cast("int", held[0].offset()) if held else offset)]
        return []

    def _produce(
        self, topic: str, keys: Sequence[bytes | None], values: Sequence[bytes | None], partition: int | None
    ) -> None:
        produce = self._producer.produce
        where = PARTITION_UA if partition is None else partition
        for key, value in zip(keys, values, strict=True):
            while True:
                try:
                    produce(topic, value, key, where)
                    break
                except BufferError:  # the local queue is full: let some of it go
                    self._producer.poll(RETRY_S)

    def _produce_changelog(self, table: Table) -> dict[int, list[Position]]:
        topic = self.connection.layout.name(table.spec.changelog)
        headers: list[tuple[str, str | bytes | None]] = [(WRITER_HEADER, self._id.encode())]
        marks: dict[int, list[Position]] = {}
        for number, rows in table.staged():
            before = table.store(number).position
            mark = marks.setdefault(number, [before])
            last = len(rows) - 1
            for i, (key, value) in enumerate(rows.items()):
                more: dict[str, Any] = {}
                if i == 0:  # one header is enough to find the writer by
                    more["headers"] = headers
                if i == last:
                    more["on_delivery"] = _remember(mark, before.topic_id)
                while True:
                    try:
                        self._producer.produce(topic, value, key, number, **more)
                        break
                    except BufferError:
                        self._producer.poll(RETRY_S)
        return marks

    def _commit(self) -> None:
        try:
            _retried(lambda: self._producer.commit_transaction(COMMIT_S))
        except KafkaException as error:
            failure = error.args[0]
            if failure.txn_requires_abort() or failure.fatal():
                raise
            raise OutcomeUnknown(str(failure)) from error

    def _aborted(self, batch: Batch, error: KafkaException) -> None:
        """Rewind, and wait longer each time; Stuck when it does not get better."""
        self._aborts += 1
        spans = {f"{topic}-{number}": (span.first, span.next) for (topic, number), span in batch.spans.items()}
        log.warning("transaction aborted (%d in a row) at %s: %s", self._aborts, spans, error.args[0].str())
        self._rewind(batch)
        if self._aborts >= MOST_ABORTS:
            raise Stuck(f"{self._aborts} aborted transactions in a row; the log names the records")
        time.sleep(min(5.0, RETRY_S * 2 ** (self._aborts - 1)))

    def _look_for_twin(self) -> None:
        """After a fatal error: Fenced, if the group says that another member has our name.

        The producer alone cannot tell a twin from a transaction that timed out while this process was suspended, after
        which a restart is right.
        """
        limit = time.monotonic() + TWIN_S
        while time.monotonic() < limit:
            for message in self._consumer.consume(100, 0.1):
                error = message.error()
                if error is not None and error.code() != END_OF_PARTITION:
                    _raise_for(error)

    def _rewind(self, batch: Batch) -> None:
        for table in self.tables:
            table.discard()
        self.role.aborted()
        _retried(lambda: self._producer.abort_transaction(COMMIT_S))
        first = {place: found[0].offset() or 0 for place, found in self._held.items()}
        first |= {place: span.first for place, span in batch.spans.items()}
        self._held.clear()
        self._ended.difference_update(first)  # these are read again and their end is told again
        if self._throttled:
            self._consumer.resume([self._kafka(place) for place in self._throttled])
            self._throttled.clear()
        mine = {(place.topic, place.partition) for place in self._consumer.assignment()}
        for place, offset in first.items():
            target = self._kafka(place, offset)
            if (target.topic, target.partition) in mine:
                self._next[target.topic, target.partition] = offset
                self._consumer.seek(target)

    # ------------------------------------------------------------------ watchdog
    @Service.task
    async def _watch(self) -> None:
        """End a worker that makes no progress though there is something to do."""
        while not self.should_stop:
            await self.sleep(5)
            idle = time.monotonic() - self.progress.moved
            lag = sum(self.progress.lag.values())
            if self._in_flight:  # work is progress, up to the time that the group waits for it
                if time.monotonic() - self._in_flight > BATCH_S:
                    leave(Stuck(f"one batch takes more than {BATCH_S:.0f} s"))
            elif idle > STUCK_S and lag and not self.restoring:
                leave(Stuck(f"no progress for {idle:.0f} s with a lag of {lag} records"))

    def _measure_lag(self) -> None:
        """Records between position and end, as far as the last fetch knew; once a second."""
        if time.monotonic() < self._measured + LAG_EVERY_S:
            return
        self._measured = time.monotonic()
        for place in self._assigned:
            lag, kafka = 0, self._kafka(place)
            if place not in self._ended and (kafka.topic, kafka.partition) in self._next:
                _, high = self._consumer.get_watermark_offsets(kafka, cached=True)
                lag = max(0, high - max(self._next[kafka.topic, kafka.partition], 0))
            self.progress.lag[f"{place[0]}-{place[1]}"] = lag


def _remember(mark: list[Position], topic_id: str) -> Callable[[KafkaError | None, Message], None]:
    def report(error: KafkaError | None, message: Message) -> None:
        if error is None:
            mark[0] = Position((message.offset() or 0) + 1, topic_id, time.time_ns() // 1_000_000)

    return report


def _retried(call: Callable[[], object]) -> None:
    """Repeat what Kafka calls retriable, for as long as a broker may reasonably take to come back."""
    limit = time.monotonic() + 2 * COMMIT_S
    while True:
        try:
            call()
        except KafkaException as error:
            if not error.args[0].retriable() or time.monotonic() > limit:
                raise
            time.sleep(RETRY_S)
        else:
            return


def _raise_for(error: KafkaError) -> None:
    """End for what cannot be mended; the rest librdkafka mends by itself."""
    lost = error.fatal() or error.code() == KafkaError._FATAL  # noqa: SLF001  # public, though underscored
    if lost and "group.instance.id" in error.str():  # the code says only that it is fatal
        raise Fenced(error.str())
    if lost:
        raise KafkaException(error)
    log.warning("consumer: %s", error.str())
