"""Attributions are Shapley values, they add up to what the model says, and no batch cut changes a bit of them."""

from __future__ import annotations

from itertools import combinations
from math import factorial

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from numpy.typing import NDArray

from schemas.package import Attributions, Baseline, Feature, FeatureType, Target, TargetType
from scorers.explanations import centres_of, explain
from scorers.formats.linear import CategoricalTerm, LinearModel, Link, NumericTerm, load
from scorers.package import LoadedPackage, PackageError, build
from scorers.scoring import Scores, score
from tests.unit.scorers.makers import LATE, MODEL, package

FEATURES = (
    Feature("age", FeatureType.NUMERIC, nullable=True),
    Feature("carrier", FeatureType.CATEGORICAL, nullable=True),
    Feature("unused", FeatureType.NUMERIC),
    Feature("holiday", FeatureType.BOOLEAN),
)
THREE = Target("when", TargetType.MULTICLASS, ("early", "in time", "late"))
PRICE = Target("price", TargetType.REGRESSION)
SOFTMAX = LinearModel(
    Link.SOFTMAX,
    (0.1, 0.0, -0.2),
    {
        "age": NumericTerm((0.5, -0.25, 0.75), mean=40, scale=10),
        "carrier": CategoricalTerm({"AA": (1.0, 0.0, 0.5), "DL": (-1.0, 0.25, 0.0)}, missing="DL"),
        "holiday": NumericTerm((0.0, 0.5, -0.5)),
    },
)


def rows(seed: int, count: int) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "age": np.where(rng.random(count) < 0.1, np.nan, rng.normal(45, 12, count)),
            "carrier": [("AA", "DL", "XX", None)[code] for code in rng.integers(0, 4, count)],
            "unused": rng.normal(size=count),
            "holiday": (rng.random(count) < 0.3).tolist(),
        },
        schema={"age": pl.Float64, "carrier": pl.String, "unused": pl.Float64, "holiday": pl.Boolean},
    )


def model(of: LinearModel = MODEL, target: Target = LATE) -> LoadedPackage:
    known = package(features=FEATURES, baseline=Baseline(), target=target)
    return LoadedPackage(known, load(of.artifact(), known))


def sums(loaded: LoadedPackage, frame: pl.DataFrame) -> NDArray[np.float64]:
    """The sum of terms of each row, as its predictions say it: log-odds, or the number itself."""
    said = score(loaded, frame)
    if said.probabilities is None:
        return said.values
    logs = np.log(said.probabilities)
    if said.probabilities.shape[1] == 2:
        return np.asarray(logs[:, 1] - logs[:, 0])
    chosen = said.probabilities.argmax(axis=1)
    return np.asarray(logs[np.arange(len(logs)), chosen] - logs.mean(axis=1))


def attributions(loaded: LoadedPackage, frame: pl.DataFrame, holdout: pl.DataFrame) -> NDArray[np.float64]:
    said = explain(loaded, frame, score(loaded, frame), centres_of(loaded, holdout))
    assert said is not None
    assert said.features == ("age", "carrier", "unused", "holiday")
    return said.attributions


@pytest.mark.parametrize("loaded", [model(), model(replace(MODEL, link=Link.IDENTITY), PRICE)])
def test_they_are_the_shapley_values_of_the_definition(loaded: LoadedPackage) -> None:
    """By every coalition of features, those outside it taken from holdout rows: nothing here knows of terms."""
    holdout, frame = rows(1, 40), rows(2, 5)
    names = frame.columns

    def expected(row: int, known: tuple[str, ...]) -> float:
        told = holdout.with_columns(frame[row][name].new_from_index(0, holdout.height) for name in known)
        return float(sums(loaded, told).mean())

    found = attributions(loaded, frame, holdout)
    for row in range(frame.height):
        for place, name in enumerate(names):
            others = [other for other in names if other != name]
            value = 0.0
            for size in range(len(others) + 1):
                weight = factorial(size) * factorial(len(others) - size) / factorial(len(names))
                for known in combinations(others, size):
                    value += weight * (expected(row, (*known, name)) - expected(row, known))
            assert found[row, place] == pytest.approx(value, abs=1e-9)


@pytest.mark.parametrize("loaded", [model(), model(replace(MODEL, link=Link.IDENTITY), PRICE)])
def test_they_add_up_to_the_distance_from_the_mean_prediction(loaded: LoadedPackage) -> None:
    holdout, frame = rows(1, 400), rows(2, 50)
    distance = sums(loaded, frame) - sums(loaded, holdout).mean()
    np.testing.assert_allclose(attributions(loaded, frame, holdout).sum(axis=1), distance, atol=1e-9)
    np.testing.assert_allclose(attributions(loaded, holdout, holdout).mean(axis=0), 0, atol=1e-12)


def test_of_many_classes_they_are_of_the_predicted_one_beside_all() -> None:
    loaded = model(SOFTMAX, THREE)
    holdout, frame = rows(1, 400), rows(2, 50)
    logs, before = (np.log(np.asarray(score(loaded, each).probabilities)) for each in (frame, holdout))
    chosen = logs.argmax(axis=1)
    centred, usual = logs - logs.mean(axis=1)[:, None], (before - before.mean(axis=1)[:, None]).mean(axis=0)
    expected = centred[np.arange(50), chosen] - usual[chosen]
    np.testing.assert_allclose(attributions(loaded, frame, holdout).sum(axis=1), expected, atol=1e-9)


def test_the_same_added_to_every_class_explains_nothing() -> None:
    shifted = {
        "age": NumericTerm((7.5, 6.75, 7.75), mean=40, scale=10),
        "carrier": SOFTMAX.terms["carrier"],
        "holiday": SOFTMAX.terms["holiday"],
    }
    holdout, frame = rows(1, 400), rows(2, 50)
    one, other = (attributions(model(of, THREE), frame, holdout) for of in (SOFTMAX, replace(SOFTMAX, terms=shifted)))
    np.testing.assert_allclose(one, other, atol=1e-9)


def test_a_feature_that_the_model_does_not_look_at_has_moved_nothing() -> None:
    assert not attributions(model(), rows(2, 50), rows(1, 400))[:, 2].any()


@settings(deadline=None, max_examples=30)
@given(st.sampled_from([(MODEL, LATE), (SOFTMAX, THREE)]), st.integers(0, 60), st.integers(0, 60))
def test_no_batch_cut_changes_a_bit(of: tuple[LinearModel, Target], one: int, other: int) -> None:
    loaded, frame, holdout = model(*of), rows(2, 60), rows(1, 100)
    first, last = sorted((one, other))
    whole = attributions(loaded, frame, holdout)
    assert attributions(loaded, frame[first:last], holdout).tobytes() == whole[first:last].tobytes()


def test_a_model_that_is_no_sum_of_terms_explains_nothing() -> None:
    class Opaque:
        def predict(self, features: pl.DataFrame) -> NDArray[np.float64]:
            return np.zeros(features.height)

    loaded = LoadedPackage(package(target=PRICE), Opaque())
    assert centres_of(loaded, rows(1, 3)) is None
    assert explain(loaded, rows(1, 3), Scores(np.zeros(3), None, None), {}) is None


def test_without_holdout_rows_there_is_nothing_to_measure_from() -> None:
    assert centres_of(model(), rows(1, 0)) is None
    assert explain(model(), rows(1, 3), score(model(), rows(1, 3))) is None


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"centres": {"size": (0.0,)}}, "'size', which is not a feature"),
        ({"centres": {"age": (0.0, 1.0)}}, "need 1 centre"),
        ({"absolute": {"age": float("nan")}}, "not finite"),
        ({"squares": {"age": -1.0}}, "below 0"),
        ({"rows": 0}, "of no rows"),
    ],
)
def test_a_package_whose_attributions_cannot_be_used_is_refused(changed: dict[str, object], sentence: str) -> None:
    good = Attributions(5, {"age": (0.0,)}, {"age": 0.0}, {"age": 1.0}, {"age": 1.0})
    known = package(features=FEATURES, baseline=Baseline(attributions=replace(good, **changed)))
    with pytest.raises(PackageError, match=sentence):
        build(known, MODEL.artifact(), rows(1, 3))
