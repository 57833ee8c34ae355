"""From a request to a metric, without a broker: what is served is explained where the deployment says so."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace

from monitors.metrics import METRICS
from monitors.summary import Summary as Counts
from schemas.deployment import Deployment, Model, Settings
from schemas.observation import Kind, Summary
from schemas.package import TargetType
from schemas.prediction import CONTRACT, EXPLAINED, ErrorKind, decode_predictions
from schemas.records import Records
from schemas.requests import decode_requests
from schemas.topics import Layout, Topic
from scorers.formats.linear import LinearModel, Link, NumericTerm
from scorers.formats.linear import load as linear
from scorers.package import LoadedPackage, load
from streams.batch import Batch, Effects, Span
from streams.connection import Connection
from streams.replay import FixedCatalog, FixedHistory, RecordedSwitches
from streams.roles.observer import Observer
from streams.scoring import predict
from tests.streams.chain_scene import archive

if TYPE_CHECKING:
    import polars as pl

    from schemas.package import Package

NOW_MS = 1_700_000_000_000
HEALTH = (Kind.PREDICTIONS, "")


class Known(FixedCatalog):
    def package(self, digest: str) -> Package:
        return self.packages[digest]


@cache
def served() -> LoadedPackage:
    return load(archive("loans", 1.0))


def deployment(settings: Settings) -> Deployment:
    package = served().package
    return Deployment("loans", 1, package.target, package.features, Model(package.digest, "loans", "1"), (), settings)


def records(topic_values: list[tuple[bytes, bytes]]) -> Records:
    keys, values = zip(*topic_values, strict=True)
    count = len(values)
    offsets = np.arange(count, dtype=np.int64)
    return Records(list(keys), list(values), np.zeros(count, np.int32), offsets, np.full(count, NOW_MS, np.int64))


def asking(association_id: str, *, amount: float, age: float | None = 30.0, plan: str = "gold") -> bytes:
    features = {"amount": amount, "age": age, "plan": plan}
    body = {"deployment": "loans", "association_id": association_id, "timestamp": NOW_MS, "features": features}
    return msgspec.json.encode(body)


def answers(settings: Settings, count: int = 200, topic: Topic = Topic.PREDICTIONS) -> Records:
    """What the model says of some requests."""
    rng = np.random.default_rng(1)
    bodies = [
        asking(
            f"a-{row}",
            amount=float(rng.gamma(2.0, 5.0)),
            age=None if row % 10 == 0 else float(rng.normal(40, 10)),
            plan=("basic", "gold", "free")[row % 3],
        )
        for row in range(count)
    ]
    asked = records([(f"a-{row}".encode(), body) for row, body in enumerate(bodies)])
    known = deployment(settings)
    effects = Effects()
    (group,) = decode_requests(asked, {"loans": known}).groups
    predict(effects, topic, asked, group, known.champion, served())
    return written(effects)


def written(effects: Effects) -> Records:
    sent = [pair for send in effects.sends for pair in zip(send.keys, send.values, strict=True)]
    return records([(key or b"", value or b"") for key, value in sent])


def observed(answered: Records, settings: Settings) -> dict[tuple[Kind, str], Counts]:
    catalog = Known([deployment(settings)], [served().package])
    role = Observer(Connection({}, Layout("toy", partitions=1)), catalog, FixedHistory([]), RecordedSwitches("scorer"))
    batch = Batch({Topic.PREDICTIONS: answered}, {(Topic.PREDICTIONS, 0): Span(0, len(answered))}, now_ms=NOW_MS)
    ((value,),) = (send.values for send in role.process(batch).sends)
    found = msgspec.msgpack.decode(value or b"", type=Summary)
    return {(one.kind, one.segment): Counts.decode(one.body) for one in found.entries}


def moved(answered: Records) -> pl.DataFrame:
    return decode_predictions(answered).frame["explanations"].struct.unnest()


ON = Settings(explanations=True, segments=("plan",))


def test_without_the_setting_predictions_are_what_they_were_byte_for_byte() -> None:
    values = answers(Settings()).values
    assert all(value is not None and value.startswith(CONTRACT.framing) for value in values)
    assert not any(name.startswith("attribution") for name in observed(answers(Settings()), Settings())[HEALTH].sums)


def test_challengers_are_not_explained() -> None:
    shadows = answers(ON, topic=Topic.SHADOW_PREDICTIONS).values
    assert all(value is not None and value.startswith(CONTRACT.framing) for value in shadows)


def test_what_moved_a_prediction_adds_up_to_what_was_said() -> None:
    answered = answers(ON)
    assert all(value is not None and value.startswith(EXPLAINED.framing) for value in answered.values)
    frame = decode_predictions(answered).frame
    odds = np.log(frame["value"].to_numpy() / (1 - frame["value"].to_numpy()))
    total = sum(moved(answered)[name].to_numpy() for name in ("amount", "age", "plan"))
    distance = odds - total
    np.testing.assert_allclose(distance, distance[0], atol=1e-9)  # the mean on holdout, the same in each row


def test_a_row_that_the_model_fails_on_is_an_error_beside_explained_ones() -> None:
    package = served().package
    known = deployment(ON)
    asked = records(
        [(name.encode(), asking(name, amount=amount)) for name, amount in (("a", 1.0), ("b", 1e308), ("c", 2.0))]
    )
    (group,) = decode_requests(asked, {"loans": known}).groups
    steep = replace(package, target=replace(package.target, type=TargetType.REGRESSION, classes=()))
    model = LinearModel(Link.IDENTITY, 0.0, {"amount": NumericTerm(100.0)})
    effects = Effects()
    predict(
        effects, Topic.PREDICTIONS, asked, group, known.champion, LoadedPackage(steep, linear(model.artifact(), steep))
    )
    decoded = decode_predictions(written(effects)).frame.sort("association_id")
    assert decoded["error_kind"].to_list() == [None, ErrorKind.SYSTEM.value, None]
    assert decoded["explanations"].struct.field("amount").is_null().to_list() == [False, True, False]


def test_a_package_without_attributions_on_holdout_serves_without_explaining() -> None:
    known = deployment(ON)
    asked = records([(b"a", asking("a", amount=1.0))])
    (group,) = decode_requests(asked, {"loans": known}).groups
    older = replace(served().package, baseline=replace(served().package.baseline, attributions=None))
    effects = Effects()
    predict(effects, Topic.PREDICTIONS, asked, group, known.champion, LoadedPackage(older, served().model))
    assert (effects.sends[0].values[0] or b"").startswith(CONTRACT.framing)


def test_the_observer_sums_what_moved_them_for_all_rows_and_by_segment() -> None:
    answered = answers(ON)
    found, package = observed(answered, ON), served().package
    sizes = np.abs(moved(answered).to_numpy())
    gold = np.array([row % 3 == 1 for row in range(len(sizes))])
    for segment, rows in (("", sizes), ("plan=gold", sizes[gold])):
        expected = rows.mean(axis=0) / rows.mean(axis=0).sum()
        for place, feature in enumerate(("amount", "age", "plan")):
            value = METRICS["attribution_share"].compute(found[Kind.PREDICTIONS, segment], package, feature)
            assert value.value == pytest.approx(expected[place], abs=1e-9)
    drift = METRICS["attribution_drift"].compute(found[HEALTH], package, "")
    assert drift.n == len(sizes)
    assert drift.low is not None
    assert drift.low < 0.1


def test_explained_and_unexplained_predictions_in_one_batch_are_all_counted() -> None:
    explained, plain = answers(ON, 60), answers(Settings(segments=("plan",)), 40)
    rows = [*zip(explained.keys, explained.values, strict=True), *zip(plain.keys, plain.values, strict=True)]
    found = observed(records([(key or b"", value or b"") for key, value in rows]), ON)[HEALTH]
    assert (found.count("rows"), found.count("explained")) == (100, 60)
