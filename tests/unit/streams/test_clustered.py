"""From requests to a verdict's pairs, without a broker: what rows belong to is with them all the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np
import polars as pl
import pytest

from monitors.clusters import ROWS
from monitors.folds import fold_outcomes
from monitors.join import join
from monitors.join_columns import prefix_of
from monitors.join_outcomes import encode_changes
from schemas.actual import ActualColumns, decode_actuals, encode_actuals
from schemas.clusters import CELLS, cells_of
from schemas.deployment import Deployment, Model, Settings, Span
from schemas.observation import Kind
from schemas.outcome import CLUSTERED, CONTRACT, decode_outcomes
from schemas.prediction import decode_predictions
from schemas.requests import decode_requests
from schemas.topics import Topic
from scorers.package import load
from streams.batch import Effects
from streams.scoring import predict
from tests.streams.chain_scene import archive
from tests.unit.streams.test_explained import NOW_MS, asking, records, served, written

if TYPE_CHECKING:
    from monitors.summary import Summary
    from schemas.records import Records

CONSUMERS = ("anna", "ben", None)
ROWS_ASKED = 30


def chain(settings: Settings) -> tuple[Records, Summary]:
    """The outcomes of some requests, and the pairs that these are folded into."""
    rival = load(archive("rival", 2.0))
    models = [Model(loaded.package.digest, "m", "1") for loaded in (served(), rival)]
    package = served().package
    known = Deployment("loans", 1, package.target, package.features, models[0], (models[1],), settings)
    ids = [f"a-{row}" for row in range(ROWS_ASKED)]
    bodies = [
        msgspec.json.encode(
            msgspec.json.decode(asking(name, amount=float(row), plan=("free", "gold")[row % 2]))
            | {"consumer": CONSUMERS[row % 3]}
        )
        for row, name in enumerate(ids)
    ]
    asked = records([(name.encode(), body) for name, body in zip(ids, bodies, strict=True)])
    (group,) = decode_requests(asked, {"loans": known}).groups
    frames = []
    topics = (Topic.PREDICTIONS, Topic.SHADOW_PREDICTIONS)
    for topic, model, loaded in zip(topics, models, (served(), rival), strict=True):
        effects = Effects()
        predict(effects, topic, asked, group, model, loaded)
        frame = decode_predictions(written(effects)).frame.drop("explanations", strict=False)
        shadow = topic is Topic.SHADOW_PREDICTIONS
        frames.append(frame.with_columns(partition=pl.lit(0, pl.Int32), shadow=pl.lit(shadow)))
    labels = [package.target.classes[row % 2] for row in range(ROWS_ASKED)]
    told = encode_actuals(ActualColumns("loans", ids, np.full(ROWS_ASKED, NOW_MS + 1_000), labels=labels))
    actuals = decode_actuals(records([(name.encode(), value) for name, value in zip(ids, told, strict=True)])).frame
    actuals = actuals.with_columns(partition=pl.lit(0, pl.Int32), received_ms=pl.lit(NOW_MS + 1_000))
    parts = join(pl.concat(frames), actuals, lambda _, keys: [None] * len(keys), deployments={"loans": known})
    changes = [change for part in parts.values() for change in part.changes]
    keys, values = encode_changes(changes, {prefix_of(model.digest): model.digest for model in models})
    outcomes = records(list(zip(keys, values, strict=True)))
    packages = {loaded.package.digest: loaded.package for loaded in (served(), rival)}
    folded = fold_outcomes(decode_outcomes(outcomes).frame, packages, Span.DAY)
    (pairs,) = (summary for key, summary in folded.items() if key[0] is Kind.PAIRS)
    return outcomes, pairs


@pytest.mark.parametrize("explanations", [False, True])
def test_rows_of_one_caller_are_in_one_cell_and_those_of_nobody_alone(*, explanations: bool) -> None:
    outcomes, pairs = chain(Settings(cluster="consumer", explanations=explanations))
    assert all(value and value.startswith(CLUSTERED.framing) for value in outcomes.values)
    alone = [b"\0a-%d" % row for row in range(2, ROWS_ASKED, 3)]
    expected = np.bincount(cells_of([b"anna", b"ben"] * 10 + alone), minlength=CELLS)
    assert pairs.vector(ROWS, CELLS).tolist() == expected.tolist()


def test_a_feature_can_be_what_rows_belong_to() -> None:
    _, pairs = chain(Settings(cluster="plan"))
    expected = np.bincount(cells_of([b"free", b"gold"] * 15), minlength=CELLS)
    assert pairs.vector(ROWS, CELLS).tolist() == expected.tolist()


def test_who_declares_no_cluster_writes_what_was_written_before() -> None:
    outcomes, pairs = chain(Settings())
    assert all(value and value.startswith(CONTRACT.framing) for value in outcomes.values)
    assert pairs.count("pairs") == ROWS_ASKED
    assert ROWS not in pairs.counts
