"""Views of small topics on a real broker: what one bad record on them does."""

from __future__ import annotations

import logging
import time

import msgspec
import pytest

from infra import topics
from infra.local.stack import Stack
from schemas.deployment import Deployment, Model
from schemas.package import Target, TargetType
from schemas.topics import Layout, Topic
from streams.catalog import Catalog, History, Switches
from streams.connection import Connection
from streams.exits import CannotGoOn

GOOD = Deployment("loans", 1, Target("paid", TargetType.REGRESSION), (), Model("d" * 64, "loans", "1"))
NEWER = b'{"name": "loans", "revision": "of a later version"}'


@pytest.fixture
def connection(stack: Stack) -> Connection:
    made = Connection({"bootstrap.servers": stack.kafka}, Layout(f"views{time.time_ns() // 1_000_000}", 1))
    topics.create(made.config, made.layout)
    return made


def put(connection: Connection, topic: Topic, key: bytes, value: bytes) -> None:
    producer = connection.producer()
    producer.produce(connection.layout.name(topic), value, key)
    assert producer.flush(30) == 0


def test_a_record_that_cannot_be_read_leaves_the_last_good_value_and_is_logged_once(
    connection: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    put(connection, Topic.DEPLOYMENTS, b"loans", msgspec.json.encode(GOOD))
    for key, value in ((b"loans", NEWER), (b"cards", b"\xff"), (b"\xff\xfe", msgspec.json.encode(GOOD))):
        put(connection, Topic.DEPLOYMENTS, key, value)
    put(connection, Topic.PACKAGES, b"d", b"{")
    put(connection, Topic.SWITCHES, b"loans", b"[]")
    with caplog.at_level(logging.ERROR):
        catalog = Catalog(connection)
        switches = Switches(connection, "scorer")
        catalog.catch_up()
        catalog.refresh()
        switches.catch_up()
    assert catalog.deployments == {"loans": GOOD}
    assert catalog.packages == {}
    assert switches.spans("loans", Topic.REQUESTS.value, 0) == ([], [])
    assert len([record for record in caplog.records if "cannot be read" in record.message]) == 5


def test_the_audit_log_is_read_whole_or_not_at_all(connection: Connection) -> None:
    put(connection, Topic.AUDIT, b"loans", b"{}")
    with pytest.raises(CannotGoOn, match=r"audit\.v1: the record at offset 0 .* cannot be read"):
        History(connection)
