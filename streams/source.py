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
from typing import TYPE_CHECKING, TypeVar

from confluent_kafka import Consumer, KafkaException, TopicPartition
from mode import Service

from streams.batch import Batch, Effects
from streams.connection import END_OF_PARTITION, ends
from streams.exits import Stuck, leave
from streams.failpoints import FailPoint, FailPoints
from streams.intake import POLL_S, Intake, raise_for
from streams.restore import Job, Restorer
from streams.tables import Position, Table
from streams.transaction import RETRY_S, TransactionalProducer

if TYPE_CHECKING:
    from collections.abc import Callable

    from confluent_kafka.admin import AdminClient
    from faust.types import ChannelT

    from streams.connection import Connection
    from streams.role import Place, Role

STUCK_S = 60.0
MOST_ABORTS = 20
BATCH_S = 240.0  # before the group gives our partitions away; the projector may wait for Redis until then
LAG_EVERY_S = 1.0
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
        self._worker, self._static = worker, static
        own_id = connection.transactional_id(role.name, worker)
        self._intake = Intake(role, connection, batch_rows, gather_ms / 1000)
        self._producer = TransactionalProducer(connection, own_id)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="kafka")
        self._generation = 0
        self._assigned: set[Place] = set()
        self._next_tick = time.monotonic()
        self._measured = self._committed = 0.0
        self._closed = False
        self._aborts = 0
        self._in_flight: tuple[float, Batch] | None = None
        self._admin: AdminClient | None = None
        self._restorer = Restorer(
            connection,
            connection.group(role.name),
            own_id,
            tables,
            fail,
            current=lambda: self._generation,
            mine=self._mine if standby and tables else None,
        )

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
        self._producer.open()
        self._intake.open(self._worker, static=self._static, on_assign=self._on_assign, on_revoke=self._on_revoke)
        self._restorer.start()

    def _mine(self) -> frozenset[int]:
        """The partitions whose stores the role writes, or will as soon as they are restored."""
        return frozenset(number for _, number in self._assigned)

    def _close(self) -> None:
        self._closed = True
        self._generation += 1
        self._restorer.stop()
        self._intake.consumer.close()
        for table in self.tables:
            table.close()

    # ------------------------------------------------------------------ assignment (inside a poll, in our thread)
    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Nothing flows yet: what came in the same poll would be thrown away, and the consumer be past it."""
        self._changed()
        consumer.assign([])
        self._assigned = {self._intake.place(place.topic, place.partition) for place in partitions}
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
        self._intake.clear()
        self.progress.lag = {}
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
            self._intake.start(ready)
            self.progress.moved = time.monotonic()

    # ------------------------------------------------------------------ collecting
    def _collect(self) -> Batch | None:
        """The next batch, or None if nothing came within a poll."""
        if self._closed:
            return None
        self._resume_restored()
        self._measure_lag()
        generation, now = self._generation, time.monotonic()
        to_tick = max(0.0, self._next_tick - now) if self.role.tick_ms else POLL_S
        messages = self._intake.poll(to_tick, self._committed)
        if generation != self._generation:  # partitions came or went: positions start from the committed offsets again
            return None
        tick = bool(self.role.tick_ms) and time.monotonic() >= self._next_tick
        if tick:
            self._next_tick = time.monotonic() + (self.role.tick_ms or 0) / 1000
        return self._intake.batch(messages, frozenset(self._assigned), tick=tick)

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
                self._in_flight = time.monotonic(), batch
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
        self._producer.begin()
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
        self._producer.send(effects.sends)
        marks = [self._producer.send_changelog(table) for table in self.tables]
        self.fail.reach(FailPoint.AFTER_PRODUCE)
        self._producer.flush()
        self.fail.reach(FailPoint.BEFORE_OFFSETS)
        if offsets := [self._intake.kafka(place, span.next) for place, span in batch.spans.items()] or self._standing():
            self._producer.send_offsets(offsets, self._intake.consumer.consumer_group_metadata())
        self.fail.reach(FailPoint.BEFORE_COMMIT)
        return [{number: mark[0] for number, mark in found.items()} for found in marks]

    def _standing(self) -> list[TopicPartition]:
        """What a batch without records commits."""
        return self._intake.standing()

    def _commit(self) -> None:
        self._producer.commit()

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
            for message in self._intake.consumer.consume(100, 0.1):
                error = message.error()
                if error is not None and error.code() != END_OF_PARTITION:
                    raise_for(error)

    def _rewind(self, batch: Batch) -> None:
        for table in self.tables:
            table.discard()
        self.role.aborted()
        self._producer.abort()
        self._intake.rewind(batch)

    # ------------------------------------------------------------------ watchdog
    @Service.task
    async def _watch(self) -> None:
        """End a worker that makes no progress though there is something to do."""
        while not self.should_stop:
            await self.sleep(5)
            idle = time.monotonic() - self.progress.moved
            lag = sum(self.progress.lag.values())
            if self._in_flight:  # work is progress, up to the time that the group waits for it
                if time.monotonic() - self._in_flight[0] > BATCH_S:
                    leave(Stuck(f"one batch takes more than {BATCH_S:.0f} s"))
            elif idle > STUCK_S and lag and not self.restoring:
                leave(Stuck(f"no progress for {idle:.0f} s with a lag of {lag} records"))

    def _measure_lag(self) -> None:
        """As far as the last fetch knew the ends; once a second."""
        if time.monotonic() < self._measured + LAG_EVERY_S:
            return
        self._measured = time.monotonic()
        self._tell_lag(self._intake.lag(self._intake.ends()))

    def _tell_lag(self, known: dict[str, int]) -> None:
        """Of partitions that do not flow yet nothing is known."""
        self.progress.lag = dict.fromkeys((f"{topic}-{number}" for topic, number in self._assigned), 0) | known

    async def look_at_lag(self) -> None:
        """While a batch takes long, ask the broker how far the inputs went on; otherwise each poll finds out."""
        working = self._in_flight
        if working is None or time.monotonic() - working[0] < LAG_EVERY_S:
            return
        try:
            found = await asyncio.get_running_loop().run_in_executor(None, self._ask_ends)
        except KafkaException as error:  # a heartbeat can wait, and says what it knew
            log.warning("how far the inputs went on is not known: %s", error.args[0].str())
            return
        if self._in_flight is working:
            self._tell_lag(self._intake.lag(found, working[1]))

    def _ask_ends(self) -> dict[tuple[str, int], int]:
        self._admin = self._admin or self.connection.admin()
        names = [(self.connection.layout.name(topic), number) for topic, number in self._assigned.copy()]
        return ends(self._admin, names, stable=True)
