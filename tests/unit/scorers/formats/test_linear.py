from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.preprocessing import StandardScaler

from schemas.package import Feature, FeatureType, Package, Target, TargetType
from scorers.formats import FormatError
from scorers.formats.linear import CategoricalTerm, LinearModel, Link, NumericTerm, load

RNG = np.random.default_rng(5)
X = RNG.normal(3, 2, size=(300, 4))
NAMES = ["a", "b", "c", "d"]
ROWS = pl.DataFrame(X, schema=NAMES)
VALUE = Target("y", TargetType.REGRESSION)
BINARY = Target("y", TargetType.BINARY, classes=("no", "yes"))
THREE = Target("y", TargetType.MULTICLASS, classes=("0", "1", "2"))


def package(target: Target, *features: Feature) -> Package:
    return Package("p", "1", "", target, features or tuple(map(Feature, NAMES)), "linear")


def test_a_regression_predicts_as_scikit_learn_does() -> None:
    model = LinearRegression().fit(X, X @ [1, -2, 0.5, 3] + RNG.normal(size=300))
    terms = {name: NumericTerm(float(slope)) for name, slope in zip(NAMES, model.coef_, strict=True)}
    mine = LinearModel(Link.IDENTITY, float(model.intercept_), terms)
    np.testing.assert_allclose(load(mine.artifact(), package(VALUE)).predict(ROWS), model.predict(X), rtol=1e-12)


def test_a_standardised_logistic_regression_predicts_as_scikit_learn_does() -> None:
    scaler = StandardScaler().fit(X)
    model = LogisticRegression().fit(scaler.transform(X), X[:, 0] - X[:, 1] > 0)
    parts = zip(NAMES, model.coef_[0], scaler.mean_, scaler.scale_, strict=True)
    terms = {name: NumericTerm(float(slope), float(mean), float(scale)) for name, slope, mean, scale in parts}
    mine = LinearModel(Link.LOGIT, float(model.intercept_[0]), terms)
    predicted = load(mine.artifact(), package(BINARY)).predict(ROWS)
    np.testing.assert_allclose(predicted, model.predict_proba(scaler.transform(X)), rtol=1e-9)


def test_a_softmax_predicts_as_scikit_learn_does() -> None:
    model = LogisticRegression().fit(X, np.digitize(X[:, 0] + X[:, 2], [5.0, 7.0]))
    terms = {name: NumericTerm(tuple(model.coef_[:, at].tolist())) for at, name in enumerate(NAMES)}
    mine = LinearModel(Link.SOFTMAX, tuple(model.intercept_.tolist()), terms)
    np.testing.assert_allclose(load(mine.artifact(), package(THREE)).predict(ROWS), model.predict_proba(X), rtol=1e-9)


def test_categories_booleans_and_missing_values_add_what_the_artifact_says() -> None:
    features = (
        Feature("size", nullable=True),
        Feature("age", nullable=True),
        Feature("carrier", FeatureType.CATEGORICAL, nullable=True),
        Feature("holiday", FeatureType.BOOLEAN),
        Feature("night", FeatureType.BOOLEAN),
    )
    terms: dict[str, NumericTerm | CategoricalTerm] = {
        "size": NumericTerm(1.0, mean=4.0),
        "age": NumericTerm(2.0, mean=4.0, fill=5.0),
        "carrier": CategoricalTerm({"AA": 10.0, "": 20.0}),
        "holiday": NumericTerm(100.0),
        "night": CategoricalTerm({"true": 1000.0}),
    }
    rows = pl.DataFrame(
        {
            "size": [5.0, None, 4.0],
            "age": [4.0, float("nan"), 4.0],
            "carrier": ["AA", None, "unseen"],
            "holiday": [True, False, False],
            "night": [False, True, False],
        }
    )
    model = load(LinearModel(Link.IDENTITY, 0.5, terms).artifact(), package(VALUE, *features))
    np.testing.assert_array_equal(model.predict(rows), [0.5 + 1 + 10 + 100, 0.5 + 2 + 20 + 1000, 0.5])


def test_a_term_without_categories_adds_nothing() -> None:
    given_ = package(VALUE, Feature("a", FeatureType.TEXT))
    model = load(LinearModel(Link.IDENTITY, 1.5, {"a": CategoricalTerm({})}).artifact(), given_)
    np.testing.assert_array_equal(model.predict(pl.DataFrame({"a": ["x", None]})), [1.5, 1.5])


def test_certainty_is_one_and_not_an_overflow() -> None:
    model = load(LinearModel(Link.LOGIT, 0.0, {"a": NumericTerm(1.0)}).artifact(), package(BINARY, Feature("a")))
    predicted = model.predict(pl.DataFrame({"a": [2000.0, -2000.0]}))
    np.testing.assert_array_equal(predicted, [[0.0, 1.0], [1.0, 0.0]])


@pytest.mark.parametrize(("target", "link"), [(VALUE, Link.IDENTITY), (BINARY, Link.LOGIT), (THREE, Link.SOFTMAX)])
@given(cuts=st.sets(st.integers(1, 299), max_size=12))
def test_no_cut_of_the_batch_changes_a_bit(target: Target, link: Link, cuts: set[int]) -> None:
    rates = (0.3, -1.7, 0.9) if link is Link.SOFTMAX else 0.3
    intercept = (0.1, 0.2, 0.3) if link is Link.SOFTMAX else 0.1
    terms = {name: NumericTerm(rates, mean=at / 3, scale=0.7 + at) for at, name in enumerate(NAMES)}
    model = load(LinearModel(link, intercept, terms).artifact(), package(target))
    bounds = [0, *sorted(cuts), 300]
    parts = [model.predict(ROWS[first:end]) for first, end in pairwise(bounds)]
    np.testing.assert_array_equal(np.concatenate(parts), model.predict(ROWS))


@pytest.mark.parametrize(
    ("model", "target", "words"),
    [
        (LinearModel(Link.LOGIT, 0.0), VALUE, "needs the link identity"),
        (LinearModel(Link.IDENTITY, 0.0, {"z": NumericTerm(1.0)}), VALUE, "not a feature"),
        (LinearModel(Link.IDENTITY, 0.0, {"a": CategoricalTerm({})}), VALUE, "is numeric"),
        (LinearModel(Link.IDENTITY, 0.0, {"a": NumericTerm(1.0, scale=0.0)}), VALUE, "scale not 0"),
        (LinearModel(Link.IDENTITY, (0.0, 1.0)), VALUE, "the intercept must have 1"),
        (LinearModel(Link.SOFTMAX, 0.0), THREE, "the intercept must have 3"),
        (LinearModel(Link.SOFTMAX, (0.0, 0.0, 0.0), {"a": NumericTerm((1.0, 2.0))}), THREE, "'a' must have 3"),
    ],
)
def test_a_model_that_does_not_fit_its_package_says_why(model: LinearModel, target: Target, words: str) -> None:
    with pytest.raises(FormatError, match=words):
        load(model.artifact(), package(target))


def test_numbers_that_are_not_finite_are_refused() -> None:
    artifact = json.loads(LinearModel(Link.IDENTITY, 0.5).artifact())
    with pytest.raises(FormatError):
        load(json.dumps(artifact).replace("0.5", "1e999").encode(), package(VALUE))
