"""What earlier demos left is removed by the next one: all of it, nothing else, and never from under a running demo."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from infra import topics
from infra.demo.earlier import marked, prefix_at, remove
from infra.settings import Settings, load
from infra.views import Views
from schemas.topics import Layout, Topic
from streams.connection import Connection

if TYPE_CHECKING:
    from infra.local.stack import Stack

LEFT, OTHERS = prefix_at(time.gmtime(0)), "demo-of-mine"


@pytest.fixture
def settings(stack: Stack) -> Settings:
    """Two installations on the stack: a demo that ended long ago, and somebody's own."""
    found = load({"WATCHKEEPER_HOME": str(stack.home)})
    for prefix in (LEFT, OTHERS):
        connection = Connection({"bootstrap.servers": stack.kafka}, Layout(prefix, 1))
        topics.create(connection.config, connection.layout)
        consumer = connection.consumer(connection.group("scorer"))
        read = TopicPartition(connection.layout.name(Topic.REQUESTS), 0, 0)
        consumer.commit(offsets=[read], asynchronous=False)
        consumer.close()
        Views(found.redis_address(), prefix).mark_filled()
        for folder in ("state", "logs"):
            (stack.home / folder / prefix / "scorer").mkdir(parents=True, exist_ok=True)
    return found


def left(settings: Settings) -> list[tuple[str, ...]]:
    """What there is of both: kinds of things by prefix."""
    admin = AdminClient(dict(settings.kafka_config()))
    groups = {one.group_id for one in admin.list_consumer_groups(request_timeout=30).result().valid}
    names = admin.list_topics(timeout=30).topics
    return [
        tuple(
            kind
            for kind, there in (
                ("topics", any(name.startswith(f"{prefix}.") for name in names)),
                ("groups", f"{prefix}.scorer" in groups),
                ("views", Views(settings.redis_address(), prefix).is_filled()),
                ("state", (settings.home / "state" / prefix).exists()),
                ("logs", (settings.home / "logs" / prefix).exists()),
            )
            if there
        )
        for prefix in (LEFT, OTHERS)
    ]


def test_all_that_an_earlier_demo_left_goes_and_nothing_else_unless_a_demo_runs(settings: Settings) -> None:
    everything = ("topics", "groups", "views", "state", "logs")
    assert left(settings) == [everything, everything]
    with marked(settings.home), marked(settings.home) as second:
        assert remove(settings, second) == []
    with marked(settings.home) as mark:
        assert remove(replace(settings, brokers="elsewhere:9092"), mark) == []
        assert left(settings) == [everything, everything]
        assert remove(settings, mark) == [LEFT]
        limit = time.monotonic() + 30
        while left(settings)[0] and time.monotonic() < limit:  # topics go a moment after the broker has agreed
            time.sleep(0.2)
        assert left(settings) == [(), everything]
        assert remove(settings, mark) == []
