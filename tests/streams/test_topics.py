"""Topics on a real broker: whose clock they believe, and what is said of a layout that was changed."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from confluent_kafka import KafkaError, Message
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from infra import topics
from infra.local.stack import Stack
from infra.settings import Settings
from schemas.topics import DAY_MS, Topic
from streams import cluster
from streams.connection import Connection, connect
from streams.exits import Exit

MINUTE_MS = 60_000


@pytest.fixture(scope="module")
def laid_out(stack: Stack) -> Iterator[Connection]:
    connection = connect(Settings(home=stack.home, prefix=f"layout-{secrets.token_hex(4)}", partitions=1))
    topics.create(connection.config, connection.layout)
    yield connection
    admin = connection.admin()
    for answer in admin.delete_topics([connection.layout.name(topic) for topic in Topic]).values():
        answer.result(30)


def refused(connection: Connection, topic: Topic, at_ms: int) -> int | None:
    """The code with which the broker refuses a record of this time; None where it takes it."""
    codes: list[int | None] = []

    def told(error: KafkaError | None, _message: Message) -> None:
        codes.append(error.code() if error else None)

    producer = connection.producer()
    producer.produce(connection.layout.name(topic), b"{}", b"key", 0, on_delivery=told, timestamp=at_ms)
    producer.flush(30)
    (code,) = codes
    return code


@pytest.mark.parametrize("topic", [Topic.REQUESTS, Topic.ACTUALS, Topic.CUSTOM_METRICS])
def test_the_broker_refuses_a_record_from_a_clock_ten_minutes_ahead_and_takes_one_of_years_ago(
    laid_out: Connection, topic: Topic
) -> None:
    now_ms = time.time_ns() // 1_000_000
    assert refused(laid_out, topic, now_ms + 10 * MINUTE_MS) == KafkaError.INVALID_TIMESTAMP
    assert refused(laid_out, topic, now_ms + 3 * MINUTE_MS) is None
    assert refused(laid_out, topic, now_ms - 3_000 * DAY_MS) is None


def test_a_bound_that_was_widened_on_the_broker_is_said_and_stops_nobody(laid_out: Connection) -> None:
    assert topics.check(laid_out.config, laid_out.layout) == []
    name = laid_out.layout.name(Topic.ACTUALS)
    wider = ConfigEntry("message.timestamp.after.max.ms", str(DAY_MS), incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, name, incremental_configs=[wider])
    admin = laid_out.admin()  # has to outlive the answer it waits for
    admin.incremental_alter_configs([resource])[resource].result(30)
    limit = time.monotonic() + 30  # the controller tells the broker a moment later
    while not (found := topics.check(laid_out.config, laid_out.layout)) and time.monotonic() < limit:
        time.sleep(0.1)
    (finding,) = found
    assert (finding.topic, finding.fatal) == (name, False)
    assert f"has message.timestamp.after.max.ms {DAY_MS}, 300000 is asked" in finding.text
    topics.require(laid_out.config, laid_out.layout)


def test_a_worker_refuses_stores_of_another_cluster_and_says_which(laid_out: Connection, stack: Stack) -> None:
    state = stack.home / "state" / laid_out.layout.prefix
    (state / "joiner" / "1" / "join-changelog-0").mkdir(parents=True)
    cluster.claim(state / "joiner" / "1", "another")
    settings = {"WATCHKEEPER_HOME": str(stack.home), "WATCHKEEPER_PREFIX": laid_out.layout.prefix}
    ended = subprocess.run(
        [sys.executable, "-m", "streams.cli", "worker", "joiner"],
        env=os.environ | settings | {"WATCHKEEPER_PARTITIONS": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == Exit.LAYOUT
    assert f"are of the Kafka cluster another, and the broker is of {laid_out.cluster_id()}" in ended.stderr
    shutil.rmtree(state)
