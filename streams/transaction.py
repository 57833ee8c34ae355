"""The writing side of a worker: effects, table changes and input offsets, committed together or not at all."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition

from streams.exits import OutcomeUnknown
from streams.restore import WRITER_HEADER
from streams.tables import Position, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from schemas.topics import Topic
    from streams.batch import Send
    from streams.connection import Connection

PARTITION_UA: Final = -1  # let the partitioner decide
RETRY_S = 0.1
COMMIT_S = 30.0


class TransactionalProducer:
    """The writing side of one worker. `own_id`: its transactional id, which changelog records name as their writer."""

    producer: Producer

    def __init__(self, connection: Connection, own_id: str) -> None:
        self._connection, self._id = connection, own_id
        self._names: dict[Topic, str] = {}

    def open(self) -> None:
        """Fence an earlier self, and end what it left open."""
        self.producer = self._connection.producer(self._id)
        self.producer.init_transactions(60)

    def begin(self) -> None:
        """Begin a transaction."""
        self.producer.begin_transaction()

    def flush(self) -> None:
        """Wait until the broker has all that was produced."""
        self.producer.flush()

    def send(self, sends: Iterable[Send]) -> None:
        """Produce effects."""
        for one in sends:
            name = self._names.setdefault(one.topic, self._connection.layout.name(one.topic))
            self._produce(name, one.keys, one.values, one.partition)

    def _produce(
        self,
        topic: str,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        partition: int | None,
        **more: Any,  # noqa: ANN401  # the client's
    ) -> None:
        """Produce columns; `more` goes with each record, as the client takes it."""
        produce: Callable[..., None] = partial(self.producer.produce, **more) if more else self.producer.produce
        where = PARTITION_UA if partition is None else partition
        for key, value in zip(keys, values, strict=True):
            while True:
                try:
                    produce(topic, value, key, where)
                    break
                except BufferError:  # the local queue is full: let some of it go
                    self.producer.poll(RETRY_S)

    def send_changelog(self, table: Table) -> dict[int, list[Position]]:
        """Produce what is staged in a table; by partition a list of one, the position once all is flushed."""
        topic = self._connection.layout.name(table.spec.changelog)
        named: dict[str, Any] = {"headers": [(WRITER_HEADER, self._id.encode())]}
        marks: dict[int, list[Position]] = {}
        for number, rows in table.staged():
            before = table.store(number).position
            mark = marks.setdefault(number, [before])
            told: dict[str, Any] = {"on_delivery": _remember(mark, before.topic_id)}
            keys, values = [*rows], [*rows.values()]
            if len(rows) == 1:
                self._produce(topic, keys, values, number, **named, **told)
                continue
            self._produce(topic, keys[:1], values[:1], number, **named)  # one header is enough to find the writer by
            self._produce(topic, keys[1:-1], values[1:-1], number)
            self._produce(topic, keys[-1:], values[-1:], number, **told)
        return marks

    def send_offsets(self, offsets: list[TopicPartition], member: object) -> None:
        """Let input offsets be a part of the transaction; the group refuses those of who is no member any more."""
        retried(lambda: self.producer.send_offsets_to_transaction(offsets, member, COMMIT_S))

    def commit(self) -> None:
        """Commit; OutcomeUnknown where it cannot be known here whether that was done."""
        try:
            retried(lambda: self.producer.commit_transaction(COMMIT_S))
        except KafkaException as error:
            failure = error.args[0]
            if failure.txn_requires_abort() or failure.fatal():
                raise
            raise OutcomeUnknown(str(failure)) from error

    def abort(self) -> None:
        """Let nothing of it have happened."""
        retried(lambda: self.producer.abort_transaction(COMMIT_S))


def _remember(mark: list[Position], topic_id: str) -> Callable[[KafkaError | None, Message], None]:
    def report(error: KafkaError | None, message: Message) -> None:
        if error is None:
            mark[0] = Position((message.offset() or 0) + 1, topic_id, time.time_ns() // 1_000_000)

    return report


def retried(call: Callable[[], object]) -> None:
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
