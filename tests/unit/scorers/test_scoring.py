from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from schemas.package import Feature, Package, Target, TargetType
from schemas.prediction import ErrorCode
from scorers.formats import Predictions
from scorers.package import LoadedPackage
from scorers.scoring import CALLS, score
from tests.unit.scorers import makers

VALUE = Package("p", "1", "", Target("y", TargetType.REGRESSION), (Feature("x"),), "linear")


@dataclass
class Brittle:
    """Gives x back; raises on negative numbers and counts its calls."""

    calls: int = 0

    def predict(self, features: pl.DataFrame) -> Predictions:
        self.calls += 1
        x = features["x"].to_numpy()
        if (x < 0).any():
            raise ArithmeticError("a negative\nnumber")
        return x.copy()


@dataclass
class Fixed:
    """Gives the same output whatever comes."""

    output: Predictions

    def predict(self, features: pl.DataFrame) -> Predictions:
        return self.output[: features.height].copy()


@given(st.lists(st.floats(-1, 9).map(lambda x: x if x > -0.2 else -1.0), max_size=60))
def test_only_the_rows_that_the_model_cannot_take_fail(xs: list[float]) -> None:
    xs = [abs(x) if x > -1 else x for x in xs]
    scores = score(LoadedPackage(VALUE, Brittle()), pl.DataFrame({"x": xs}, schema={"x": pl.Float64}))
    bad = {row for row, x in enumerate(xs) if x < 0}
    assert set(scores.failed) == bad
    assert all(
        error == (ErrorCode.MODEL_FAILED, "the model failed: a negative number") for error in scores.failed.values()
    )
    np.testing.assert_array_equal(scores.values, [np.nan if row in bad else x for row, x in enumerate(xs)])
    assert scores.probabilities is None
    assert scores.labels is None


def test_one_bad_row_of_many_costs_few_calls() -> None:
    model = Brittle()
    xs = np.ones(4_096)
    xs[1_234] = -1
    assert list(score(LoadedPackage(VALUE, model), pl.DataFrame({"x": xs})).failed) == [1_234]
    assert model.calls == 25  # the batch, and two halves for each of 12 levels


def test_a_model_that_always_raises_is_not_asked_for_ever() -> None:
    model = Brittle()
    scores = score(LoadedPackage(VALUE, model), pl.DataFrame({"x": -np.ones(20_000)}))
    assert len(scores.failed) == 20_000
    assert model.calls < CALLS + 20


def test_a_prediction_that_is_not_finite_fails_its_row_only() -> None:
    scores = score(LoadedPackage(VALUE, Fixed(np.array([1.0, np.inf, np.nan]))), pl.DataFrame({"x": [1.0, 2.0, 3.0]}))
    assert {row: code for row, (code, _) in scores.failed.items()} == dict.fromkeys((1, 2), ErrorCode.MODEL_NOT_FINITE)
    np.testing.assert_array_equal(scores.values, [1.0, np.nan, np.nan])


def test_predictions_of_another_shape_are_a_failure_of_the_model() -> None:
    scores = score(LoadedPackage(VALUE, Fixed(np.ones((2, 2)))), pl.DataFrame({"x": [1.0, 2.0]}))
    assert {code for code, _ in scores.failed.values()} == {ErrorCode.MODEL_FAILED}


def test_a_binary_label_is_positive_from_the_threshold_on() -> None:
    output = np.array([[0.61, 0.39], [0.6, 0.4], [0.2, 0.8], [np.nan, 0.9]])
    scores = score(LoadedPackage(makers.package(), Fixed(output)), pl.DataFrame({"x": [0.0] * 4}))
    assert scores.labels == ["no", "yes", "yes", ""]
    np.testing.assert_array_equal(scores.values, [0.39, 0.4, 0.8, np.nan])
    assert list(scores.failed) == [3]


def test_a_multiclass_label_is_the_likeliest_class_and_its_probability_the_value() -> None:
    target = Target("y", TargetType.MULTICLASS, classes=("a", "b", "c"))
    output = np.array([[0.2, 0.5, 0.3], [0.4, 0.2, 0.4], [np.nan, 1.0, 0.0]])
    package = msgspec.structs.replace(VALUE, target=target)
    scores = score(LoadedPackage(package, Fixed(output)), pl.DataFrame({"x": [0.0] * 3}))
    assert scores.labels == ["b", "a", ""]
    np.testing.assert_array_equal(scores.values, [0.5, 0.4, np.nan])
    assert scores.probabilities is not None
    np.testing.assert_array_equal(scores.probabilities[:2], output[:2])


def test_no_rows_give_no_scores() -> None:
    scores = score(makers.loaded(), makers.ROWS.clear())
    assert (scores.values.size, scores.labels, scores.failed) == (0, [], {})
