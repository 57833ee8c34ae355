"""The Kafka clients of a worker: one place for their settings, so that each choice and its reason is said once."""

from __future__ import annotations

import ipaddress
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from confluent_kafka import Consumer, IsolationLevel, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from schemas.topics import Layout

if TYPE_CHECKING:
    from collections.abc import Iterable

    from infra.settings import Settings
    from schemas.topics import Topic

MAX_MESSAGE_BYTES = 4 << 20
PATIENT_FETCH_BYTES = 256 << 10
ALIGNED_FETCH_BYTES = 256 << 10  # of a partition; a larger batch of records comes whole all the same
TRANSACTION_TIMEOUT_MS = 10_000  # a dead worker holds back its partitions for no longer than this
END_OF_PARTITION = KafkaError._PARTITION_EOF  # noqa: SLF001  # public in librdkafka, underscored in its binding
REQUEST_TIMEOUT_S = 15.0
RETRY_S = 0.1
NO_LEADER = (KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE, KafkaError.UNKNOWN_TOPIC_OR_PART)

QUIET = {"log_level": 2}  # librdkafka writes to the terminal by itself; what a worker should say goes through `_say`
log = logging.getLogger("watchkeeper.kafka")


@dataclass(frozen=True, slots=True)
class Connection:
    """A broker, the layout of our topics on it, and makers of clients.

    `config` is librdkafka's; it may hold secrets, which `repr` leaves out.
    """

    config: dict[str, str]
    layout: Layout

    def __repr__(self) -> str:
        return f"Connection({self.config.get('bootstrap.servers')!r}, prefix={self.layout.prefix!r})"

    @property
    def is_loopback(self) -> bool:
        """Whether every bootstrap address is this machine's own: unsigned commands count only there."""
        servers = str(self.config.get("bootstrap.servers", "")).split(",")
        return all(_is_loopback(server.rsplit(":", 1)[0].strip("[] ")) for server in servers)

    def group(self, role: str) -> str:
        """The consumer group of a role."""
        return f"{self.layout.prefix}.{role}"

    def transactional_id(self, role: str, worker: str) -> str:
        """Stable over restarts of a worker, so that a second one with its name fences it."""
        return f"{self.layout.prefix}.{role}.{worker}"

    def consumer(self, group: str, **more: object) -> Consumer:
        """A consumer that sees committed records only and commits nothing by itself."""
        settings = {
            "group.id": group,
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 20,
            "queued.max.messages.kbytes": 65_536,
            "fetch.queue.backoff.ms": 10,  # of a full local queue; librdkafka waits 1 s: 100,000 records/s at most
            "fetch.message.max.bytes": MAX_MESSAGE_BYTES,
            "error_cb": _say,
            **more,
        }
        return Consumer(QUIET | self.config | settings)

    def member(
        self, role: str, worker: str, *, static: bool = True, aligned: bool = False, patient: bool = False
    ) -> Consumer:
        """A member of a role's group. `range` keeps partition n of all inputs together, which the join needs.

        Where batches are aligned, an answer of the broker is to be a little of each partition. A patient member has the
        broker answer when there is much, or after a while, not at each record: see decision 25.
        """
        settings: dict[str, object] = {
            "session.timeout.ms": 6_000,
            "heartbeat.interval.ms": 1_500,
            "partition.assignment.strategy": "range",
            "enable.partition.eof": True,
        }
        if patient:
            settings |= {"fetch.min.bytes": PATIENT_FETCH_BYTES, "fetch.wait.max.ms": 50}
        if aligned:
            settings["fetch.message.max.bytes"] = ALIGNED_FETCH_BYTES
        if static:
            settings["group.instance.id"] = self.transactional_id(role, worker)
        return self.consumer(self.group(role), **settings)

    def producer(self, transactional_id: str | None = None, linger_ms: int = 5) -> Producer:
        """A producer; transactional where it has an id, idempotent anyhow."""
        settings: dict[str, object] = {
            "enable.idempotence": True,
            "compression.type": "lz4",
            # before a transaction's flush, which waits for no linger, nothing leaves: one request a partition, not many
            "linger.ms": 100 if transactional_id else linger_ms,
            "socket.nagle.disable": True,  # a commit is a few small requests, each waiting for the last
            "batch.size": 1 << 20,
            "partitioner": "murmur2_random",  # as Kafka's own clients: the join depends on it
            "message.max.bytes": MAX_MESSAGE_BYTES + 4096,
            "queue.buffering.max.messages": 2_000_000,
            "queue.buffering.max.kbytes": 1 << 20,
        }
        if transactional_id:
            settings |= {"transactional.id": transactional_id, "transaction.timeout.ms": TRANSACTION_TIMEOUT_MS}
        return Producer(QUIET | self.config | settings)

    def admin(self) -> AdminClient:
        """For topic layout and end offsets."""
        return AdminClient({**QUIET, **self.config})

    def cluster_id(self) -> str | None:
        """What the brokers call their cluster; None where they do not tell."""
        return self.admin().list_topics(timeout=REQUEST_TIMEOUT_S).cluster_id

    def partitions(self, topic: Topic) -> list[int]:
        """All partition numbers of a topic."""
        return list(range(self.layout.partition_count(topic)))


def connect(settings: Settings) -> Connection:
    """The broker and layout that the settings name."""
    layout = Layout(settings.prefix, settings.partitions, settings.replication)
    return Connection(settings.kafka_config(), layout)


def _say(error: KafkaError) -> None:
    """A broker is away, or all are: worth a line in the log; librdkafka goes on trying."""
    log.warning("%s", error.str())


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def ends(admin: AdminClient, partitions: Iterable[tuple[str, int]], *, stable: bool) -> dict[tuple[str, int], int]:
    """End offsets by (topic, partition).

    The last stable ones, or else the high watermarks: a transaction below those may be open and may yet commit.
    """
    level = IsolationLevel.READ_COMMITTED if stable else IsolationLevel.READ_UNCOMMITTED
    latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # confluent's has no types
    asked = {TopicPartition(topic, number): latest for topic, number in partitions}
    limit = time.monotonic() + REQUEST_TIMEOUT_S
    while True:
        answers = admin.list_offsets(asked, isolation_level=level, request_timeout=REQUEST_TIMEOUT_S) if asked else {}
        try:
            return {(place.topic, place.partition): answer.result().offset for place, answer in answers.items()}
        except KafkaException as error:  # a topic made a moment ago has no leader yet
            if error.args[0].code() not in NO_LEADER or time.monotonic() > limit:
                raise
            time.sleep(RETRY_S)
