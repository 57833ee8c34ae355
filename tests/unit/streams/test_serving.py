"""Scorer and shadow: which revision worked on what is on the log, whatever became of it."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest

from infra.artifacts import ArtifactStore
from schemas.deployment import Deployment, Model, Settings, Switch
from schemas.package import Feature, Package, Target, TargetType
from schemas.prediction import decode_predictions
from schemas.records import Records
from schemas.topics import Topic
from scorers.formats.linear import LinearModel, Link, NumericTerm
from scorers.package import load
from streams.batch import Batch, Effects, Span
from streams.packages import build_package
from streams.replay import FixedCatalog
from streams.roles.scorer import Scorer
from streams.roles.shadow import Shadow
from streams.serving import Serving
from streams.shelf import Shelf
from tests.streams.chain_scene import CLASSES, archive

NOW_MS = 1_700_000_000_000
LATE = Deployment(
    "late",
    3,
    Target("late", TargetType.REGRESSION),
    (Feature("age"),),
    Model("a" * 64, "p", "1"),
    (Model("b" * 64, "q", "1"),),
)


def models(role: type[Serving], deployment: Deployment) -> tuple[Model, ...]:
    return (deployment.champion,) if role is Scorer else deployment.challengers


def made(role: type[Serving], folder: Path, *deployments: Deployment) -> Serving:
    return role(FixedCatalog(deployments), Shelf(ArtifactStore(folder), lambda one: models(role, one)))


def asked(partition: int, first: int, *names: str, **features: float) -> Batch:
    """Requests to deployments, in one partition."""
    bodies = [
        json.dumps({"deployment": name, "association_id": "x", "timestamp": NOW_MS, "features": features})
        for name in names
    ]
    count = len(bodies)
    records = Records(
        [b"x"] * count,
        [body.encode() for body in bodies],
        np.full(count, partition, np.int32),
        np.arange(first, first + count),
        np.full(count, NOW_MS),
    )
    return Batch({Topic.REQUESTS: records}, {(Topic.REQUESTS, partition): Span(first, first + count)}, now_ms=NOW_MS)


def switches(effects: Effects) -> list[Switch]:
    found = (value for send in effects.sends if send.topic is Topic.SWITCHES for value in send.values)
    return [msgspec.json.decode(value or b"", type=Switch) for value in found]


@pytest.mark.parametrize("kind", [Scorer, Shadow])
def test_a_partition_on_which_only_refused_requests_came_has_its_switch_record_too(
    kind: type[Serving], tmp_path: Path
) -> None:
    role = made(kind, tmp_path, LATE)
    batch = asked(2, 40, "late", "late")  # without the feature
    effects = role.process(batch)
    answers = [send for send in effects.sends if send.topic is role.output]
    assert sum(len(send.values) for send in answers) == 2
    assert switches(effects) == [Switch("late", role.name, 3, LATE.champion.digest, "requests", 2, 40)]
    role.committed(batch)
    assert switches(role.process(asked(2, 42, "late"))) == []
    assert [one.partition for one in switches(role.process(asked(5, 7, "late")))] == [5]


def test_a_shadow_that_has_nobody_to_ask_and_a_scorer_that_knows_no_such_deployment_announce_nothing(
    tmp_path: Path,
) -> None:
    lonely = msgspec.structs.replace(LATE, challengers=())
    assert made(Shadow, tmp_path, lonely).process(asked(0, 0, "late")).sends == []
    assert switches(made(Scorer, tmp_path, LATE).process(asked(0, 0, "early"))) == []


def test_a_challenger_without_a_feature_is_split_by_it_as_the_champion_is(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    champion, plain = load(archive("loans", 1.0)).package, load(without_plan()).package
    store.put(archive("loans", 1.0))
    store.put(without_plan())
    deployment = Deployment(
        "loans",
        1,
        champion.target,
        champion.features,
        Model(champion.digest, "loans", "1"),
        (Model(plain.digest, "plain", "1"),),
        Settings(segments=("plan",)),
    )
    catalog = FixedCatalog([deployment], [champion, plain])
    said = {}
    for role in (Scorer, Shadow):
        serving = role(catalog, Shelf(store, lambda one, role=role: models(role, one)))  # type: ignore[misc]  # a default binds the loop's variable
        (sent,) = (send for send in serving.process(loan("gold")).sends if send.topic is role.output)
        (value,) = sent.values
        frame = decode_predictions(Records([b"x"], [value], np.zeros(1, np.int32), np.zeros(1, np.int64), NOW)).frame
        said[role] = frame["segments"].to_list()
    assert said[Scorer] == said[Shadow] == [["plan=gold"]]


NOW = np.full(1, NOW_MS)


def loan(plan: str) -> Batch:
    features = {"amount": 10.0, "age": 30.0, "plan": plan}
    body = {"deployment": "loans", "association_id": "x", "timestamp": NOW_MS, "features": features}
    records = Records([b"x"], [json.dumps(body).encode()], np.zeros(1, np.int32), np.zeros(1, np.int64), NOW)
    return Batch({Topic.REQUESTS: records}, {(Topic.REQUESTS, 0): Span(0, 1)}, now_ms=NOW_MS)


def without_plan() -> bytes:
    """The archive of a model that does without the plan."""
    rng = np.random.default_rng(3)
    frame = pl.DataFrame({"amount": rng.gamma(2.0, 5.0, 400)})
    made = LinearModel(Link.LOGIT, -1.0, {"amount": NumericTerm(0.1)})
    target = Target("repaid", TargetType.BINARY, CLASSES)
    package = Package("plain", "1", "", target, (Feature("amount"),), "linear")
    return build_package(package, made.artifact(), frame, frame, rng.choice(CLASSES, 400).tolist())
