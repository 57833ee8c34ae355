"""Reading what is on the log, partition by partition, as a consumer would: committed records, or all of them."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import TYPE_CHECKING, cast

from confluent_kafka import OFFSET_BEGINNING, KafkaError, TopicPartition

from streams.batch import columns
from streams.connection import ends

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from confluent_kafka import Message

    from schemas.records import Records
    from schemas.topics import Topic
    from streams.connection import Connection

Place = tuple["Topic", int]


def read(connection: Connection, topic: Topic, partition: int, *, committed: bool = True) -> Records:
    """All records of a partition."""
    return read_all(connection, [(topic, partition)], committed=committed)[topic, partition]


def read_all(connection: Connection, places: Iterable[Place], *, committed: bool = True) -> dict[Place, Records]:
    """All records of some partitions, by one consumer: to open one takes longer than to read."""
    found = messages(connection, dict.fromkeys(places, OFFSET_BEGINNING), committed=committed)
    return {place: columns(records) for place, records in found.items()}


def messages(
    connection: Connection, firsts: Mapping[Place, int], *, committed: bool = True
) -> dict[Place, list[Message]]:
    """The records of each partition from an offset to its end."""
    found: dict[Place, list[Message]] = {place: [] for place in firsts}
    places = {(connection.layout.name(topic), number): (topic, number) for topic, number in firsts}
    level = "read_committed" if committed else "read_uncommitted"
    reader = connection.consumer("faults-check", **{"enable.partition.eof": True, "isolation.level": level})
    try:
        reader.assign([TopicPartition(*name, firsts[place]) for name, place in places.items()])
        ended: set[Place] = set()
        while len(ended) < len(found):
            # a batch waits until it is full or its time is over
            for message in reader.consume(1, 1.0) + reader.consume(10_000, 0.02):
                error = message.error()
                place = places.get((str(message.topic()), cast("int", message.partition())))
                if place is None:
                    continue
                if error is None:
                    found[place].append(message)
                elif error.code() == KafkaError._PARTITION_EOF:
                    ended.add(place)
    finally:
        reader.close()
    return found


def partitions(connection: Connection, *topics: Topic) -> Iterator[Place]:
    """Each partition of each of these topics."""
    for topic in topics:
        for number in connection.partitions(topic):
            yield topic, number


def newest(records: Records) -> dict[bytes, bytes]:
    """What a compacted topic would keep."""
    kept: dict[bytes, bytes] = {}
    for key, value in zip(records.keys, records.values, strict=True):
        if value is None:
            kept.pop(key or b"", None)
        else:
            kept[key or b""] = value
    return kept


def histories(connection: Connection, topic: Topic) -> dict[bytes, list[bytes]]:
    """Every value of each key, in order."""
    found: dict[bytes, list[bytes]] = defaultdict(list)
    for records in read_all(connection, partitions(connection, topic)).values():
        for key, value in zip(records.keys, records.values, strict=True):
            found[key or b""].append(value or b"")
    return found


def wait_for_stable(connection: Connection, topics: list[Topic], timeout_s: float = 40.0) -> bool:
    """Whether no transaction is open on these topics, in the end."""
    places = [(connection.layout.name(topic), number) for topic, number in partitions(connection, *topics)]
    limit = time.monotonic() + timeout_s
    admin = connection.admin()
    while time.monotonic() < limit:
        if ends(admin, places, stable=True) == ends(admin, places, stable=False):
            return True
        time.sleep(0.5)
    return False
