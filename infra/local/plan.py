"""Ports and secrets of one stack: chosen once and kept, so that a restart finds its data and clients their server."""

import base64
import json
import secrets
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from infra.local import places
from infra.local.processes import free_port

KAFKA_PORT, CONTROLLER_PORT, REDIS_PORT = 19092, 19093, 16379


@dataclass(frozen=True, slots=True)
class Plan:
    """What is needed to start the servers of a stack, and to reach them."""

    kafka_port: int
    controller_port: int
    redis_port: int
    cluster_id: str
    redis_password: str = field(repr=False)

    @property
    def bootstrap(self) -> str:
        """librdkafka's `bootstrap.servers`; not "localhost", which may mean ::1 first."""
        return f"127.0.0.1:{self.kafka_port}"

    @property
    def redis_url(self) -> str:
        """Contains the password."""
        return f"redis://:{self.redis_password}@127.0.0.1:{self.redis_port}/0"


def choose() -> Plan:
    """Free ports, a new cluster and a new password."""
    return Plan(
        kafka_port=free_port(KAFKA_PORT),
        controller_port=free_port(CONTROLLER_PORT),
        redis_port=free_port(REDIS_PORT),
        # 16 bytes in URL-safe base64; Kafka's tools take an ID that begins with "-" for an option
        cluster_id=base64.urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("=").replace("-", "A"),
        redis_password=secrets.token_urlsafe(18),
    )


def move(plan: Plan) -> Plan:
    """The same data and password on ports that are free now."""
    return replace(
        plan,
        kafka_port=free_port(plan.kafka_port),
        controller_port=free_port(plan.controller_port),
        redis_port=free_port(plan.redis_port),
    )


def load(state: Path) -> Plan | None:
    """None where no stack was ever started."""
    try:
        return Plan(**json.loads(_path(state).read_text()))
    except FileNotFoundError:
        return None


def save(state: Path, plan: Plan) -> None:
    """Keep it for the next start."""
    places.write_private(_path(state), json.dumps(asdict(plan), indent=1))


def _path(state: Path) -> Path:
    return state / "stack.json"
