"""The broker and Redis themselves: real servers, real transactions, real kills."""

import secrets
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic
from redis import Redis

from infra.local import stack as local
from infra.local.stack import Stack
from infra.settings import Settings


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack that may be killed: the session's is shared."""
    home = tmp_path_factory.mktemp("own")
    yield local.up(home)
    local.down(home)


def create_topic(stack: Stack) -> str:
    topic = f"test-{secrets.token_hex(4)}"
    admin = AdminClient({"bootstrap.servers": stack.kafka})  # has to outlive the answer it waits for
    admin.create_topics([NewTopic(topic, 2)])[topic].result(30)
    return topic


def produce(stack: Stack, topic: str, value: bytes, *, commit: bool) -> None:
    producer = Producer({"bootstrap.servers": stack.kafka, "transactional.id": topic})
    producer.init_transactions(60)
    producer.begin_transaction()
    for key in range(100):
        producer.produce(topic, value, key=str(key))
    producer.flush(30)
    if commit:
        producer.commit_transaction(30)
    else:
        producer.abort_transaction(30)


def read_committed(stack: Stack, topic: str, count: int) -> list[bytes | None]:
    config = {"group.id": topic, "auto.offset.reset": "earliest", "isolation.level": "read_committed"}
    consumer = Consumer({"bootstrap.servers": stack.kafka, **config})
    consumer.subscribe([topic])
    values: list[bytes | None] = []
    ends = time.monotonic() + 60
    while len(values) < count and time.monotonic() < ends:
        values += [message.value() for message in consumer.consume(count, 0.5)]
    values += [message.value() for message in consumer.consume(count, 0.5)]  # more than expected would come now
    consumer.close()
    return values


def test_a_committed_transaction_is_read_and_an_aborted_one_is_not(stack: Stack) -> None:
    topic = create_topic(stack)
    produce(stack, topic, b"kept", commit=True)
    produce(stack, topic, b"aborted", commit=False)
    assert read_committed(stack, topic, 100) == [b"kept"] * 100


def test_up_a_second_time_changes_nothing(stack: Stack) -> None:
    before = local.status(stack.home)
    assert local.up(stack.home) == stack
    assert [part.pid for part in local.status(stack.home)] == [part.pid for part in before]


def test_settings_without_servers_lead_to_the_running_stack(stack: Stack) -> None:
    settings = Settings(home=stack.home)
    assert settings.kafka_config() == {"bootstrap.servers": stack.kafka}
    assert settings.redis_address() == stack.redis_url


def test_a_stack_shows_its_parts_and_hides_its_password(stack: Stack) -> None:
    assert [(part.name, part.address) for part in local.status(stack.home) if part.pid] == [
        ("kafka", stack.kafka),
        ("redis", stack.redis_url.rpartition("@")[2].removesuffix("/0")),
    ]
    assert stack.redis_url not in repr(stack)
    assert {log.name for log in local.logs(stack.home)} == {"kafka.log", "redis.log"}


def test_two_stacks_on_one_machine_keep_apart(stack: Stack, own: Stack) -> None:
    assert stack.kafka != own.kafka
    topic = create_topic(own)
    assert topic not in AdminClient({"bootstrap.servers": stack.kafka}).list_topics(timeout=10).topics


def test_what_was_committed_survives_a_kill_of_the_broker(own: Stack) -> None:
    topic = create_topic(own)
    produce(own, topic, b"kept", commit=True)
    local.kill_broker(own.home)
    assert local.find(own.home) == own  # Redis still runs, and the broker will come back to its address
    local.start_broker(own.home)
    assert read_committed(own, topic, 100) == [b"kept"] * 100


def test_redis_comes_back_to_its_address_after_a_kill(own: Stack) -> None:
    local.kill_redis(own.home)
    local.start_redis(own.home)
    with Redis.from_url(own.redis_url) as client:
        assert client.ping()


def test_down_stops_both_and_up_finds_the_data_again(own: Stack) -> None:
    topic = create_topic(own)
    produce(own, topic, b"kept", commit=True)
    with Redis.from_url(own.redis_url) as client:
        client.set("kept", "yes")
    local.down(own.home)
    assert local.find(own.home) is None
    assert [part.pid for part in local.status(own.home)] == [None, None]
    again = local.up(own.home)
    assert read_committed(again, topic, 100) == [b"kept"] * 100
    with Redis.from_url(again.redis_url) as client:
        assert client.get("kept") == b"yes"


def test_where_no_stack_ever_ran_there_is_nothing_to_find_to_stop_or_to_show(tmp_path: Path) -> None:
    local.down(tmp_path)
    assert (local.find(tmp_path), local.status(tmp_path), local.logs(tmp_path)) == (None, [], [])
    assert list(tmp_path.iterdir()) == []
