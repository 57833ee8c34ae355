"""Topic provisioning: create what is missing, and refuse a layout on which the guarantees would not hold."""

from __future__ import annotations

import operator
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType

from schemas.topics import DAY_MS, SPECS, Layout, Topic, TopicSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

TIMEOUT_S = 30.0
QUIET = {"log_level": 2}  # else librdkafka writes twenty lines a second for as long as no broker is there
BOUNDS: Final[dict[str, tuple[Callable[[int, int], bool], str]]] = {
    "message.timestamp.after.max.ms": (operator.gt, "timestamps further ahead of the broker pass"),
    "max.message.bytes": (operator.lt, "larger records are refused by the broker"),
}
"""Of the topics' configuration what is checked, where a topic has it: what is wrong with it, and what comes of that."""


class LayoutError(RuntimeError):
    """The topics on the broker are not laid out as they must be; says which and what to do."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about a topic; `fatal` ones keep workers from starting."""

    topic: str
    text: str
    fatal: bool


def create(config: Mapping[str, str], layout: Layout) -> list[str]:
    """Create the topics that are missing; answers their names."""
    admin = AdminClient({**QUIET, **config})
    have = set(admin.list_topics(timeout=TIMEOUT_S).topics)
    wanted = [_new(layout, topic) for topic in Topic if layout.name(topic) not in have]
    created = []
    for name, answer in (admin.create_topics(wanted, request_timeout=TIMEOUT_S) if wanted else {}).items():
        try:
            answer.result()
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                message = f"topic {name} cannot be created: {error.args[0].str()}"
                raise LayoutError(message) from error
        else:
            created.append(name)
    _await_leaders(admin, created)
    return created


def _await_leaders(admin: AdminClient, names: list[str]) -> None:
    """A topic is of use when each of its partitions has a leader, a moment after it was created."""
    limit = time.monotonic() + TIMEOUT_S
    while names and time.monotonic() < limit:
        known = admin.list_topics(timeout=TIMEOUT_S).topics
        if all(name in known and all(p.leader >= 0 for p in known[name].partitions.values()) for name in names):
            return
        time.sleep(0.1)


def check(config: Mapping[str, str], layout: Layout) -> list[Finding]:
    """What is wrong, or worth a warning, with the topics on the broker."""
    admin = AdminClient({**QUIET, **config})
    have = admin.list_topics(timeout=TIMEOUT_S).topics
    findings = []
    for topic in Topic:
        name, wanted = layout.name(topic), layout.partition_count(topic)
        if name not in have:
            findings.append(Finding(name, "does not exist: run `watchkeeper topics create`", fatal=True))
        elif (count := len(have[name].partitions)) != wanted:
            text = (
                f"has {count} partitions, {wanted} are needed. Partitions cannot be grown in place (keys would move "
                "away from their state): choose a new prefix and replay, see docs/operations.md"
            )
            findings.append(Finding(name, text, fatal=True))
    present = [topic for topic in Topic if layout.name(topic) in have]
    return findings + _check_config(admin, layout, present)


def require(config: Mapping[str, str], layout: Layout) -> None:
    """LayoutError unless workers can start."""
    if fatal := [finding for finding in check(config, layout) if finding.fatal]:
        raise LayoutError("; ".join(f"{finding.topic} {finding.text}" for finding in fatal))


def _new(layout: Layout, topic: Topic) -> NewTopic:
    spec = SPECS[topic]
    policy = {"cleanup.policy": "compact"} if spec.compacted else {"retention.ms": str(spec.retention_ms)}
    return NewTopic(
        layout.name(topic), layout.partition_count(topic), layout.replication, config=policy | dict(spec.config)
    )


def _check_config(admin: AdminClient, layout: Layout, topics: list[Topic]) -> list[Finding]:
    asked = {layout.name(topic): topic for topic in topics}
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in asked]
    findings = []
    for resource, answer in (admin.describe_configs(resources) if resources else {}).items():
        spec, config = SPECS[asked[resource.name]], answer.result(TIMEOUT_S)
        policy = config["cleanup.policy"].value or ""
        if spec.compacted != ("compact" in policy) or (spec.compacted and "delete" in policy):
            wanted = "compact" if spec.compacted else "delete"
            findings.append(Finding(resource.name, f"has cleanup.policy {policy}, {wanted} is needed", fatal=True))
        elif not spec.compacted:
            findings += _shorter(resource.name, int(config["retention.ms"].value or -1), spec.retention_ms)
        findings += bounds(resource.name, spec, {name: entry.value for name, entry in config.items()})
    return findings


def bounds(name: str, spec: TopicSpec, config: Mapping[str, str | None]) -> list[Finding]:
    """What a topic takes in more than it should, or less than it must, by its configuration on the broker.

    >>> spec = TopicSpec(Topic.ACTUALS, config={"message.timestamp.after.max.ms": "300000"})
    >>> [one.text for one in bounds("actuals", spec, {"message.timestamp.after.max.ms": "3600000"})]
    ['has message.timestamp.after.max.ms 3600000, 300000 is asked: timestamps further ahead of the broker pass']
    """
    findings = []
    for key, (wrong, effect) in BOUNDS.items():
        wanted, given = spec.config.get(key), config.get(key)
        if wanted is not None and given is not None and wrong(int(given), int(wanted)):
            findings.append(Finding(name, f"has {key} {given}, {wanted} is asked: {effect}", fatal=False))
    return findings


def _shorter(name: str, kept_ms: int, promised_ms: int) -> list[Finding]:
    if kept_ms == -1 or (promised_ms != -1 and kept_ms >= promised_ms):
        return []
    promised = "for ever" if promised_ms == -1 else f"{promised_ms // DAY_MS} d"
    text = f"is kept {kept_ms // DAY_MS} d; replay and export were promised {promised}"
    return [Finding(name, text, fatal=False)]
