"""Lag of every role by source partition, for `watchkeeper status --lag`.

Asked of the broker, not of heartbeats: a role whose workers are all dead says nothing of itself, and its lag grows.

The end of a partition counts the marks that end transactions, too, and what was aborted. The broker does not say how
many of the last offsets are records; reading them does. So a lag of a few offsets is read and counted, and nobody
wonders at a lag of 1 where all is done; a long one is told in offsets, as a mark for each transaction hardly matters.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import msgspec
from confluent_kafka import ConsumerGroupTopicPartitions, KafkaError, KafkaException

from streams import roles
from streams.cli._reading import place_of, read, stops

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from confluent_kafka.admin import AdminClient

    from streams.connection import Connection
    from streams.role import Place

PATIENCE_S = 15.0
COUNTED = 1_000
"""So many offsets are read to count the records in them."""


class Lag(msgspec.Struct, frozen=True):
    """How far a role is behind on one source partition, from what it has committed to the end.

    `lag`: records still to read. Where `end` is more than 1,000 offsets ahead, these offsets, marks of transactions
    among them.
    """

    role: str
    topic: str
    partition: int
    committed: int
    end: int
    lag: int


def lags(connection: Connection) -> list[Lag]:
    """Of every role and partition that it has ever committed, by role, topic and partition."""
    admin = connection.admin()
    committed = {role: _committed(admin, connection, connection.group(role)) for role in roles.names()}
    places = sorted({place for places in committed.values() for place in places})
    end, stable = (stops(connection, places, stable=stable) for stable in (False, True))
    short: dict[Place, int] = {}
    for found in committed.values():
        for place, offset in found.items():
            if 0 < end[place] - offset <= COUNTED:
                short[place] = min(offset, short.get(place, offset))
    records = _offsets(connection, short, {place: min(stable[place], end[place]) for place in short})
    return [
        Lag(
            role,
            place[0].value,
            place[1],
            offset,
            end[place],
            lag_of(offset, end[place], stable[place], records[place]),
        )
        for role, places in sorted(committed.items())
        for place, offset in sorted(places.items())
    ]


def lag_of(committed: int, end: int, stable: int, records: Iterable[int]) -> int:
    """Records from an offset on; what is above the `stable` end may yet be committed, and counts.

    `records`: the offsets of those below it, where the lag is short.

    >>> lag_of(7, 8, 8, [])  # the mark of the last transaction
    0
    >>> lag_of(4, 9, 8, [3, 4, 6])  # two to read, and an open transaction
    3
    >>> lag_of(0, 5_000, 5_000, [])
    5000
    """
    if end - committed > COUNTED:
        return end - committed
    return sum(offset >= committed for offset in records) + max(0, end - max(stable, committed))


def totals(found: Iterable[Lag]) -> dict[str, int]:
    """The lag of all partitions of each role.

    >>> totals([Lag("joiner", "actuals", 0, 1, 4, 3), Lag("joiner", "actuals", 1, 0, 9, 9)])
    {'joiner': 12}
    """
    total: dict[str, int] = defaultdict(int)
    for one in found:
        total[one.role] += one.lag
    return dict(total)


def _offsets(connection: Connection, first: Mapping[Place, int], stop: Mapping[Place, int]) -> dict[Place, list[int]]:
    """Where the committed records are, by partition."""
    found: dict[Place, list[int]] = defaultdict(list)
    for messages in read(connection, first, stop):
        for message in messages:
            found[place_of(connection, message)].append(message.offset() or 0)
    return found


def _committed(admin: AdminClient, connection: Connection, group: str) -> dict[Place, int]:
    (answer,) = admin.list_consumer_group_offsets(
        [ConsumerGroupTopicPartitions(group)], request_timeout=PATIENCE_S
    ).values()
    try:
        places = answer.result().topic_partitions or []
    except KafkaException as error:
        if error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:  # it has never run
            return {}
        raise
    topic_of = connection.layout.topic
    return {(topic_of(place.topic), place.partition): place.offset for place in places if place.offset >= 0}
