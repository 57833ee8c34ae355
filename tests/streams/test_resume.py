"""`watchkeeper resume` on a real broker: a role whose offsets are gone goes on where it stood."""

from __future__ import annotations

import time

import pytest
from click.testing import CliRunner
from confluent_kafka import TopicPartition

from infra import topics
from infra.local.stack import Stack
from schemas.topics import Layout, Topic
from streams.cli import watchkeeper
from streams.connection import Connection

LAST_WRITE_MS = 1_700_000_000_000


@pytest.fixture
def connection(stack: Stack) -> Connection:
    made = Connection({"bootstrap.servers": stack.kafka}, Layout(f"resume{time.time_ns() // 1_000_000}", 2))
    topics.create(made.config, made.layout)
    return made


def put(connection: Connection, topic: Topic, partition: int, *times_ms: int) -> None:
    producer = connection.producer()
    for at_ms in times_ms:
        producer.produce(connection.layout.name(topic), b"value", b"key", partition, timestamp=at_ms)
    assert producer.flush(30) == 0


def committed(connection: Connection) -> dict[tuple[str, int], int]:
    group = connection.consumer(connection.group("joiner"))
    places = [(topic, number) for topic in (Topic.PREDICTIONS, Topic.ACTUALS) for number in (0, 1)]
    found = group.committed([TopicPartition(connection.layout.name(topic), number) for topic, number in places], 30)
    group.close()
    return {(topic.value, number): at.offset for (topic, number), at in zip(places, found, strict=True)}


def run(connection: Connection, stack: Stack, *words: str) -> str:
    environment = {
        "WATCHKEEPER_HOME": str(stack.home),
        "WATCHKEEPER_PREFIX": connection.layout.prefix,
        "WATCHKEEPER_PARTITIONS": "2",
    }
    result = CliRunner(env=environment).invoke(watchkeeper, ["resume", "joiner", *words])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_role_goes_on_at_its_last_write_and_partitions_that_have_their_offsets_keep_them(
    connection: Connection, stack: Stack
) -> None:
    put(connection, Topic.JOIN_CHANGELOG, 0, LAST_WRITE_MS - 5_000, LAST_WRITE_MS)
    put(connection, Topic.PREDICTIONS, 0, LAST_WRITE_MS - 9_000, LAST_WRITE_MS - 6_000, LAST_WRITE_MS + 60_000)
    put(connection, Topic.PREDICTIONS, 1, LAST_WRITE_MS - 9_000)
    put(connection, Topic.ACTUALS, 1, LAST_WRITE_MS - 9_000, LAST_WRITE_MS + 1, LAST_WRITE_MS + 2)
    group = connection.consumer(connection.group("joiner"))
    group.commit(offsets=[TopicPartition(connection.layout.name(Topic.ACTUALS), 1, 1)], asynchronous=False)
    group.close()
    assert "2023-11-14 22:13:20 UTC" in run(connection, stack, "--yes")
    kept = {("predictions", 0): 2, ("predictions", 1): 1, ("actuals", 1): 1}
    assert {place: at for place, at in committed(connection).items() if at >= 0} == kept
    assert "nothing to do" in run(connection, stack, "--yes", "--at", "2020-01-01")
    assert {place: at for place, at in committed(connection).items() if at >= 0} == kept
