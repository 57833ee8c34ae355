"""A view of a topic reads what is there, from wherever the topic begins by now."""

from __future__ import annotations

import time

from confluent_kafka import TopicPartition

from infra import topics
from infra.local.stack import Stack
from schemas.topics import Layout, Topic
from streams.connection import Connection
from streams.views import TopicView


def test_a_topic_whose_first_records_are_gone_is_read_from_where_it_begins(stack: Stack) -> None:
    connection = Connection({"bootstrap.servers": stack.kafka}, Layout(f"view{time.time_ns() // 1_000_000}", 1))
    topics.create(connection.config, connection.layout)
    name, producer, admin = connection.layout.name(Topic.AUDIT), connection.producer(), connection.admin()
    for number in range(5):
        producer.produce(name, b"%d" % number, b"k%d" % number)
    assert producer.flush(30) == 0
    gone = admin.delete_records([TopicPartition(name, 0, 3)], request_timeout=30)
    for answer in gone.values():
        answer.result(30)
    view = TopicView(connection, Topic.AUDIT, int)
    assert view.rows == {"k3": 3, "k4": 4}
    view.close()
