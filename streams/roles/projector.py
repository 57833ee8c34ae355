"""The projector: newest metrics, base buckets, alerts, deployments, packages and heartbeats into Redis.

At least once, and idempotent: every write is the newest value under its own key. A Redis that lost its data is noticed
(its mark is gone) and refilled from the topics; one that is away is waited for.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

import redis
from confluent_kafka import OFFSET_BEGINNING, TopicPartition

from infra.views import Row, Views, rows_of, rows_of_bucket, rows_of_deployments
from monitors.table import parts_of
from monitors.watermark import MARK
from monitors.windows import BUCKET
from schemas.topics import Topic
from streams.batch import Effects, columns
from streams.connection import END_OF_PARTITION, ends
from streams.role import PlainRole

if TYPE_CHECKING:
    from collections.abc import Callable

    from schemas.records import Records
    from streams.batch import Batch
    from streams.connection import Connection
    from streams.roles import Parts

WAIT_S = 1.0
VIEWS = {
    Topic.ALERTS: "alerts",
    Topic.DEPLOYMENTS: "deployments",
    Topic.PACKAGES: "packages",
    Topic.HEARTBEATS: "workers",
}
OF_DEPLOYMENTS = {
    Topic.METRICS: "metrics",
    Topic.VERDICTS: "verdicts",
    Topic.DETECTIONS: "detections",
    Topic.DIAGNOSES: "diagnoses",
    Topic.TRIGGERS: "triggers",
}

log = logging.getLogger("watchkeeper.projector")


class Projector(PlainRole):
    """Keeps the views."""

    name = "projector"
    inputs = (*OF_DEPLOYMENTS, Topic.WINDOWS_CHANGELOG, *VIEWS)
    tick_ms = 5_000

    def __init__(self, connection: Connection, views: Views) -> None:
        self._connection, self._views = connection, views

    def process(self, batch: Batch) -> Effects:
        rows: list[Row] = []
        for topic, records in batch.records.items():
            rows += rows_of_topic(topic, records)
        self._insist(lambda: self._project(rows))
        return Effects()

    def _project(self, rows: list[Row]) -> None:
        if not self._views.is_filled():
            log.warning("the views in Redis are empty and are rebuilt from the topics")
            rebuild(self._connection, self._views)
        if rows:
            self._views.put(rows)

    def _insist(self, work: Callable[[], None]) -> None:
        """Until Redis is there; the batch waits, and nothing else does."""
        warned = False
        while True:
            try:
                work()
            except (redis.ConnectionError, redis.TimeoutError) as error:
                if not warned:
                    log.warning("Redis is away, the views wait for it: %s", error)
                    warned = True
                time.sleep(WAIT_S)
            else:
                return


def rows_of_topic(topic: Topic, records: Records) -> list[Row]:
    """Where the records of a topic go in the views."""
    if topic in OF_DEPLOYMENTS:
        return rows_of_deployments(OF_DEPLOYMENTS[topic], records.values, records.keys)
    if topic is Topic.WINDOWS_CHANGELOG:
        newest = dict(zip(records.keys, records.values, strict=True))  # a busy bucket is in a batch many times
        return [row for key, value in newest.items() for row in _rows_of_state(key or b"", value)]
    return rows_of(VIEWS[topic], records.values, records.keys)


def _rows_of_state(key: bytes, value: bytes | None) -> list[Row]:
    """Of the evaluator's table the base buckets and watermarks; what was said of windows is in `metrics`."""
    if key[:1] not in (BUCKET, MARK):
        return []
    try:
        deployment, *rest = parts_of(key)
        if key[:1] == MARK:
            return [("watermarks", str(deployment), value)]
        kind, model, segment, start_ms = rest
        return rows_of_bucket(str(deployment), f"{kind}|{model}|{segment}", int(start_ms), value)
    except (ValueError, IndexError):
        return []  # no key of ours


def rebuild(connection: Connection, views: Views) -> int:
    """Fill the views from the topics as they are now; answers the number of records read."""
    views.clear()
    names = {connection.layout.name(topic): topic for topic in Projector.inputs}
    places = [(name, number) for name, topic in names.items() for number in connection.partitions(topic)]
    open_places = {place for place, end in ends(connection.admin(), places, stable=True).items() if end}
    reader = connection.consumer("rebuild", **{"enable.partition.eof": True})
    reader.assign([TopicPartition(name, number, OFFSET_BEGINNING) for name, number in sorted(open_places)])
    count = 0
    try:
        while open_places:
            good = []
            for message in reader.consume(5_000, 0.5):
                error = message.error()
                if error is None:
                    good.append(message)
                elif error.code() == END_OF_PARTITION:
                    open_places.discard((str(message.topic()), int(message.partition() or 0)))
            for name in {str(message.topic()) for message in good}:
                found = columns([message for message in good if message.topic() == name])
                views.put(rows_of_topic(names[name], found))
            count += len(good)
    finally:
        reader.close()
    views.mark_filled()
    return count


def make(parts: Parts) -> Projector:
    """A projector of this installation."""
    return Projector(parts.connection, Views(parts.settings.redis_address(), parts.connection.layout.prefix))
