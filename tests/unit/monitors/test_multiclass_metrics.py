"""Metrics of more than two classes against scikit-learn; classes that are absent; intervals."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from sklearn import metrics as judge

from monitors.baseline import build_baseline
from monitors.class_means import averaged
from monitors.folds import fold_outcomes
from monitors.folds.terms import MOST_CLASSES
from monitors.metrics import METRICS, Value, metrics_of
from monitors.metrics.auc_of_classes import areas
from monitors.summary import Summary
from schemas.deployment import Span
from schemas.observation import Kind, Reason
from schemas.package import Package, Target, TargetType
from tests.unit.monitors.fold_frames import outcomes, package, said

COLOUR = Target("colour", TargetType.MULTICLASS, ("red", "green", "blue", "black"))
MEASURES = {"precision": judge.precision_score, "recall": judge.recall_score, "f1": judge.f1_score}
AVERAGES = [f"{name}_{average}" for name in MEASURES for average in ("macro", "weighted")]
Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


def summary_of(actual: Codes, probabilities: Floats, of: Package) -> Summary:
    rows = [
        {"kind": "matched", "label": COLOUR.classes[code], "predictions": [said(None, None, answer)]}
        for code, answer in zip(actual.tolist(), probabilities.tolist(), strict=True)
    ]
    return fold_outcomes(outcomes(rows), {"m": of}, Span.DAY)[Kind.ACCURACY, "m", "", 0]


def values(summary: Summary, of: Package) -> Mapping[str, Value]:
    return {one.name: one.compute(summary, of, "") for one in metrics_of(of) if one.kind is Kind.ACCURACY}


def stream(seed: int, rows: int = 1500) -> tuple[Codes, Floats]:
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet((0.3, 0.5, 0.8, 0.2), rows)
    softer = 0.7 * probabilities + 0.3 * np.array([0.4, 0.3, 0.2, 0.1])
    return np.array([rng.choice(4, p=row) for row in softer]), probabilities


def test_averages_over_classes_are_those_of_scikit_learn() -> None:
    actual, probabilities = stream(1)
    labels = [COLOUR.classes[code] for code in actual]
    of = package(COLOUR, build_baseline((), COLOUR, pl.DataFrame(), labels, probabilities))
    found, called = values(summary_of(actual, probabilities, of), of), probabilities.argmax(axis=1)
    for name, measure in MEASURES.items():
        for average in ("macro", "weighted"):
            value = found[f"{name}_{average}"]
            assert value.value == pytest.approx(measure(actual, called, average=average), rel=1e-9)
            assert value.baseline == value.value
    assert found["balanced_accuracy"].value == pytest.approx(judge.balanced_accuracy_score(actual, called), rel=1e-9)
    assert found["accuracy"].value == pytest.approx(judge.accuracy_score(actual, called), rel=1e-9)


def test_the_area_against_the_rest_is_within_its_certificate() -> None:
    actual, probabilities = stream(2)
    of = package(COLOUR)
    summary = summary_of(actual, probabilities, of)
    certificates = []
    for code, (area, rows) in enumerate(areas(summary, of)):
        assert rows == (actual == code).sum()
        exact = judge.roc_auc_score(actual == code, probabilities[:, code])
        assert abs(area.value - exact) <= area.certificate + 1e-12
        certificates.append(area.certificate)
    exact = judge.roc_auc_score(actual, probabilities, multi_class="ovr")
    value = values(summary, of)["auc_macro"]
    assert value.bound == pytest.approx(np.mean(certificates), rel=1e-12)
    assert value.bound is not None
    assert abs((value.value or 0) - exact) <= value.bound < 0.02
    assert abs((value.value or 0) - exact) < 1e-3
    assert (value.low or 9) < exact < (value.high or 0)
    exact = judge.roc_auc_score(actual, probabilities, multi_class="ovr", average="weighted")
    value = values(summary, of)["auc_weighted"]
    assert abs((value.value or 0) - exact) < 1e-3
    assert (value.low or 9) < exact < (value.high or 0)


def test_an_absent_class_is_left_out_and_said() -> None:
    actual, probabilities = stream(3)
    kept = actual != 3
    actual, probabilities = actual[kept], probabilities[kept]
    found = values(summary_of(actual, probabilities, package(COLOUR)), package(COLOUR))
    called = probabilities.argmax(axis=1)
    for name, measure in MEASURES.items():
        for average in ("macro", "weighted"):
            value = found[f"{name}_{average}"]
            assert value.reason is Reason.ONE_CLASS
            assert value.value == pytest.approx(measure(actual, called, labels=[0, 1, 2], average=average), rel=1e-9)
    areas_left = [judge.roc_auc_score(actual == code, probabilities[:, code]) for code in range(3)]
    assert found["auc_macro"].reason is Reason.ONE_CLASS
    assert found["auc_macro"].value == pytest.approx(np.mean(areas_left), abs=1e-3)


def test_a_class_that_is_never_predicted_has_no_precision() -> None:
    table = np.array([[5, 2, 0], [1, 6, 0], [2, 2, 0]])
    three = package(Target("c", TargetType.MULTICLASS, ("a", "b", "c")))
    found = {name: METRICS[name].compute(Summary({"confusion": table.ravel()}), three, "") for name in AVERAGES}
    assert found["precision_macro"].value == pytest.approx((5 / 8 + 6 / 10) / 2)
    assert found["precision_macro"].reason is Reason.ZERO_DENOMINATOR
    assert found["f1_macro"].value == pytest.approx((10 / 15 + 12 / 17 + 0) / 3)
    assert found["f1_macro"].reason is None


def test_one_class_alone_has_no_area() -> None:
    of = package(COLOUR)
    actual, probabilities = stream(4, 50)
    found = values(summary_of(np.zeros_like(actual), probabilities, of), of)
    assert (found["auc_macro"].value, found["auc_macro"].reason) == (None, Reason.ONE_CLASS)
    unsaid = [{"kind": "matched", "label": "red", "predictions": [said(None, "red")]}]
    summary = fold_outcomes(outcomes(unsaid), {"m": of}, Span.DAY)[Kind.ACCURACY, "m", "", 0]
    assert values(summary, of)["auc_macro"].reason is Reason.NO_PROBABILITY


@pytest.mark.parametrize("name", AVERAGES)
def test_standard_errors_over_classes_are_those_of_resampled_tables(name: str) -> None:
    rng = np.random.default_rng(5)
    table = np.array([[90, 20, 10], [15, 40, 5], [4, 6, 10]])
    three = package(Target("c", TargetType.MULTICLASS, ("a", "b", "c")))
    drawn = rng.multinomial(200, table.ravel() / 200, 3000)
    value = METRICS[name].compute(Summary({"confusion": table.ravel()}), three, "")
    resampled = [METRICS[name].compute(Summary({"confusion": one}), three, "").value or 0 for one in drawn]
    assert ((value.high or 0) - (value.low or 0)) / 3.92 == pytest.approx(np.std(resampled), rel=0.1)


def test_too_many_classes_keep_no_histograms() -> None:
    many = Target("c", TargetType.MULTICLASS, tuple(map(str, range(MOST_CLASSES + 1))))
    answer = said(None, None, [1.0] + [0.0] * MOST_CLASSES)
    frame = outcomes([{"kind": "matched", "label": "1", "predictions": [answer]}])
    summary = fold_outcomes(frame, {"m": package(many)}, Span.DAY)[Kind.ACCURACY, "m", "", 0]
    assert not any(name.startswith("against_rest") for name in summary.counts)
    assert "auc_macro" not in {one.name for one in metrics_of(package(many))}


def test_classes_that_are_never_mistaken_leave_no_error() -> None:
    value, slopes = averaged(np.eye(3, dtype=np.int64), "f1", weighted=True)
    assert value == 1.0
    assert not (np.eye(3) * slopes).any()
