"""Waiting until the chain has worked off everything, and then stopping it so that nothing moves under the checker."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec
from confluent_kafka import KafkaException, TopicPartition

from monitors.pace import MOST_MS
from monitors.watermark import MARK
from monitors.windows import BUCKET
from schemas.observation import Summary, SummaryRecord
from schemas.topics import Topic
from streams.roles.evaluator import EvaluatorRole
from streams.roles.governor import Governor
from streams.roles.joiner import Joiner
from streams.roles.observer import Observer
from streams.roles.projector import Projector
from streams.roles.scorer import Scorer
from streams.roles.shadow import Shadow
from tests.faults.log import messages, wait_for_stable

if TYPE_CHECKING:
    from confluent_kafka import Message

    from streams.connection import Connection
    from tests.faults.scene import Scene

# in the order in which records flow
ROLES = (Governor, Scorer, Shadow, Joiner, Observer, EvaluatorRole, Projector)
CHAIN: dict[str, tuple[Topic, ...]] = {
    role.name: tuple(topic for topic in role.inputs if topic is not Topic.HEARTBEATS) for role in ROLES
}
WRITTEN: list[Topic] = [topic for topic in Topic if topic is not Topic.HEARTBEATS]
EMISSION_S = 2.0 + MOST_MS / 1_000  # one that goes on changing speaks the less often the more of them there are
PASSES = 2  # offsets may be committed a moment before the records of the same transaction can be read

_decode = msgspec.msgpack.Decoder(SummaryRecord).decode


class NotDrainedError(AssertionError):
    """The chain did not work off its input in time: something is stuck."""


def drain(scene: Scene, timeout_s: float) -> float:
    """Wait until nothing is pending; stop the workers, the projector last. Answers the seconds it took."""
    began = time.monotonic()
    left = _wait(scene, tuple(CHAIN), began + timeout_s)
    if left:
        raise NotDrainedError(f"after {timeout_s:.0f} s this was not worked off: {left}")
    time.sleep(EMISSION_S)
    for child in [child for child in scene.fleet.children if child.role != "projector"]:
        scene.fleet.retire(child)
    if left := _wait(scene, ("projector",), time.monotonic() + 60):
        raise NotDrainedError(f"the projector did not work off {left}")
    scene.fleet.stop()
    if not wait_for_stable(scene.connection, WRITTEN):
        raise NotDrainedError("a transaction is open though all workers have ended")
    return time.monotonic() - began


def worked_off(scene: Scene, roles: tuple[str, ...], timeout_s: float) -> bool:
    """Wait until these roles, in the order in which records flow, have read what there is; whether they did in time."""
    return not _wait(scene, roles, time.monotonic() + timeout_s)


def _wait(scene: Scene, roles: tuple[str, ...], limit: float) -> dict[str, int]:
    quiet = 0
    while True:
        left: dict[str, int] = {}
        for role in roles:  # once all above are done, what a role reads does not grow any more
            if count := pending(scene.connection, role):
                left[role] = count
        quiet = 0 if left else quiet + 1
        if quiet == PASSES or time.monotonic() > limit:
            return left
        time.sleep(1.0)


def pending(connection: Connection, role: str) -> int:
    """Records that a role has yet to work on; -1 where the broker does not say."""
    places = [(topic, number) for topic in CHAIN[role] for number in connection.partitions(topic)]
    group = connection.consumer(connection.group(role))
    try:
        asked = [TopicPartition(connection.layout.name(topic), number) for topic, number in places]
        committed = group.committed(asked, 20)
        firsts = {}
        for place, at in zip(places, committed, strict=True):
            low, high = group.get_watermark_offsets(at, 20)
            if max(at.offset, low) < high:
                firsts[place] = max(at.offset, 0)
    except KafkaException:
        return -1
    else:
        found = messages(connection, firsts) if firsts else {}
        return sum(_matters(topic, message) for (topic, _), rows in found.items() for message in rows)
    finally:
        group.close()


def _matters(topic: Topic, message: Message) -> bool:
    """Ticks go on for ever, and so does what the evaluator notes of them."""
    if topic is Topic.SUMMARIES:
        return isinstance(_decode(message.value() or b""), Summary)
    return topic is not Topic.WINDOWS_CHANGELOG or (message.key() or b"")[:1] in {BUCKET, MARK}
