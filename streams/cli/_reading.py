"""Reading topics for people: committed records between two offsets, or from one on for as long as they come."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import OffsetSpec

from streams.batch import columns
from streams.connection import REQUEST_TIMEOUT_S, ends

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from confluent_kafka import Consumer, Message

    from schemas.records import Records
    from schemas.topics import Topic
    from streams.connection import Connection
    from streams.role import Place

CHUNK = 5_000
POLL_S = 0.2
PATIENCE_S = 30.0
TIMED_OUT = KafkaError._TIMED_OUT  # noqa: SLF001  # public in librdkafka, underscored in its binding


def begins(connection: Connection, places: Iterable[Place]) -> dict[Place, int]:
    """The first offset that each partition still holds."""
    earliest = OffsetSpec.earliest()  # type: ignore[no-untyped-call]  # confluent's has no types
    asked = {TopicPartition(connection.layout.name(topic), number): earliest for topic, number in places}
    admin = connection.admin()  # has to outlive the answers that it is asked for
    answers = admin.list_offsets(asked, request_timeout=REQUEST_TIMEOUT_S) if asked else {}
    topic_of = connection.layout.topic
    return {(topic_of(place.topic), place.partition): answer.result().offset for place, answer in answers.items()}


def stops(connection: Connection, places: Iterable[Place], *, stable: bool = True) -> dict[Place, int]:
    """The end of each partition: what is committed, or with `stable` false what may yet be."""
    named = [(connection.layout.name(topic), number) for topic, number in places]
    found = ends(connection.admin(), named, stable=stable)
    return {(connection.layout.topic(name), number): offset for (name, number), offset in found.items()}


def places_of(connection: Connection, *topics: Topic) -> list[Place]:
    """All partitions of some topics."""
    return [(topic, number) for topic in topics for number in connection.partitions(topic)]


def read(connection: Connection, first: Mapping[Place, int], stop: Mapping[Place, int]) -> Iterator[list[Message]]:
    """Committed records from `first` up to, not including, `stop`, in chunks.

    KafkaException where nothing comes any more: the broker has gone away.
    """
    left = {place: end for place, end in stop.items() if first[place] < end}
    if not left:
        return
    reader = _reader(connection, {place: first[place] for place in left})
    waited_s = 0.0
    try:
        while left:
            found = reader.consume(CHUNK, POLL_S)
            waited_s = 0.0 if found else waited_s + POLL_S
            if waited_s > PATIENCE_S:
                raise KafkaException(KafkaError(TIMED_OUT, f"nothing to read for {PATIENCE_S:.0f} s"))
            for message in found:
                place, at = place_of(connection, message), message.offset() or 0
                reached = at + 1 if message.error() is None else at  # the event of the end has the offset behind it
                if reached >= left.get(place, reached + 1):
                    del left[place]
            yield [one for one in _good(found) if (one.offset() or 0) < stop[place_of(connection, one)]]
    finally:
        reader.close()


def follow(connection: Connection, first: Mapping[Place, int]) -> Iterator[list[Message]]:
    """Committed records from `first` on, without an end."""
    reader = _reader(connection, first)
    try:
        while True:
            yield _good(reader.consume(CHUNK, POLL_S))
    finally:
        reader.close()


def parts(connection: Connection, messages: Iterable[Message]) -> dict[Place, Records]:
    """Messages as columns, by partition."""
    sorted_: dict[Place, list[Message]] = defaultdict(list)
    for message in messages:
        sorted_[place_of(connection, message)].append(message)
    return {place: columns(found) for place, found in sorted_.items()}


def place_of(connection: Connection, message: Message) -> Place:
    """Topic and partition of a message."""
    return connection.layout.topic(str(message.topic())), int(message.partition() or 0)


def _reader(connection: Connection, first: Mapping[Place, int]) -> Consumer:
    reader = connection.consumer("reader", **{"enable.partition.eof": True})
    reader.assign([TopicPartition(connection.layout.name(topic), number, at) for (topic, number), at in first.items()])
    return reader


def _good(messages: list[Message]) -> list[Message]:
    found = []
    for message in messages:
        error = message.error()
        if error is None:
            found.append(message)
        elif error.fatal():
            raise KafkaException(error)
    return found
