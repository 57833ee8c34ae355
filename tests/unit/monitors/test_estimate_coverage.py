"""The intervals of estimates of several classes and of numbers hold what comes true as often as they say."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn import metrics as judge

from monitors.baseline import build_baseline
from monitors.estimate import ESTIMATES
from monitors.folds import fold_predictions
from schemas.deployment import Span
from schemas.observation import Kind
from schemas.package import Package, Target, TargetType
from tests.unit.monitors.fold_frames import package, predictions

COLOURS = Target("colour", TargetType.MULTICLASS, ("red", "green", "blue"))
PRICE = Target("price", TargetType.REGRESSION)
MODELS, WINDOWS, ROWS = 8, 25, 1_000

Floats = NDArray[np.float64]


def holds(name: str, live: Package, rows: list[dict[str, object]], truth: float) -> bool:
    """Whether the interval of what is expected of these predictions has the truth in it."""
    summary = fold_predictions(predictions(rows), live, Span.HOUR)[Kind.ACCURACY, "m", "", 0]
    low, high = ESTIMATES[name].interval(ESTIMATES[name].compute(summary, live))
    assert low is not None
    assert high is not None
    return bool(low <= truth <= high)


def drawn(rng: np.random.Generator, chances: Floats) -> NDArray[np.intp]:
    return np.asarray((chances.cumsum(axis=1) < rng.random((len(chances), 1))).sum(axis=1))


def test_of_three_classes_metrics_come_true_in_90_to_98_of_100_windows_under_a_shift_of_inputs() -> None:
    rng = np.random.default_rng(19)
    held: dict[str, list[bool]] = {}
    for _ in range(MODELS):
        chances = rng.dirichlet([1, 1, 1], 10_000)
        labels = [COLOURS.classes[code] for code in drawn(rng, chances)]
        live = package(COLOURS, build_baseline((), COLOURS, pl.DataFrame(), labels, chances))
        for _ in range(WINDOWS):
            shifted = rng.dirichlet([3, 1, 0.5], ROWS)
            came = drawn(rng, shifted)
            said = shifted.argmax(axis=1)
            rows = [
                {"probabilities": row, "label": COLOURS.classes[code]}
                for row, code in zip(shifted.tolist(), said.tolist(), strict=True)
            ]
            for name, truth in came_true(came, said, shifted).items():
                held.setdefault(name, []).append(holds(name, live, rows, truth))
    shares = {name: float(np.mean(some)) for name, some in held.items()}
    assert all(0.90 <= share <= 0.98 for share in shares.values()), shares


def came_true(came: NDArray[np.intp], said: NDArray[np.intp], chances: Floats) -> dict[str, float]:
    """What scikit-learn says of labels; `chances` of the classes, rows first."""
    of_actual = chances[np.arange(came.size), came].clip(1e-15)
    found = {"accuracy": float((came == said).mean()), "log_loss": float(-np.log(of_actual).mean())}
    measures = {"precision": judge.precision_score, "recall": judge.recall_score, "f1": judge.f1_score}
    for name, measure in measures.items():
        for average in ("macro", "weighted"):
            found[f"{name}_{average}"] = float(measure(came, said, average=average))
    for average in ("macro", "weighted"):
        found[f"auc_{average}"] = float(judge.roc_auc_score(came, chances, multi_class="ovr", average=average))
    return found


def test_of_numbers_the_errors_come_true_in_90_to_98_of_100_windows_where_higher_ones_are_predicted() -> None:
    rng = np.random.default_rng(23)
    held: dict[str, list[bool]] = {"mae": [], "rmse": []}
    for _ in range(MODELS):
        predicted = rng.gamma(2, 50, 10_000)
        actual = predicted + rng.normal(size=predicted.size) * predicted * 0.2
        live = package(PRICE, build_baseline((), PRICE, pl.DataFrame(), actual, predicted))
        for _ in range(WINDOWS):
            higher = rng.gamma(2.5, 55, ROWS)
            error = rng.normal(size=ROWS) * higher * 0.2
            truths = {"mae": float(np.abs(error).mean()), "rmse": float(np.sqrt((error**2).mean()))}
            for name, truth in truths.items():
                held[name].append(holds(name, live, [{"value": value} for value in higher.tolist()], truth))
    shares = {name: float(np.mean(some)) for name, some in held.items()}
    assert all(0.90 <= share <= 0.98 for share in shares.values()), shares
