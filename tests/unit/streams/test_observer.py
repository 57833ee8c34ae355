"""What strangers write on the topics that an observer reads costs and harms nothing else."""

from __future__ import annotations

import json

import msgspec
import numpy as np

from monitors.summary import Summary as Counts
from schemas.deployment import Deployment, Model
from schemas.observation import Kind, Summary
from schemas.outcome import Outcome, OutcomeKind, OutcomePrediction, encode_outcomes
from schemas.package import Package, Target, TargetType
from schemas.records import Records
from schemas.topics import Layout, Topic
from streams.batch import Batch, Effects, Span
from streams.connection import Connection
from streams.replay import FixedCatalog, FixedHistory, RecordedSwitches
from streams.roles.observer import Observer

PRICE = Target("price", TargetType.REGRESSION)
HOMES = Deployment("homes", 1, PRICE, (), Model("m1", "homes", "1"))


class Counted(FixedCatalog):
    looked = 0

    def catch_up(self) -> None:
        self.looked += 1

    def package(self, digest: str) -> Package:
        return self.packages[digest]


def catalog() -> Counted:
    return Counted([HOMES], [Package("homes", "1", "m1", PRICE, (), "linear")])


def observed(known: Counted, topic: Topic, rows: list[tuple[str, bytes]]) -> tuple[Observer, Effects]:
    layout = Layout("toy", partitions=1)
    role = Observer(Connection({}, layout), known, FixedHistory([]), RecordedSwitches("scorer"))
    keys, values = zip(*((key.encode(), value) for key, value in rows), strict=True)
    count = len(rows)
    records = Records(
        list(keys), list(values), np.zeros(count, np.int32), np.arange(count), np.full(count, 10, np.int64)
    )
    return role, role.process(Batch({topic: records}, {(topic, 0): Span(0, count)}, now_ms=20))


def test_however_many_deployments_nobody_made_are_looked_for_once_a_batch() -> None:
    known = catalog()
    names = [f"nobody-{number}" for number in range(5)]
    reports = [(name, json.dumps({"deployment": name, "metric": "cost", "value": 1}).encode()) for name in names]
    role, effects = observed(known, Topic.CUSTOM_METRICS, reports)
    assert (role.skipped, list(effects.sends), known.looked) == (5, [], 1)


def test_a_model_that_was_never_registered_takes_no_other_outcomes_with_it() -> None:
    def outcome(name: str, *models: str) -> Outcome:
        said = tuple(OutcomePrediction(model, model != "m1", 5, value=1.0) for model in models)
        return Outcome(name, "homes", OutcomeKind.MATCHED, 1, 6, value=2.0, predictions=said)

    written = [outcome("a", "m1"), outcome("b", "m1", "nobody"), outcome("c", "nobody")]
    rows = list(zip("abc", encode_outcomes(written), strict=True))
    role, effects = observed(catalog(), Topic.OUTCOMES, rows)
    told = [msgspec.msgpack.decode(value, type=Summary) for send in effects.sends for value in send.values if value]
    found = [entry for one in told for entry in one.entries if entry.kind is Kind.ACCURACY]
    assert role.skipped == 2  # rows in which something was left out
    assert [entry.model for entry in found] == ["m1"]
    assert Counts.decode(found[0].body).count("matched") == 2


def test_an_actual_that_the_join_refused_is_counted_when_it_came_and_enters_nothing_else() -> None:
    def outcome(name: str, kind: OutcomeKind) -> Outcome:
        said = (OutcomePrediction("m1", shadow=False, timestamp_ms=5, value=1.0),)
        return Outcome(name, "homes", kind, 1, 10**15, value=2.0, predictions=said * (kind is OutcomeKind.MATCHED))

    kinds = (OutcomeKind.REJECTED, OutcomeKind.MATCHED, OutcomeKind.REJECTED)
    written = encode_outcomes([outcome(name, kind) for name, kind in zip("abc", kinds, strict=True)])
    _, effects = observed(catalog(), Topic.OUTCOMES, list(zip("abc", written, strict=True)))
    told = [msgspec.msgpack.decode(value, type=Summary) for send in effects.sends for value in send.values if value]
    found = {
        (entry.kind, entry.model, entry.bucket_ms): Counts.decode(entry.body) for one in told for entry in one.entries
    }
    assert found[Kind.FLOW, "", 0].count("rejected_actuals") == 2  # in the hour in which they came
    assert found[Kind.ACCURACY, "m1", 0].count("matched") == 1
    assert {kind for kind, _, _ in found} == {Kind.FLOW, Kind.ACCURACY}
