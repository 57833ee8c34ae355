"""The whole chain on the real broker, for tests that send records and look at what comes out."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import polars as pl
from confluent_kafka import OFFSET_BEGINNING, KafkaError, Message, Producer, TopicPartition

from infra.artifacts import ArtifactStore
from infra.settings import Settings, load
from infra.topics import create
from infra.views import Views
from schemas.actual import decode_actuals
from schemas.columnar import Decoded
from schemas.deployment import Audit, CreateDeployment, Span
from schemas.deployment import Settings as DeploymentSettings
from schemas.observation import DeadLetter
from schemas.outcome import decode_outcomes
from schemas.package import Feature, FeatureType, Package, Target, TargetType
from schemas.prediction import decode_predictions
from schemas.topics import Topic
from scorers.formats.linear import CategoricalTerm, LinearModel, Link, NumericTerm
from streams import roles
from streams.batch import columns
from streams.client import command, submit
from streams.connection import connect
from streams.packages import build_package, register
from streams.supervisor import Fleet

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from infra.local.stack import Stack
    from streams.connection import Connection

FEATURES = (
    Feature("amount"),
    Feature("age", nullable=True),
    Feature("plan", FeatureType.CATEGORICAL),
)
CLASSES = ("no", "yes")
WAIT_S = 60.0


@dataclass
class Chain:
    """One installation with one deployment, `loans`, a champion and two challengers."""

    settings: Settings
    connection: Connection
    store: ArtifactStore
    packages: list[Package]
    fleet: Fleet
    logs: Path
    now_ms: int = field(default_factory=lambda: time.time_ns() // 1_000_000)

    def __post_init__(self) -> None:
        self.producer = self.connection.producer()

    def views(self) -> Views:
        return Views(self.settings.redis_address(), self.settings.prefix)

    def request(self, association_id: str, **changed: Any) -> dict[str, Any]:  # noqa: ANN401  # any JSON
        """A good request, or one that is `changed`; features may be changed one by one."""
        features = {"amount": 10.0, "age": 30.0, "plan": "basic"} | changed.pop("features", {})
        body = {
            "deployment": "loans",
            "association_id": association_id,
            "timestamp": self.now_ms,
            "features": {name: value for name, value in features.items() if value != "absent"},
        }
        return body | changed

    def send(
        self, topic: Topic, key: str | None, value: object, *, partition: int = -1, producer: Producer | None = None
    ) -> None:
        body = value if isinstance(value, bytes) or value is None else json.dumps(value).encode()
        sender = producer or self.producer
        sender.produce(self.connection.layout.name(topic), body, key, partition)
        sender.flush(10)

    def ask(self, *ids: str) -> None:
        for one in ids:
            self.send(Topic.REQUESTS, one, self.request(one))

    def read(self, topic: Topic) -> list[Message]:
        """All committed records."""
        reader = self.connection.consumer("test", **{"enable.partition.eof": True})
        name = self.connection.layout.name(topic)
        places = [TopicPartition(name, number, OFFSET_BEGINNING) for number in self.connection.partitions(topic)]
        reader.assign(places)
        found, ended = [], 0
        while ended < len(places):
            for message in reader.consume(10_000, 0.5):
                error = message.error()
                if error is None:
                    found.append(message)
                elif error.code() == KafkaError._PARTITION_EOF:
                    ended += 1
        reader.close()
        return found

    def frame(self, topic: Topic) -> pl.DataFrame:
        """All decoded records of an Avro topic."""
        decoders: dict[Topic, Callable[..., Decoded]] = {
            Topic.PREDICTIONS: decode_predictions,
            Topic.SHADOW_PREDICTIONS: decode_predictions,
            Topic.OUTCOMES: decode_outcomes,
            Topic.ACTUALS: decode_actuals,
        }
        decoded = decoders[topic](columns(self.read(topic)))
        assert not decoded.unreadable
        return decoded.frame

    def predictions(self, *ids: str, topic: Topic = Topic.PREDICTIONS, each: int = 1) -> list[dict[str, Any]]:
        """What was answered to these, once all are there."""
        wanted = len(ids) * each

        def found() -> list[dict[str, Any]] | None:
            rows = self.frame(topic).filter(pl.col("association_id").is_in(ids)).to_dicts()
            return rows if len(rows) >= wanted else None

        rows: list[dict[str, Any]] = self.wait(found)
        assert len(rows) == wanted, rows
        return sorted(rows, key=lambda row: ids.index(row["association_id"]))

    def outcomes(self, association_id: str, count: int = 1) -> list[dict[str, Any]]:
        def found() -> list[dict[str, Any]] | None:
            rows = self.frame(Topic.OUTCOMES).filter(pl.col("association_id") == association_id).to_dicts()
            return rows if len(rows) >= count else None

        rows: list[dict[str, Any]] = self.wait(found)
        return rows

    def dead_letters(self, key: bytes | None, size: int) -> list[DeadLetter]:
        """The dead letters of a record, by its key and size, once there is one."""

        def found() -> list[DeadLetter] | None:
            return [letter for letter in self.letters() if letter.key == key and letter.size_bytes == size] or None

        letters: list[DeadLetter] = self.wait(found)
        return letters

    def letters(self) -> list[DeadLetter]:
        return [
            msgspec.json.decode(message.value() or b"", type=DeadLetter) for message in self.read(Topic.DEAD_LETTERS)
        ]

    def audits(self) -> list[Audit]:
        return [msgspec.json.decode(message.value() or b"", type=Audit) for message in self.read(Topic.AUDIT)]

    def wait(self, look: Callable[[], Any], limit_s: float = WAIT_S) -> Any:  # noqa: ANN401  # whatever is looked for
        """Look until something is found."""
        ends = time.monotonic() + limit_s
        while time.monotonic() < ends:
            found = look()
            if found is not None and found is not False:
                return found
            time.sleep(0.2)
        raise AssertionError(f"nothing found within {limit_s:.0f} s")

    def exits(self) -> dict[str, list[int]]:
        return {child.name: child.exits for child in self.fleet.children if child.exits}

    def package(self, name: str, weight: float = 1.0, *, version: str = "1") -> Package:
        """Build and register a logistic model."""
        return register(self.connection, self.store, archive(name, weight, version))


def archive(name: str, weight: float, version: str = "1") -> bytes:
    rng = np.random.default_rng(7)
    count = 2_000
    frame = pl.DataFrame(
        {
            "amount": rng.gamma(2.0, 5.0, count),
            "age": np.where(rng.random(count) < 0.1, np.nan, rng.normal(40, 10, count)),
            "plan": rng.choice(["basic", "gold", "free"], count),
        }
    )
    model = LinearModel(
        Link.LOGIT,
        -1.0,
        {
            "amount": NumericTerm(0.1 * weight),
            "age": NumericTerm(0.01 * weight, fill=40.0),
            "plan": CategoricalTerm({"gold": 0.5, "basic": -0.2}),
        },
    )
    metadata = Package(
        name=name,
        version=version,
        digest="",
        target=Target("repaid", TargetType.BINARY, CLASSES),
        features=FEATURES,
        format="linear",
    )
    actuals = rng.choice(CLASSES, count).tolist()
    return build_package(metadata, model.artifact(), frame, frame, actuals)


def start(stack: Stack, folder: Path, *, partitions: int = 3) -> Chain:
    """Topics, workers, models, deployment."""
    environment = {
        "WATCHKEEPER_HOME": str(stack.home),
        "WATCHKEEPER_PREFIX": f"chain-{time.time_ns() // 1_000_000}",
        "WATCHKEEPER_PARTITIONS": str(partitions),
        "WATCHKEEPER_ARTIFACTS": str(folder / "artifacts"),
    }
    settings = load(environment)
    connection = connect(settings)
    create(connection.config, connection.layout)
    logs = folder / "logs"
    fleet = Fleet(logs, os.environ | environment)
    fleet.start(roles.names())
    chain = Chain(settings, connection, ArtifactStore(settings.artifacts), [], fleet, logs)
    models = {"first": 1.0, "second": 0.8, "third": 0.1}
    chain.packages += [chain.package(name, weight) for name, weight in models.items()]
    champion, *challengers = (package.digest for package in chain.packages)
    wanted = DeploymentSettings(
        bucket=Span.MINUTE,
        drift_window=Span.MINUTE,
        accuracy_window=Span.MINUTE,
        grace_ms=1_000,
        segments=("plan",),
        row_sample=True,
    )
    submit(connection, command("loans", CreateDeployment(champion, tuple(challengers), wanted)), 60)
    return chain
