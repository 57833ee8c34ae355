"""Whether Kafka and Redis answer, for `watchkeeper status --servers`."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

import msgspec
import redis
from confluent_kafka import KafkaException

from streams.connection import connect

if TYPE_CHECKING:
    from infra.settings import Settings

PATIENCE_S = 5.0


class Server(msgspec.Struct, frozen=True):
    """One server: where it is, what it says of itself or why it does not."""

    name: str
    address: str
    answers: bool
    state: str


def ask_kafka(settings: Settings) -> Server:
    """Brokers and our topics, as the cluster's metadata has them."""
    connection = connect(settings)
    address = connection.config["bootstrap.servers"]
    try:
        found = connection.admin().list_topics(timeout=PATIENCE_S)
    except KafkaException as error:
        return Server("kafka", address, answers=False, state=f"does not answer: {error.args[0].str()}")
    ours = [name for name in found.topics if name.startswith(f"{settings.prefix}.")]
    return Server("kafka", address, answers=True, state=f"{len(found.brokers)} broker(s), {len(ours)} topics of ours")


def ask_redis(settings: Settings) -> Server:
    """Its version and memory; the password is left out of the address."""
    url = settings.redis_address()
    parts = urlsplit(url)
    address = f"{parts.hostname or parts.path}:{parts.port}" if parts.port else str(parts.hostname or parts.path)
    try:
        client = redis.Redis.from_url(url, socket_timeout=PATIENCE_S, socket_connect_timeout=PATIENCE_S)
        info = cast("dict[str, object]", client.info())
    except redis.RedisError as error:
        return Server("redis", address, answers=False, state=f"does not answer: {error}")
    return Server(
        "redis", address, answers=True, state=f"version {info['redis_version']}, {info['used_memory_human']} used"
    )
