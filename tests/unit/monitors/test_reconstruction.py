"""Reconstruction error: as scikit-learn has it, the same bits for any cut, and what single features do not show."""

from __future__ import annotations

from math import isfinite

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from monitors.baseline import build_baseline
from monitors.folds import fold_features
from monitors.metrics import METRICS, Value
from monitors.reconstruction import fit_pca, principal_components, row_errors
from monitors.summary import Summary
from schemas.deployment import HOUR_MS, Settings, Span
from schemas.observation import Kind, Reason, Status
from schemas.package import Feature, FeatureType, Package, Target, TargetType
from tests.unit.monitors.fold_frames import merged, package

METRIC = METRICS["reconstruction_error"]
PRICE = Target("price", TargetType.REGRESSION)
NAMES = [f"f{place}" for place in range(8)]
FEATURES = tuple(Feature(name) for name in NAMES)


def correlated(seed: int, rows: int, mixing: int = 0) -> NDArray[np.float64]:
    """Eight features of three causes, and some noise; another `mixing` has the causes work together in another way."""
    rng = np.random.default_rng(seed)
    causes = np.random.default_rng(100 + mixing).normal(size=(3, 8))
    causes /= np.sqrt((causes**2).sum(axis=0) + 0.25)  # each feature alone has variance 1, however causes are mixed
    noise = rng.normal(size=(rows, 8)) * np.sqrt(1 - (causes**2).sum(axis=0))
    return np.asarray(rng.normal(size=(rows, 3)) @ causes + noise)


def frame(rows: NDArray[np.float64]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=NAMES)


def built(features: tuple[Feature, ...] = FEATURES, training: pl.DataFrame | None = None) -> Package:
    known = frame(correlated(1, 5000)) if training is None else training
    return package(PRICE, build_baseline(features, PRICE, known, [1.0, 2.0], [1.5, 2.5]))


def value_of(live: pl.DataFrame, of: Package, excluded: tuple[str, ...] = ()) -> Value:
    folded = fold_features(live, np.zeros(live.height, np.int64), None, of, Span.DAY, excluded)
    return METRIC.compute(folded.get((Kind.FEATURES, "m", "", 0), Summary()), of, "")


def status_of(value: Value) -> Status:
    assert METRIC.judge is not None
    judgement = METRIC.judge(value, "", Settings(), True)  # noqa: FBT003 -- the protocol's
    assert judgement is not None
    return judgement.status


@pytest.mark.parametrize("rows", [correlated(2, 3000), np.random.default_rng(3).lognormal(size=(3000, 8))])
def test_components_and_errors_are_those_of_scikit_learn(rows: NDArray[np.float64]) -> None:
    standard = StandardScaler().fit_transform(rows)
    judge = PCA(n_components=0.65, svd_solver="full").fit(standard)
    found = principal_components(standard.T @ standard / len(rows))
    assert found.shape == judge.components_.shape
    assert np.abs(np.abs(found) - np.abs(judge.components_)).max() < 1e-9
    pca = fit_pca(FEATURES, frame(rows))
    assert pca is not None
    left = np.linalg.norm(standard - judge.inverse_transform(judge.transform(standard)), axis=1)
    errors = row_errors(pca, frame(rows))
    assert np.abs(errors - left).max() < 3e-4  # steps of 2**-16 and 2**-20
    assert pca.error_mean == pytest.approx(left.mean(), abs=1e-5)
    assert pca.error_sd == pytest.approx(left.std(), abs=1e-5)


ROWS = st.lists(
    st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=8, max_size=8), min_size=1, max_size=40
)


@given(ROWS, st.integers(1, 9), st.integers(0, 3))
@settings(deadline=None, max_examples=60)
def test_any_cut_and_order_of_rows_gives_the_same_bits(values: list[list[float]], size: int, bucket: int) -> None:
    live, of = frame(np.array(values)), CORRELATED
    times = np.arange(live.height, dtype=np.int64) % (bucket + 1) * HOUR_MS
    segments = pl.Series([["plan=a"] if row % 3 else [] for row in range(live.height)], dtype=pl.List(pl.String))
    whole = merged([fold_features(live, times, segments, of, Span.HOUR)])
    order = np.random.default_rng(size).permutation(live.height)
    parts = [order[start : start + size] for start in range(0, live.height, size)]
    cut = [fold_features(live[part], times[part], segments[part], of, Span.HOUR) for part in parts]
    assert merged(cut) == whole
    pca = of.baseline.pca
    assert pca is not None
    errors = row_errors(pca, live)
    assert np.isfinite(errors).all()
    assert (errors == np.concatenate([row_errors(pca, live[row]) for row in range(live.height)])).all()


def test_without_drift_nothing_is_seen_and_the_interval_holds_zero() -> None:
    values = [value_of(frame(correlated(seed, 2000)), CORRELATED) for seed in range(20, 60)]
    assert all(status_of(value) is Status.PASSING for value in values)
    held = sum((value.low or 0) <= 0 <= (value.high or 0) for value in values)
    assert held >= 34
    assert {value.n for value in values} == {2000}


def test_features_that_cease_to_go_together_are_seen_where_each_alone_is_as_ever() -> None:
    live = frame(correlated(4, 2000, mixing=1))
    value = value_of(live, CORRELATED)
    assert value.low is not None
    assert value.low > 0.5
    assert status_of(value) is Status.FAILING
    folded = fold_features(live, np.zeros(2000, np.int64), None, CORRELATED, Span.DAY)[Kind.FEATURES, "m", "", 0]
    assert max(METRICS["psi"].compute(folded, CORRELATED, name).value or 0 for name in NAMES) < 0.05


def test_missing_values_are_the_mean_and_a_missing_column_is_missing_in_every_row() -> None:
    pca = CORRELATED.baseline.pca
    assert pca is not None
    rows = correlated(5, 50)
    mean = dict(zip(pca.features, pca.means, strict=True))
    holes = frame(rows).with_columns(f2=pl.lit(None, pl.Float64))
    filled = frame(rows).with_columns(f2=pl.lit(mean["f2"]))
    assert row_errors(pca, holes).tolist() == row_errors(pca, filled).tolist()
    assert row_errors(pca, holes.drop("f2")).tolist() == row_errors(pca, filled).tolist()


def test_booleans_count_as_numbers_and_categories_constants_and_empty_columns_are_left_out() -> None:
    rng = np.random.default_rng(6)
    number = rng.normal(size=400)
    training = pl.DataFrame(
        {
            "x": number,
            "b": number + rng.normal(size=400) > 0,
            "c": ["u", "v"] * 200,
            "same": [0.1] * 400,
            "none": pl.Series([None] * 400, dtype=pl.Float64),
        }
    )
    kinds = {"b": FeatureType.BOOLEAN, "c": FeatureType.CATEGORICAL}
    features = tuple(Feature(name, kinds.get(name, FeatureType.NUMERIC)) for name in training.columns)
    of = built(features, training)
    assert of.baseline.pca is not None
    assert of.baseline.pca.features == ("x", "b")
    assert status_of(value_of(training, of)) is Status.PASSING
    assert value_of(training, of).value == pytest.approx(0, abs=1e-9)


def test_a_package_in_which_nothing_can_be_left_over_has_no_components() -> None:
    x = np.random.default_rng(7).normal(size=100)
    for columns in ({"f0": x}, {"f0": x, "f1": 2 * x}, {"f0": np.ones(100), "f1": np.ones(100)}):
        of = built(tuple(Feature(name) for name in columns), pl.DataFrame(columns))
        assert of.baseline.pca is None
        assert not METRIC.applies(of)


def test_degenerate_windows_have_a_value_or_a_reason() -> None:
    assert value_of(frame(np.zeros((0, 8))), CORRELATED).reason is Reason.EMPTY
    missing = value_of(frame(np.full((100, 8), np.nan)), CORRELATED)
    assert missing.value is not None
    assert missing.value < -1
    assert status_of(missing) is Status.PASSING  # what is missing is the business of the single features
    one = value_of(frame(np.full((1, 8), np.inf)), CORRELATED)
    assert one.value is not None
    assert all(number is not None and isfinite(number) for number in (one.value, one.low, one.high))
    assert status_of(one) is Status.UNKNOWN
    assert value_of(frame(np.ones((9, 8))), package(PRICE)).reason is Reason.NO_BASELINE
    assert value_of(frame(np.ones((9, 8))), CORRELATED, ("f3",)).reason is Reason.NOT_APPLICABLE


CORRELATED = built()
