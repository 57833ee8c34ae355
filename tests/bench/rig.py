"""An installation to measure: a stack of its own, one deployment with its models, worker processes."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import polars as pl

from infra import settings as installation
from infra import topics
from infra.artifacts import ArtifactStore
from infra.local import stack
from schemas.deployment import CreateDeployment, Deployment, Model, Settings
from schemas.observation import Heartbeat
from schemas.package import Feature, Package, Target, TargetType
from schemas.topics import Topic
from scorers.formats.linear import LinearModel, Link, NumericTerm
from streams.client import command, submit
from streams.connection import connect
from streams.packages import build_package, register
from streams.supervisor import Fleet
from streams.views import TopicView
from tests.bench.watching import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from streams.connection import Connection

NAME = "bench"
FEATURES = tuple(Feature(f"f{position}", nullable=True) for position in range(20))
TARGET = Target("outcome", TargetType.BINARY, ("no", "yes"))
MODELS = {"champion": 1.0, "rival": 0.9, "weak": 0.2}
"""A champion and two challengers, by how much of the true slopes each knows."""

CHAIN = ("scorer", "shadow", "joiner", "observer", "evaluator", "projector", "governor")
READY_S = 180.0
LOOK_S = 0.1
_TRAINING_ROWS = 5_000


class WorkerEnded(RuntimeError):
    """A worker ended during a measurement, which is then worth nothing."""


@dataclass(frozen=True, slots=True)
class Rig:
    """One deployment on one stack. `environment` is what workers get."""

    home: Path
    connection: Connection
    environment: Mapping[str, str]
    deployment: Deployment
    packages: tuple[Package, ...]

    @contextmanager
    def workers(self, names: tuple[str, ...] = CHAIN) -> Iterator[Fleet]:
        """A worker process for each role; WorkerEnded if one of them did not live to the end."""
        fleet = Fleet(self.home / "logs", self.environment)
        fleet.start(names)
        try:
            self._ready(names)
            yield fleet
            ended = [f"{child.name} ended with {child.exits}" for child in fleet.children if child.exits]
            if ended:
                raise WorkerEnded("; ".join(ended) + "\n" + self._said())
        finally:
            fleet.stop()

    def broker_pid(self) -> int:
        """The process of the broker."""
        return next(part.pid for part in stack.status(self.home) if part.name == "kafka" and part.pid)

    def _ready(self, names: tuple[str, ...]) -> None:
        """Wait until every worker says that it has partitions and nothing left to restore."""
        began_ms = time.time_ns() // 1_000_000
        said = TopicView(self.connection, Topic.HEARTBEATS, msgspec.json.Decoder(Heartbeat).decode)

        def all_work() -> bool:
            said.refresh(LOOK_S)
            fresh = {beat.role: beat for beat in said.rows.values() if beat.at_ms > began_ms}
            return all(name in fresh and fresh[name].partitions and not fresh[name].restoring for name in names)

        try:
            wait_until(all_work, READY_S, "a start of all workers")
        finally:
            said.close()

    def _said(self) -> str:
        logs = sorted((self.home / "logs").glob("*.log"))
        return "\n".join(f"{log.name}: {log.read_text(errors='replace')[-500:]}" for log in logs if log.stat().st_size)


@dataclass(frozen=True, slots=True)
class Scene:
    """What is served: features, target, and the archives of champion and challengers."""

    features: tuple[Feature, ...]
    target: Target
    archives: tuple[bytes, ...]


@contextmanager
def rig(*, partitions: int = 6, settings: Settings | None = None, scene: Scene | None = None) -> Iterator[Rig]:
    """Bring all up, and take all away: servers, data, workers' state. Without a scene it is the one of this file."""
    place = Path(".watchkeeper")
    place.mkdir(exist_ok=True)
    home = Path(tempfile.mkdtemp(prefix="bench-", dir=place)).resolve()
    try:
        stack.up(home, report=lambda _: None)
        yield _prepared(home, partitions, settings or Settings(), scene or Scene(FEATURES, TARGET, tuple(_archives())))
    finally:
        stack.down(home, report=lambda _: None)
        shutil.rmtree(home, ignore_errors=True)


def features(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Rows of twenty standard normal features."""
    return rng.normal(size=(count, len(FEATURES)))


def truths(rng: np.random.Generator, rows: NDArray[np.float64]) -> NDArray[np.bool_]:
    """What came true of these rows, by the model that made the world."""
    return rng.random(len(rows)) < 1 / (1 + np.exp(-rows @ slopes()))


def slopes() -> NDArray[np.float64]:
    """The true model."""
    return np.linspace(-0.5, 0.5, len(FEATURES))


def _prepared(home: Path, partitions: int, settings: Settings, scene: Scene) -> Rig:
    ours = {"HOME": str(home), "PREFIX": "bench", "PARTITIONS": str(partitions)}
    plain = {name: value for name, value in os.environ.items() if not name.startswith(installation.PREFIX)}
    java = {name: value for name, value in os.environ.items() if name in ("WATCHKEEPER_JAVA", "WATCHKEEPER_KAFKA_HEAP")}
    environment = plain | java | {installation.PREFIX + name: value for name, value in ours.items()}
    known = installation.load(environment)
    connection = connect(known)
    topics.create(connection.config, connection.layout)
    fleet = Fleet(home / "logs", environment)
    fleet.start(("governor",))
    try:
        store = ArtifactStore(known.artifacts)
        packages = tuple(register(connection, store, archive) for archive in scene.archives)
        champion, *challengers = (package.digest for package in packages)
        submit(connection, command(NAME, CreateDeployment(champion, tuple(challengers), settings)))
    finally:
        fleet.stop()
    models = tuple(Model(package.digest, package.name, package.version) for package in packages)
    deployment = Deployment(NAME, 1, scene.target, scene.features, models[0], models[1:], settings)
    return Rig(home, connection, environment, deployment, packages)


def _archives() -> Iterator[bytes]:
    rng = np.random.default_rng(0)
    rows = features(rng, _TRAINING_ROWS)
    frame = pl.DataFrame(rows, schema=[feature.name for feature in FEATURES], orient="row")
    actuals = ["yes" if truth else "no" for truth in truths(rng, rows)]
    for name, share in MODELS.items():
        terms = {
            feature.name: NumericTerm(float(slope * share)) for feature, slope in zip(FEATURES, slopes(), strict=True)
        }
        metadata = Package(name=name, version="1", digest="", target=TARGET, features=FEATURES, format="linear")
        yield build_package(metadata, LinearModel(Link.LOGIT, 0.0, terms).artifact(), frame, frame, actuals)
