"""What the suite runs on: a stack of its own, topics, models, deployments and a fleet of workers."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import polars as pl
from confluent_kafka import KafkaException

from infra import settings as installation
from infra import topics
from infra.artifacts import ArtifactStore
from infra.local import stack
from infra.views import Views
from schemas.deployment import (
    CHANGE_DETECTED,
    HOUR_MS,
    MATERIAL_DRIFT,
    MINUTE_MS,
    AlertRule,
    ChangeDetector,
    Compare,
    CreateDeployment,
    DriftStatistic,
    Settings,
    Span,
)
from schemas.expectations import Aggregate, CallerField, CustomMetric, Timeliness
from schemas.package import Feature, Package, Target, TargetType
from schemas.topics import Topic
from schemas.trigger import TriggerAction, TriggerRule
from scorers.formats.linear import LinearModel, Link, NumericTerm
from streams.client import Unanswered, command, submit
from streams.connection import connect, ends
from streams.packages import build_package, register
from streams.supervisor import PROGRAM, Fleet

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from streams.connection import Connection

PARTITIONS = 6
FEATURES = ("a", "b", "c")
WEIGHTS = (1.0, -1.0, 0.5)
CLASSES = ("no", "yes")
SERVED = ("main", "plain", "brief")
CHALLENGED = ("main", "brief")
"""`main` has two challengers, and all that can be asked for; `plain` none, and its champion changes; `brief` has two
challengers, and a join that gives up: its outcomes are kept for so much longer that none of them goes."""
BRIEF_HORIZON_MS = 6 * HOUR_MS
CALLERS = ("app", "web")  # the first is told apart
CUSTOM = (
    CustomMetric("cost", Aggregate.SUM),
    CustomMetric("wait", Aggregate.MEAN),
    CustomMetric("queue", Aggregate.GAUGE),
)
RULES = (
    AlertRule("drift", "psi", 0.1, feature="*", windows=1, of=2, clear_windows=2),
    AlertRule("answers", "requests", 1e9, windows=1, of=1),
    MATERIAL_DRIFT,
)


@dataclass(frozen=True, slots=True)
class Scene:
    """One installation under one prefix of the stack in `home`; `packages` in the order champion, challengers."""

    home: Path
    prefix: str
    settings: installation.Settings
    connection: Connection
    packages: tuple[Package, ...]
    fleet: Fleet

    def views(self) -> Views:
        """The current state as people read it."""
        return Views(self.settings.redis_address(), self.prefix)


def lay_out(
    home: Path, workers: Mapping[str, int], program: Sequence[str] = PROGRAM, *, standby: bool = False
) -> Scene:
    """Start the stack unless it runs, make topics under a new prefix, start workers, register models, deploy.

    `standby`: each worker keeps a copy of the tables of its whole role.
    """
    stack.up(home, report=lambda _text: None)
    prefix = f"faults{time.time_ns() // 1_000_000}"
    state = tempfile.mkdtemp(prefix=f"{prefix}-", dir=home)
    environment = {
        "WATCHKEEPER_HOME": str(home),
        "WATCHKEEPER_PREFIX": prefix,
        "WATCHKEEPER_PARTITIONS": str(PARTITIONS),
        "WATCHKEEPER_ARTIFACTS": f"{state}/artifacts",
        "WATCHKEEPER_STANDBY": "all" if standby else "none",
    }
    settings = installation.load(environment)
    connection = connect(settings)
    topics.create(connection.config, connection.layout)
    _wait_for_leaders(connection)
    fleet = Fleet(home / prefix / "logs", os.environ | environment, report=lambda _text: None, program=program)
    try:
        for role, count in workers.items():
            fleet.start([role], [str(number) for number in range(1, count + 1)])
        packages = _register(connection, ArtifactStore(settings.artifacts))
        _deploy(connection, packages)
    except BaseException:
        fleet.stop()
        raise
    return Scene(home, prefix, settings, connection, packages, fleet)


def _wait_for_leaders(connection: Connection, timeout_s: float = 30.0) -> None:
    """New topics are created before their partitions can be asked for anything."""
    places = [(connection.layout.name(topic), number) for topic in Topic for number in connection.partitions(topic)]
    limit = time.monotonic() + timeout_s
    while True:
        try:
            ends(connection.admin(), places, stable=True)
        except KafkaException:
            if time.monotonic() > limit:
                raise
            time.sleep(0.5)
        else:
            return


def settings_of_deployment(limit: float = 0.1) -> Settings:
    """Minutes everywhere, so that many windows close in a short run."""
    rules = (AlertRule("drift", "psi", limit, feature="*", windows=1, of=2, clear_windows=2), *RULES[1:])
    return Settings(
        bucket=Span.MINUTE, drift_window=Span.MINUTE, accuracy_window=Span.MINUTE, grace_ms=5_000, alert_rules=rules
    )


def settings_of_main() -> Settings:
    """Everything that is observed where somebody asks for it; resolved so soon that what is corrected is revised."""
    plain = settings_of_deployment()
    return msgspec.structs.replace(
        plain,
        alert_rules=(
            *plain.alert_rules,
            CHANGE_DETECTED,
            AlertRule("spent", "custom", 1e9, feature="cost"),
            AlertRule("worse", "brier", 0.05, compare=Compare.PREVIOUS, segment="*", min_rows=100),
            AlertRule("told", "accuracy_by_outcome_time", 0.4, above=False, min_rows=100),
        ),
        drift_statistics=tuple(DriftStatistic),
        caller_segments={CallerField.CONSUMER: CALLERS[:1]},
        row_sample=True,
        by_outcome_time=True,
        timeliness=Timeliness("PT1M", "PT1M", "PT2S"),
        custom_metrics=CUSTOM,
        detectors=tuple(ChangeDetector),
        resolved_after_ms=MINUTE_MS,
        triggers=(
            TriggerRule("labelled", new_labels=1_000, train_on="PT5M"),
            TriggerRule("often", TriggerAction.PAUSE, every="PT1M"),
        ),
    )


def settings_of_brief() -> Settings:
    """A horizon that is reached. What is evaluated is kept for as long as that and a window of accuracy."""
    return msgspec.structs.replace(settings_of_deployment(), horizon_ms=BRIEF_HORIZON_MS, accuracy_window=Span.DAY)


def caller(number: int) -> str:
    """Who makes request `number`.

    >>> [caller(number) for number in (0, 1, 2, 3)]
    ['app', 'web', 'web', 'app']
    """
    return CALLERS[number % 3 > 0]


def _register(connection: Connection, store: ArtifactStore) -> tuple[Package, ...]:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(2_000, len(FEATURES)))
    actuals = [CLASSES[int(yes)] for yes in rng.random(2_000) < 1 / (1 + np.exp(-x @ np.array(WEIGHTS)))]
    frame = pl.DataFrame(x, schema=list(FEATURES))
    found = []
    for number, scale in enumerate((1.0, 0.9, 0.2)):
        terms = {name: NumericTerm(weight * scale) for name, weight in zip(FEATURES, WEIGHTS, strict=True)}
        package = Package(
            name=f"model-{number}",
            version="1",
            digest="",
            target=Target("answer", TargetType.BINARY, CLASSES),
            features=tuple(Feature(name, nullable=True) for name in FEATURES),
            format="linear",
        )
        model = LinearModel(Link.LOGIT, 0.0, terms)
        archive = build_package(package, model.artifact(), frame, frame, actuals)
        found.append(_register_in_time(connection, store, archive))
    return tuple(found)


def _register_in_time(connection: Connection, store: ArtifactStore, archive: bytes) -> Package:
    """On a busy machine the governor may take longer to start than a command waits; registering again is no harm."""
    for _ in range(3):
        with contextlib.suppress(Unanswered):
            return register(connection, store, archive)
    return register(connection, store, archive)


def _deploy(connection: Connection, packages: tuple[Package, ...]) -> None:
    champion, *challengers = [package.digest for package in packages]
    everything, chosen = settings_of_main(), settings_of_deployment()
    submit(connection, command("main", CreateDeployment(champion, tuple(challengers), everything)), 120)
    submit(connection, command("plain", CreateDeployment(champion, (), chosen)), 120)
    submit(connection, command("brief", CreateDeployment(champion, tuple(challengers), settings_of_brief())), 120)
    submit(connection, command("governed", CreateDeployment(champion, (), chosen)), 120)
