"""CBPE beside an independent implementation on the demo's bookings (`tests/goldens/cbpe.py`), and its own promise."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from monitors.baseline import build_baseline
from monitors.bins import package_prediction_bins, score_edges
from monitors.calibration import calibrated
from monitors.estimate import ESTIMATES
from monitors.estimate.scores import SCORED
from monitors.summary import Summary
from schemas.package import Baseline, NumericBins
from tests.goldens import __file__ as goldens
from tests.unit.monitors.fold_frames import package
from tests.unit.monitors.test_metrics import BINARY

NAMES = {"roc_auc": "auc", "accuracy": "accuracy", "f1": "f1", "precision": "precision", "recall": "recall"}


@pytest.mark.parametrize("theirs", NAMES)
def test_estimates_are_those_of_nannyml_within_three_thousandths_a_chunk(theirs: str) -> None:
    golden = json.loads(Path(goldens).with_name("cbpe.json").read_text())
    learned = calibrated(np.array(golden["scores"]), np.array(list(golden["actual"])) == "1")
    assert learned is not None
    live = package(BINARY, Baseline(calibration=(learned,)))
    apart = []
    for counts, estimates in zip(golden["chunks"], golden["estimates"], strict=True):
        found = ESTIMATES[NAMES[theirs]].compute(Summary({SCORED: np.array(counts)}), live)
        assert found.value is not None
        apart.append(abs(found.value - estimates[theirs]))
    assert len(apart) == 17
    assert max(apart) <= 0.003


@pytest.mark.parametrize("name", ["accuracy", "auc", "f1", "precision", "recall", "brier", "log_loss"])
def test_the_interval_holds_what_comes_true_in_90_to_98_of_100_windows_under_a_shift_of_inputs(name: str) -> None:
    rng = np.random.default_rng(17)
    covered = []
    edges = np.array(score_edges(0.5))
    for _ in range(20):
        scores = 1 / (1 + np.exp(-rng.normal(0, 2, 10_000)))
        labels = np.where(rng.random(scores.size) < scores, "yes", "no").tolist()
        live = package(BINARY, build_baseline((), BINARY, pl.DataFrame(), labels, scores))
        assert isinstance(package_prediction_bins(live), NumericBins)
        for _ in range(25):
            now = 1 / (1 + np.exp(-rng.normal(0.7, 1.7, 2_000)))
            positive = rng.random(now.size) < now
            places = np.searchsorted(edges, now)
            counts = np.bincount(places, minlength=edges.size + 2)
            estimate = ESTIMATES[name]
            low, high = estimate.interval(estimate.compute(Summary({SCORED: counts}), live))
            assert low is not None
            assert high is not None
            covered.append(low <= _came_true(name, now, positive, places) <= high)
    assert 0.90 <= np.mean(covered) <= 0.98


def _came_true(
    name: str,
    scores: np.ndarray[tuple[int], np.dtype[np.float64]],
    positive: np.ndarray[tuple[int], np.dtype[np.bool_]],
    places: np.ndarray[tuple[int], np.dtype[np.intp]],
) -> float:
    hits, predicted = positive & (scores >= 0.5), scores >= 0.5
    p, n = np.bincount(places[positive], minlength=300), np.bincount(places[~positive], minlength=300)
    chance = np.where(positive, scores, 1 - scores)
    values = {
        "accuracy": (positive == predicted).mean(),
        "auc": (p * (n.cumsum() - n / 2)).sum() / p.sum() / n.sum(),
        "f1": 2 * hits.sum() / (positive.sum() + predicted.sum()),
        "precision": hits.sum() / predicted.sum(),
        "recall": hits.sum() / positive.sum(),
        "brier": ((1 - chance) ** 2).mean(),
        "log_loss": -np.log(chance).mean(),
    }
    return float(values[name])
