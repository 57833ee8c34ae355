"""What is exported is the final truth: each labelled case once, with the features that were asked, in order of time."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest

from schemas.actual import decode_actuals, encode_actual, encode_forget
from schemas.deployment import Deployment, Model
from schemas.outcome import Outcome, OutcomeKind, OutcomePrediction, encode_outcomes
from schemas.package import Feature, FeatureType, Target, TargetType
from schemas.prediction import decode_predictions
from schemas.records import Records
from schemas.topics import Topic
from streams import labelled
from streams.batch import Send
from streams.labelled import LabelledRows
from streams.replay import Log, Recorder, batches, memory_table, run
from streams.roles.joiner import Joiner
from streams.tables import DiskStore, MemoryStore, Store
from tests.laws.replay_scene import LAYOUT, NOW, REQUESTS, Scene, record
from tests.laws.test_replay import JOIN_TABLE, JOINED, cuts
from tests.unit.monitors.join_scene import NOW as JOINED_AT
from tests.unit.monitors.join_scene import Actual, Prediction
from tests.unit.monitors.join_scene import Joiner as Join

FORGOTTEN = [f"id-{number}" for number in range(0, REQUESTS, 14)]
AGAIN, NO_CLASS = "id-28", "id-4"
"""One that is forgotten and comes true again, which meets no prediction; one that comes true as no class."""
EVER = 0, 1 << 50


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return record(tmp_path_factory.mktemp("artifacts"))


def last_words() -> Log:
    """What comes when all else was read: associations to be forgotten, and actuals that are corrected."""
    recorder = Recorder(LAYOUT)
    values = [encode_forget("flights", key, NOW + 500_000) for key in FORGOTTEN]
    values += [encode_actual("flights", AGAIN, NOW + 500_000, label="yes")]
    values += [encode_actual("flights", NO_CLASS, NOW + 500_000, label="?")]
    recorder.take([Send(Topic.ACTUALS, [key.encode() for key in (*FORGOTTEN, AGAIN, NO_CLASS)], values)], NOW + 600_000)
    return recorder.log(Topic.ACTUALS)


def joined(scene: Scene, seed: int) -> Log:
    """The outcomes of the joiner, which read the log in some interleaving."""
    log = scene.part(*JOINED)
    table = memory_table(*JOIN_TABLE)
    role = Joiner(scene.catalog(), table, LAYOUT.partitions)
    recorder = Recorder(LAYOUT)
    given = [*batches(log, cuts(log, random.Random(seed))), *batches(last_words(), [])]
    recorder.take(run(role, given, table), NOW)
    return recorder.log(Topic.OUTCOMES)


def gathered(
    store: Store, deployment: Deployment, outcomes: Log, requests: Log, between: tuple[int, int] = EVER, **how: bool
) -> LabelledRows:
    rows = LabelledRows(store, deployment, *between, **how)
    for records in outcomes.values():
        rows.take_outcomes(records)
    rows.settle()
    for records in requests.values():
        rows.take_requests(records)
    return rows


def truth(scene: Scene) -> list[dict[str, Any]]:
    """By hand, from what was sent: the first good request, the first answer and the last actual of each case."""
    asked: dict[str, dict[str, Any]] = {}
    for records in scene.part(Topic.REQUESTS).values():
        for value in records.values:
            if value != b"\xff" and "carrier" in (body := msgspec.json.decode(value or b""))["features"]:
                asked.setdefault(body["association_id"], {"timestamp": body["timestamp"], **body["features"]})
    answers: dict[str, dict[str, Any]] = {}
    for records in scene.part(Topic.PREDICTIONS).values():
        for row in decode_predictions(records).frame.to_dicts():
            if row["error_kind"] is None:
                answers.setdefault(row["association_id"], {"model": row["model"], "probability": row["value"]})
    actuals: dict[str, str | None] = {}
    for records in scene.part(Topic.ACTUALS).values():
        actuals |= {row["association_id"]: row["label"] for row in decode_actuals(records).frame.to_dicts()}
    rows = [
        {"association_id": name, **asked[name], **answers[name], "actual": label}
        for name, label in actuals.items()
        if label and name in asked and name not in {*FORGOTTEN, NO_CLASS}
    ]
    return sorted(rows, key=lambda row: (row["timestamp"], row["association_id"]))


def plain(frame: pl.DataFrame) -> list[dict[str, Any]]:
    wanted = ("association_id", "timestamp", "hour", "carrier", "model", "probability", "actual")
    return frame.select(wanted).with_columns(pl.col("timestamp").dt.epoch("ms")).to_dicts()


@pytest.mark.parametrize("seed", range(6))
def test_law_the_export_is_the_final_truth_however_the_join_came_to_it(
    scene: Scene, seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labelled, "CHUNK", 17)
    outcomes = joined(scene, seed)
    store = DiskStore(tmp_path / "rows") if seed % 2 else MemoryStore()
    rows = gathered(store, scene.deployments[-1], outcomes, scene.part(Topic.REQUESTS))
    frames = list(rows.frames())
    store.close()
    assert plain(pl.concat(frames)) == truth(scene)
    assert len(frames) > 2
    assert (rows.gone, rows.invalid) == (0, 1)


def test_a_range_takes_the_predictions_made_in_it(scene: Scene) -> None:
    outcomes, requests, wanted = joined(scene, 0), scene.part(Topic.REQUESTS), truth(scene)
    between = wanted[10]["timestamp"], wanted[30]["timestamp"]
    rows = gathered(MemoryStore(), scene.deployments[-1], outcomes, requests, between)
    assert plain(pl.concat(rows.frames())) == wanted[10:30]


def test_rows_whose_requests_have_gone_are_counted_and_left_out_unless_no_features_are_wanted(scene: Scene) -> None:
    outcomes, requests, wanted = joined(scene, 0), scene.part(Topic.REQUESTS), truth(scene)
    kept = {place: records.take(np.arange(40, len(records))) for place, records in requests.items()}
    rows = gathered(MemoryStore(), scene.deployments[-1], outcomes, kept)
    found = plain(pl.concat(rows.frames()))
    assert 0 < rows.gone == len(wanted) - len(found)
    assert all(row in wanted for row in found)
    without = gathered(MemoryStore(), scene.deployments[-1], outcomes, {}, features=False)
    frame = pl.concat(without.frames())
    assert frame["association_id"].to_list() == [row["association_id"] for row in wanted]
    assert not {"hour", "carrier"} & set(frame.columns)


def test_all_models_lists_what_each_said_in_types_that_never_change(scene: Scene) -> None:
    rows = gathered(MemoryStore(), scene.deployments[-1], joined(scene, 0), scene.part(Topic.REQUESTS), all_models=True)
    frame = pl.concat(rows.frames())
    listed = frame["predictions"].list.eval(pl.element().struct.field("model")).list.n_unique()
    assert listed.to_list() == [3] * frame.height
    assert frame.schema["predictions"] == pl.List(
        pl.Struct(
            {
                "model": pl.String,
                "shadow": pl.Boolean,
                "timestamp": pl.Datetime("ms", "UTC"),
                "value": pl.Float64,
                "label": pl.String,
                "probabilities": pl.List(pl.Float64),
            }
        )
    )


# ---------------------------------------------------------------- cases made by hand
FEATURES = (
    Feature("actual", nullable=True),
    Feature("actual_", FeatureType.BOOLEAN),
    Feature("note", FeatureType.TEXT),
)
PRICE = Target("price", TargetType.REGRESSION)


def records_of(names: Sequence[str], values: Iterable[bytes]) -> Records:
    at = np.arange(len(names), dtype=np.int64)
    return Records([name.encode() for name in names], list(values), np.zeros(len(names), np.int32), at, at + NOW)


def asked(name: str, **features: Any) -> bytes:  # noqa: ANN401  # features of any type
    said = {"actual": 0.0, "actual_": True, "note": "", **features}
    return msgspec.json.encode({"deployment": "prices", "association_id": name, "timestamp": NOW, "features": said})


def exported(
    target: Target, said: Sequence[Outcome], requests: Sequence[Records], between: tuple[int, int] = EVER, **how: bool
) -> pl.DataFrame:
    """The rows of some outcomes; the requests come batch by batch."""
    deployment = Deployment("prices", 1, target, FEATURES, champion=Model("m", "m", "1"))
    outcomes = records_of([outcome.association_id for outcome in said], encode_outcomes(said))
    log = {(Topic.REQUESTS, number): records for number, records in enumerate(requests)}
    rows = gathered(MemoryStore(), deployment, {(Topic.OUTCOMES, 0): outcomes}, log, between, **how)
    return pl.concat([*rows.frames()] or [pl.DataFrame()])


def outcome(name: str, *predictions: OutcomePrediction, **truth: Any) -> Outcome:  # noqa: ANN401  # a value or a label
    return Outcome(name, "prices", OutcomeKind.MATCHED, 0, NOW + 5, predictions=predictions, **truth)


def said(
    value: float | None = 1.5, *, shadow: bool = False, at_ms: int = NOW, each: tuple[float, ...] = ()
) -> OutcomePrediction:
    return OutcomePrediction("new" if shadow else "m", shadow, at_ms, value, probabilities=each)


def test_of_requests_with_one_id_and_time_the_first_is_the_one() -> None:
    batches_of = [["first", "second"], ["third"]]
    requests = [records_of(["0"] * len(notes), [asked("0", note=note) for note in notes]) for notes in batches_of]
    assert exported(PRICE, [outcome("0", said(), value=2.0)], requests)["note"].to_list() == ["first"]


def test_a_case_is_of_the_time_of_what_was_served_whenever_challengers_were_asked() -> None:
    case = outcome("0", said(at_ms=NOW + 10, shadow=True), said(), value=2.0)
    requests = [records_of(["0"], [asked("0")])]
    assert exported(PRICE, [case], requests, (NOW, NOW + 1)).height == 1
    assert exported(PRICE, [case], requests, (NOW + 1, NOW + 20), features=False).is_empty()


@pytest.mark.parametrize("later", [(), (Prediction(timestamp_ms=JOINED_AT + 90_000, offset=9),)])
def test_a_forget_after_the_horizon_takes_the_row_out_whatever_the_join_still_knows(
    later: tuple[Prediction, ...],
) -> None:
    """The sweep removed the entry; the ID may have been asked again, out of the range that is exported."""
    joiner = Join()
    told = joiner.step(Prediction(), Actual("yes"), Prediction("other", offset=2), Actual("no", "other"))
    joiner.sweep(JOINED_AT + 60_000)
    assert joiner.table == {}
    target = Target("late", TargetType.BINARY, ("no", "yes"))
    deployment = Deployment("flights", 1, target, FEATURES, champion=Model("m", "m", "1"))

    def ids(outcomes: Sequence[Outcome]) -> list[str]:
        log = records_of([one.association_id for one in outcomes], encode_outcomes(outcomes))
        between = JOINED_AT - 60_000, JOINED_AT + 60_000
        rows = gathered(MemoryStore(), deployment, {(Topic.OUTCOMES, 0): log}, {}, between, features=False)
        return [name for frame in rows.frames() for name in frame["association_id"]]

    assert sorted(ids(told)) == sorted([Prediction().id, "other"])
    assert ids([*told, *joiner.step(*later, Actual(label=None, forget=True))]) == ["other"]


def test_an_outcome_under_a_strange_key_is_nobodys() -> None:
    good = outcome("0", said(), value=2.0)
    deployment = Deployment("prices", 1, PRICE, FEATURES, champion=Model("m", "m", "1"))
    rows = LabelledRows(MemoryStore(), deployment, *EVER, features=False)
    rows.take_outcomes(records_of(["0", "1"], encode_outcomes([good, good])))
    rows.settle()
    assert rows.cases == 1


def test_numbers_are_numbers_and_features_with_our_names_get_their_own() -> None:
    cases = [
        outcome("0", said(), value=2.0, was_acted_on=True),
        outcome("1", said(shadow=True), value=3.0),  # none was served
        outcome("2", said(), label="much"),
    ]
    requests = [asked("0", actual=None, note="a"), asked("1", actual=1.0, actual_=False, note="b"), asked("2")]
    frame = exported(PRICE, cases, [records_of(["0", "1", "2"], requests)])
    assert frame.select("actual__", "actual_", "note", "prediction", "model", "actual", "was_acted_on").rows() == [
        (None, True, "a", 1.5, "m", 2.0, True),
        (1.0, False, "b", None, None, 3.0, None),
    ]
    kinds = [frame.schema[name] for name in ("actual__", "actual_", "note", "prediction", "actual")]
    assert kinds == [pl.Float64, pl.Boolean, pl.String, pl.Float64, pl.Float64]


def test_of_many_classes_the_likeliest_and_all_probabilities_are_given() -> None:
    target = Target("fruit", TargetType.MULTICLASS, ("apple", "pear", "plum"))
    case = outcome("0", said(None, each=(0.2, 0.5, 0.3)), label="plum")
    frame = exported(target, [case], [records_of(["0"], [asked("0")])])
    assert frame.select("prediction", "probabilities", "actual").rows() == [("pear", [0.2, 0.5, 0.3], "plum")]
