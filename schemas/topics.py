"""The topic layout: names, keys, partition counts and how long each is kept.

Topics in `COPARTITIONED` are keyed by association ID and have the same partition count, so that the join is local.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

DAY_MS = 24 * 3_600_000
FOREVER = -1


class Topic(StrEnum):
    """Every topic by its short name; `name()` of a `Layout` gives the one on the broker."""

    REQUESTS = "requests"
    PREDICTIONS = "predictions"
    SHADOW_PREDICTIONS = "shadow-predictions"
    ACTUALS = "actuals"
    OUTCOMES = "outcomes"
    CUSTOM_METRICS = "custom-metrics"
    SUMMARIES = "summaries"
    METRICS = "metrics"
    VERDICTS = "verdicts"
    DETECTIONS = "detections"
    DIAGNOSES = "diagnoses"
    ALERTS = "alerts"
    TRIGGERS = "triggers"
    GOVERNANCE = "governance"
    AUDIT = "audit"
    DEPLOYMENTS = "deployments"
    PACKAGES = "packages"
    SWITCHES = "switches"
    DEAD_LETTERS = "dead-letters"
    HEARTBEATS = "heartbeats"
    JOIN_CHANGELOG = "join-changelog"
    WINDOWS_CHANGELOG = "windows-changelog"


COPARTITIONED = (
    Topic.REQUESTS,
    Topic.PREDICTIONS,
    Topic.SHADOW_PREDICTIONS,
    Topic.ACTUALS,
    Topic.OUTCOMES,
    Topic.JOIN_CHANGELOG,
)


class TopicSpec(msgspec.Struct, frozen=True):
    """How a topic is laid out. `partitions` 0 means: as many as the setting says. `retention_ms` -1 is for ever."""

    topic: Topic
    partitions: int = 0
    compacted: bool = False
    retention_ms: int = FOREVER
    config: dict[str, str] = {}


_CHANGELOG = {
    "segment.bytes": str(64 << 20),
    "min.cleanable.dirty.ratio": "0.2",
    "delete.retention.ms": str(DAY_MS),
}
_LARGE = {"max.message.bytes": str(4 << 20)}
# what applications write: an event time is judged by the record's Kafka timestamp, which their clocks set too
_APPLICATIONS = {"message.timestamp.after.max.ms": str(5 * 60_000)}

SPECS = {
    spec.topic: spec
    for spec in (
        # as long as labels may be waited for, and as what is to be trained on when they are in
        TopicSpec(Topic.REQUESTS, retention_ms=400 * DAY_MS, config=_LARGE | _APPLICATIONS),
        TopicSpec(Topic.PREDICTIONS, retention_ms=400 * DAY_MS, config=_LARGE),
        TopicSpec(Topic.SHADOW_PREDICTIONS, retention_ms=400 * DAY_MS, config=_LARGE),
        TopicSpec(Topic.ACTUALS, retention_ms=400 * DAY_MS, config=_LARGE | _APPLICATIONS),
        TopicSpec(Topic.OUTCOMES, retention_ms=400 * DAY_MS, config=_LARGE),
        TopicSpec(Topic.CUSTOM_METRICS, retention_ms=400 * DAY_MS, config=_APPLICATIONS),
        TopicSpec(Topic.SUMMARIES, retention_ms=7 * DAY_MS, config=_LARGE),
        TopicSpec(Topic.METRICS, compacted=True),
        TopicSpec(Topic.VERDICTS, compacted=True),
        TopicSpec(Topic.DETECTIONS, compacted=True),
        TopicSpec(Topic.DIAGNOSES, compacted=True),
        TopicSpec(Topic.ALERTS),
        TopicSpec(Topic.TRIGGERS),
        TopicSpec(Topic.GOVERNANCE, partitions=1, config=_LARGE),
        TopicSpec(Topic.AUDIT, partitions=1, config=_LARGE),
        TopicSpec(Topic.DEPLOYMENTS, partitions=1, compacted=True, config=_LARGE),
        TopicSpec(Topic.PACKAGES, partitions=1, compacted=True, config=_LARGE),
        TopicSpec(Topic.SWITCHES, partitions=1),
        TopicSpec(Topic.DEAD_LETTERS, retention_ms=30 * DAY_MS),
        TopicSpec(Topic.HEARTBEATS, partitions=1, compacted=True, config={"delete.retention.ms": str(DAY_MS)}),
        TopicSpec(Topic.JOIN_CHANGELOG, compacted=True, config=_CHANGELOG | _LARGE),
        TopicSpec(Topic.WINDOWS_CHANGELOG, compacted=True, config=_CHANGELOG | _LARGE),
    )
}


class Layout(msgspec.Struct, frozen=True):
    """The topics of one installation: everything under one prefix."""

    prefix: str = "watchkeeper"
    partitions: int = 6
    replication: int = 1

    def name(self, topic: Topic) -> str:
        """The topic's name on the broker.

        >>> Layout().name(Topic.REQUESTS)
        'watchkeeper.requests.v1'
        """
        return f"{self.prefix}.{topic}.v1"

    def topic(self, name: str) -> Topic:
        """The short name of a topic on the broker; ValueError where it is not ours."""
        return Topic(name.removeprefix(f"{self.prefix}.").removesuffix(".v1"))

    def partition_count(self, topic: Topic) -> int:
        """How many partitions the topic has."""
        return SPECS[topic].partitions or self.partitions
