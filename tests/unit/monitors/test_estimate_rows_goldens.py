"""Estimates of several classes and of numbers beside NannyML's, on the demo's rows (`tests/goldens/features.py`).

Of classes both calibrate and count the same way. Of numbers NannyML asks boosted trees that read the prediction as a
feature, with no cross-fitting: another model of the same errors, which ours must be nearer to than cells alone are.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from monitors.baseline import build_baseline
from monitors.estimate import ESTIMATES
from monitors.folds import fold_predictions
from monitors.folds.foreseen import fold_foreseen
from monitors.summary import Summary
from schemas.deployment import Span
from schemas.observation import Kind
from schemas.package import Feature, FeatureType, Package, Target, TargetType
from tests.goldens import __file__ as goldens
from tests.unit.monitors.fold_frames import package, predictions

CHUNKS, ROWS = 5, 1_000
NAMES = {"roc_auc": "auc_macro", "accuracy": "accuracy", "f1": "f1_macro"}
NAMES |= {"precision": "precision_macro", "recall": "recall_macro"}


def golden(name: str) -> tuple[pl.DataFrame, list[pl.DataFrame], list[dict[str, float]]]:
    """Holdout, chunks of live rows, and NannyML's estimates of them."""
    folder = Path(goldens).parent
    rows = pl.read_parquet(folder / f"{name}.parquet")
    first = rows.height - CHUNKS * ROWS
    live = [rows.slice(first + place * ROWS, ROWS) for place in range(CHUNKS)]
    return rows[:first], live, json.loads((folder / f"{name}.json").read_text())


def test_macro_metrics_of_classes_are_those_of_nannyml_within_three_thousandths_a_chunk() -> None:
    holdout, chunks, estimates = golden("classes")
    scores = [name for name in holdout.columns if name.startswith("score_")]
    target = Target("outcome", TargetType.MULTICLASS, tuple(name.removeprefix("score_") for name in scores))
    known = holdout.select(scores).to_numpy()
    live = package(target, build_baseline((), target, pl.DataFrame(), holdout["actual"].to_list(), known))
    apart: dict[str, list[float]] = {}
    for chunk, judged in zip(chunks, estimates, strict=True):
        rows = [
            {"probabilities": list(said), "label": label}
            for said, label in zip(chunk.select(scores).rows(), chunk["predicted"], strict=True)
        ]
        summary = fold_predictions(predictions(rows), live, Span.DAY)[Kind.ACCURACY, "m", "", 0]
        for theirs, name in NAMES.items():
            value = ESTIMATES[name].compute(summary, live).value
            assert value is not None
            apart.setdefault(name, []).append(abs(value - judged[theirs]))
    assert {name: max(some) <= 0.003 for name, some in apart.items()} == dict.fromkeys(apart, True), apart


@pytest.mark.parametrize(("name", "at_most"), [("mae", 0.13), ("rmse", 0.18)])
def test_errors_of_numbers_are_nearer_to_those_of_nannyml_s_model_of_features_than_cells_are(
    name: str, at_most: float
) -> None:
    holdout, chunks, estimates = golden("numbers")
    live = of_numbers(holdout)
    whole, cells = [], []
    for chunk, judged in zip(chunks, estimates, strict=True):
        said = predictions([{"value": value} for value in chunk["predicted"].to_list()])
        summary = fold_predictions(said, live, Span.DAY)[Kind.ACCURACY, "m", "", 0].copy()
        cells.append(off(name, summary, live, judged[name]))
        times = np.zeros(chunk.height, np.int64)
        summary.add(fold_foreseen(chunk, times, None, live, Span.DAY)[Kind.ACCURACY, "m", "", 0])
        whole.append(off(name, summary, live, judged[name]))
    assert max(whole) <= at_most < max(cells), (whole, cells)
    assert np.mean(whole) < np.mean(cells), (whole, cells)


def of_numbers(holdout: pl.DataFrame) -> Package:
    """What is learned of the demo's champion."""
    target = Target("adr", TargetType.REGRESSION)
    types = {pl.String: FeatureType.CATEGORICAL, pl.Boolean: FeatureType.BOOLEAN}
    features = tuple(
        Feature(name, types.get(type(kind), FeatureType.NUMERIC), nullable=True)
        for name, kind in holdout.schema.items()
        if name not in {"predicted", "actual"}
    )
    said, truth = holdout["predicted"].to_numpy(), holdout["actual"].to_numpy()
    return package(target, build_baseline(features, target, holdout, truth, said, holdout=holdout))


def off(name: str, summary: Summary, live: Package, judged: float) -> float:
    """How far the estimate is from another, relative to that."""
    value = ESTIMATES[name].compute(summary, live).value
    assert value is not None
    return abs(value / judged - 1)
