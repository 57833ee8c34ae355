"""Restoring table partitions from their changelogs, beside the poll loop.

The rules that make it exact (each was paid for):
- First the committed input offsets are read: the broker answers only when no transaction that holds offsets is pending.
- Then the changelog is replayed, committed records only, up to the high watermark asked after that. Not to the first
  end-of-partition event and not to the last stable offset: both stop below a transaction that may yet commit.
- A dead worker's open transaction would hold us back until it times out: the answer about the offsets, and the replay.
  Its id is in the header of the records above the stable offset; `init_transactions` with that id aborts it at once.
- Rows without a committed offset of any input are refused: the input would be folded onto itself.
- A store from an earlier assignment is continued from its own offset, unless it cannot be trusted: its offset is beyond
  the end, its topic was created anew, or it is so old that tombstones it has not seen may be gone.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, cast

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicCollection, TopicPartition

from schemas.topics import DAY_MS
from streams.connection import END_OF_PARTITION, REQUEST_TIMEOUT_S, Connection, ends
from streams.exits import CannotGoOn
from streams.failpoints import FailPoint, FailPoints
from streams.standby import Standby
from streams.tables import Position, Store, Table

if TYPE_CHECKING:
    from collections.abc import Callable

WRITER_HEADER = "writer"
LOOK_EVERY_S = 15.0
REFUSED = (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError._AUTHENTICATION)  # noqa: SLF001  # public, though underscored
IDLE_S = 0.01  # between two looks at what standby partitions have
HELD = (KafkaError._TIMED_OUT, KafkaError.UNSTABLE_OFFSET_COMMIT)  # noqa: SLF001  # public, though underscored
COMMITTED_S = 60.0
AHEAD_MS = 5 * 60_000  # that clocks of machines may differ by
STALL_S = 1.0  # how long the stable offset may stay behind before its writer is looked for
_CHUNK = 10_000

log = logging.getLogger("watchkeeper.restore")


@dataclass(frozen=True, slots=True)
class Job:
    """One partition to restore, in the assignment `generation`; `inputs` are the source partitions that wait for it."""

    generation: int
    partition: int
    inputs: tuple[tuple[str, int], ...]


@dataclass(slots=True)
class Restorer:
    """A thread that restores jobs one after the other and reports each as done, or reports the error that ended it.

    With `mine`, which answers the partitions that are assigned, it follows all others in between (`streams.standby`).
    """

    connection: Connection
    group: str
    own_id: str
    tables: tuple[Table, ...]
    fail: FailPoints
    current: Callable[[], int]
    mine: Callable[[], frozenset[int]] | None = None
    done: queue.SimpleQueue[Job | BaseException] = field(default_factory=queue.SimpleQueue)
    progress: dict[str, float] = field(default_factory=dict)
    _jobs: queue.SimpleQueue[Job | None] = field(default_factory=queue.SimpleQueue)
    _thread: threading.Thread | None = None

    def submit(self, job: Job) -> None:
        """Restore a partition when its turn comes."""
        self.start()
        self._jobs.put(job)

    def start(self) -> None:
        """Begin, with or without a job."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="restore", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the thread after the job in hand; a job of an older generation ends itself."""
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join(30)

    def _run(self) -> None:
        standby = None if self.mine is None else Standby(self.connection, self.tables, self.mine, self._prepare)
        while (job := self._next(standby)) is not None:
            try:
                if self._restore(job):
                    self.done.put(job)
            except BaseException as error:  # noqa: BLE001  # carried to the poll loop, which ends the worker with it
                self.done.put(error)
            finally:  # done, or given up as the assignment changed: nothing of it is being restored
                for table in self.tables:
                    self._report(self.connection.layout.name(table.spec.changelog), job.partition, 1.0)
        if standby is not None:
            standby.close()

    def _next(self, standby: Standby | None) -> Job | None:
        """The next job; until there is one, standby partitions are followed."""
        if standby is None:
            return self._jobs.get()
        while True:
            try:
                return self._jobs.get(timeout=IDLE_S)
            except queue.Empty:
                try:
                    standby.follow()
                except BaseException as error:  # noqa: BLE001  # carried to the poll loop, as those of jobs
                    self.done.put(error)
                    return None

    def _prepare(self, table: Table, partition: int) -> object:
        """Make a store fit to go on from where it stands."""
        name = self.connection.layout.name(table.spec.changelog)
        return _Replay(self.connection, name, partition, table.store(partition), self.own_id).prepare()

    def _stale(self, job: Job) -> bool:
        return job.generation != self.current()

    def _restore(self, job: Job) -> bool:
        found = self._committed(job)
        if found is None:
            return False
        for table in self.tables:
            name = self.connection.layout.name(table.spec.changelog)
            replay = _Replay(self.connection, name, job.partition, table.store(job.partition), self.own_id)
            if not replay.run(partial(self._stale, job), partial(self._report, name, job.partition)):
                return False
        if all(place.error is None and place.offset < 0 for place in found):
            self._refuse_rows(job)
        self.fail.reach(FailPoint.RESTORE)
        return not self._stale(job)

    def _committed(self, job: Job) -> list[TopicPartition] | None:
        """The committed offsets of the inputs, once no transaction holds any; None if the assignment changed."""
        asked = [TopicPartition(topic, number) for topic, number in job.inputs]
        limit = time.monotonic() + COMMITTED_S
        member = self.connection.consumer(self.group)
        try:
            while not self._stale(job):
                try:
                    return member.committed(asked, STALL_S)
                except KafkaException as error:
                    if error.args[0].code() not in HELD or time.monotonic() > limit:
                        raise
                self._abort_dead_writers(job.partition)
        finally:
            member.close()
        return None

    def _abort_dead_writers(self, partition: int) -> None:
        for table in self.tables:
            name = self.connection.layout.name(table.spec.changelog)
            _Replay(self.connection, name, partition, table.store(partition), self.own_id).abort_open_writers()

    def _refuse_rows(self, job: Job) -> None:
        """Rows come with committed offsets: the broker has forgotten where the input of these stood."""
        for table in self.tables:
            if next(table.store(job.partition).scan(b""), None) is not None:
                inputs = ", ".join(f"{topic}-{number}" for topic, number in job.inputs)
                raise CannotGoOn(
                    f"{table.spec.changelog}-{job.partition} has rows, but the group {self.group} has no committed "
                    f"offset of {inputs}. The broker forgets the offsets of a group that is away for long "
                    "(offsets.retention.minutes, a week by default), and to read everything again would count it "
                    "twice: say where to go on with `watchkeeper resume`, see docs/operations.md"
                )

    def _report(self, topic: str, partition: int, share: float) -> None:
        place = f"{topic}-{partition}"
        if share < 1:
            self.progress[place] = share
        else:
            self.progress.pop(place, None)


@dataclass(slots=True)
class _Replay:
    """One changelog partition into one store."""

    connection: Connection
    topic: str
    partition: int
    store: Store
    own_id: str

    def run(self, stale: Callable[[], bool], report: Callable[[float], None]) -> bool:
        """Replay to the high watermark; False if the assignment changed meanwhile (what was read is kept)."""
        end = self.prepare()
        at = first = self.store.position.offset
        topic_id = self.store.position.topic_id
        if at >= end:
            return True
        reader = self.connection.consumer("restore", **{"enable.partition.eof": True})
        try:
            reader.assign([TopicPartition(self.topic, self.partition, at)])
            moved = look_at = time.monotonic() + STALL_S
            while at < end:
                if stale():
                    return False
                rows, reached = _read(reader, at)
                if reached > at:
                    self.store.write(rows, Position(reached, topic_id, _wall_ms()))
                    at, moved, look_at = reached, time.monotonic(), time.monotonic() + STALL_S
                    report((at - first) / (end - first))
                elif time.monotonic() > look_at:
                    waited = time.monotonic() - moved
                    log.warning(
                        "restoring %s-%d waits at %d of %d for %.0f s", self.topic, self.partition, at, end, waited
                    )
                    self._abort_dead_writers(at, end)
                    look_at = time.monotonic() + LOOK_EVERY_S
        finally:
            reader.close()
        report(1.0)
        return True

    def prepare(self) -> int:
        """Empty a store that cannot be trusted and name its topic; the high watermark."""
        admin, place = self.connection.admin(), (self.topic, self.partition)
        topic_id = str(
            admin.describe_topics(TopicCollection([self.topic]))[self.topic].result(REQUEST_TIMEOUT_S).topic_id
        )
        end = ends(admin, [place], stable=False)[place]
        self._distrust(topic_id, end)
        if self.store.position.topic_id != topic_id:  # an empty store: whose rows it will hold
            self.store.write({}, Position(self.store.position.offset, topic_id, _wall_ms()))
        return end

    def _distrust(self, topic_id: str, end: int) -> None:
        """Empty a store of another topic, beyond the end, or so old that tombstones may be gone which it never saw.

        How old one is from a clock that was ahead, nobody knows: that is as bad.
        """
        kept = self.store.position
        age_ms = _wall_ms() - kept.at_ms
        fresh = kept.topic_id == topic_id and kept.offset <= end and -AHEAD_MS < age_ms < DAY_MS
        if kept.offset and not fresh:
            log.warning("store of %s-%d is rebuilt from the start of its changelog", self.topic, self.partition)
            self.store.clear()

    def abort_open_writers(self) -> None:
        """Abort the transactions that are open above the stable offset, if any are."""
        admin, place = self.connection.admin(), (self.topic, self.partition)
        stable, end = (ends(admin, [place], stable=stable)[place] for stable in (True, False))
        if stable < end:
            self._abort_dead_writers(stable, end)

    def _abort_dead_writers(self, at: int, end: int) -> None:
        """Abort the open transactions that hold the stable offset below `end`."""
        for writer in sorted(_writers(self.connection, self.topic, self.partition, at, end) - {self.own_id}):
            log.warning(
                "aborting the open transaction of %s, which holds back %s-%d", writer, self.topic, self.partition
            )
            producer = self.connection.producer(writer)
            producer.init_transactions(REQUEST_TIMEOUT_S)


def _read(reader: Consumer, at: int) -> tuple[dict[bytes, bytes | None], int]:
    """Rows from some records, and the offset after them (after markers and aborted records too)."""
    rows: dict[bytes, bytes | None] = {}
    reached = at
    for message in reader.consume(_CHUNK, 0.1):
        error = message.error()
        if error is None:
            rows[message.key()] = message.value()  # type: ignore[index]  # our changelogs have keys
            reached = message.offset() + 1  # type: ignore[operator]  # a consumed record has an offset
        elif error.code() == END_OF_PARTITION:
            reached = max(reached, message.offset() or 0)
        elif error.fatal() or error.code() in REFUSED:
            raise KafkaException(error)
    position = reader.position(reader.assignment())[0].offset
    return rows, max(reached, position)


def _writers(connection: Connection, topic: str, partition: int, at: int, end: int) -> set[str]:
    """Transactional ids in the headers of the records between two offsets, committed or not."""
    reader = connection.consumer("restore", **{"isolation.level": "read_uncommitted", "enable.partition.eof": True})
    found: set[str] = set()
    try:
        reader.assign([TopicPartition(topic, partition, at)])
        limit = time.monotonic() + REQUEST_TIMEOUT_S
        while time.monotonic() < limit:
            for message in reader.consume(_CHUNK, 0.2):
                if message.error() is not None or (message.offset() or 0) >= end:
                    return found
                headers = cast("list[tuple[str, bytes]]", message.headers() or [])
                found |= {value.decode() for name, value in headers if name == WRITER_HEADER}
    finally:
        reader.close()
    return found


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000
