"""Lag of every role by source partition, for `watchkeeper status --lag`.

Asked of the broker, not of heartbeats: a role whose workers are all dead says nothing of itself, and its lag grows.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import msgspec
from confluent_kafka import ConsumerGroupTopicPartitions, KafkaError, KafkaException

from streams import roles
from streams.connection import ends

if TYPE_CHECKING:
    from collections.abc import Iterable

    from confluent_kafka.admin import AdminClient

    from streams.connection import Connection

PATIENCE_S = 15.0


class Lag(msgspec.Struct, frozen=True):
    """How far a role is behind on one source partition.

    `lag`: offsets from what it has committed to the end; the marks that end transactions are among them, so that a
    partition that transactions write to has a lag of 1 or so where all is done.
    """

    role: str
    topic: str
    partition: int
    committed: int
    end: int
    lag: int


def lags(connection: Connection) -> list[Lag]:
    """Of every role and partition that it has ever committed, by role, topic and partition."""
    admin, layout = connection.admin(), connection.layout
    committed = {role: _committed(admin, connection.group(role)) for role in roles.names()}
    found = ends(admin, sorted({place for places in committed.values() for place in places}), stable=False)
    return [
        Lag(role, layout.topic(name).value, number, offset, end := found[name, number], max(0, end - offset))
        for role, places in sorted(committed.items())
        for (name, number), offset in sorted(places.items())
    ]


def totals(found: Iterable[Lag]) -> dict[str, int]:
    """The lag of all partitions of each role.

    >>> totals([Lag("joiner", "actuals", 0, 1, 4, 3), Lag("joiner", "actuals", 1, 0, 9, 9)])
    {'joiner': 12}
    """
    total: dict[str, int] = defaultdict(int)
    for one in found:
        total[one.role] += one.lag
    return dict(total)


def _committed(admin: AdminClient, group: str) -> dict[tuple[str, int], int]:
    (answer,) = admin.list_consumer_group_offsets(
        [ConsumerGroupTopicPartitions(group)], request_timeout=PATIENCE_S
    ).values()
    try:
        places = answer.result().topic_partitions or []
    except KafkaException as error:
        if error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:  # it has never run
            return {}
        raise
    return {(place.topic, place.partition): place.offset for place in places if place.offset >= 0}
