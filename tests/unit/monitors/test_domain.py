"""The domain classifier: right about nothing, powerful about something, and never at a loss for an answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest
from msgspec.structs import replace
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits

from monitors.baseline import build_baseline
from monitors.domain import domain_area, logistic
from monitors.folds import fold_features
from monitors.folds.groups import merge_into
from monitors.folds.sampled import row_codes, training_sample
from monitors.histograms import RocArea
from monitors.metrics import METRICS, Value
from monitors.sample import Sample
from monitors.summary import Summary
from schemas.deployment import DAY_MS, HOUR_MS, Limits, Settings, Span, Thresholds
from schemas.observation import Entry, Kind, Metric, Reason, Status
from schemas.package import Baseline, Feature, FeatureType, Package, Target, TargetType
from tests.unit.monitors.evaluator_scene import Known, Run, progress, summary
from tests.unit.monitors.fold_frames import package

METRIC = METRICS["domain_auc"]
PRICE = Target("price", TargetType.REGRESSION)
NUMBERS, CATEGORIES = [f"n{place}" for place in range(20)], [f"c{place}" for place in range(10)]
FEATURES = (*(Feature(name) for name in NUMBERS), *(Feature(name, FeatureType.CATEGORICAL) for name in CATEGORIES))
ZIPF = (1 / np.arange(1, 21)) / (1 / np.arange(1, 21)).sum()
LEVELS = np.array([f"level {place}" for place in range(20)])
Generator = np.random.Generator


def rows(rng: Generator, count: int, shift: float = 0.0, shifted: int = 1, correlation: float = 0.0) -> pl.DataFrame:
    """20 standard normal numbers, the first of them `shifted` by so much, and 10 categories of 20 values."""
    numbers = rng.normal(size=(count, len(NUMBERS)))
    numbers[:, 1] = correlation * numbers[:, 0] + np.sqrt(1 - correlation**2) * numbers[:, 1]
    numbers[:, :shifted] += shift
    columns: dict[str, NDArray[Any]] = dict(zip(NUMBERS, numbers.T, strict=True))
    return pl.DataFrame(columns | {name: LEVELS[rng.choice(20, count, p=ZIPF)] for name in CATEGORIES})


TRAINING = rows(np.random.default_rng(1), 20_000)
BASELINE = build_baseline(FEATURES, PRICE, TRAINING, [1.0, 2.0], [1.5, 2.5])
LIVE = package(PRICE, BASELINE)
BINS = [bins for _, bins in sorted(BASELINE.features.items())]


POOL = row_codes(TRAINING, np.arange(TRAINING.height), BASELINE.features)


@pytest.fixture(autouse=True, scope="module")
def alone() -> Iterator[None]:
    """One thread for such small matrices: on busy cores several wait for each other longer than they work."""
    with threadpool_limits(1, "blas"):
        yield


def area(rng: Generator, live: pl.DataFrame | NDArray[np.uint8]) -> RocArea:
    """Against a baseline sample of its own, so that draws are independent."""
    now = row_codes(live, np.arange(live.height), BASELINE.features) if isinstance(live, pl.DataFrame) else live
    before = rng.choice(POOL, 1000)
    hashes = [rng.integers(0, 1 << 62, len(each)).astype(np.uint64) for each in (before, now)]
    found = domain_area(BINS, (hashes[0], before), (hashes[1], now))
    assert found is not None
    return found


def test_without_drift_the_interval_holds_chance_in_95_percent_of_draws() -> None:
    rng = np.random.default_rng(2)
    found = [area(rng, rng.choice(POOL, 1000)) for _ in range(200)]
    held = sum((each.low or 0.5) <= 0.5 <= (each.high or 0.5) for each in found)
    assert 181 <= held <= 198  # 0.95 of 200, give or take 3 standard deviations
    assert np.mean([each.value for each in found]) == pytest.approx(0.5, abs=0.005)
    assert not any(drifted(each) for each in found if (each.low or 0) <= 0.5)
    assert sum(drifted(each) for each in found) <= 2


@pytest.mark.parametrize(
    ("shift", "shifted", "least", "power"),
    [(0.25, 1, 0.53, 0.1), (0.5, 1, 0.59, 0.95), (1.0, 1, 0.72, 1.0), (0.25, 5, 0.61, 0.95)],
)
def test_power_for_shifted_numbers(shift: float, shifted: int, least: float, power: float) -> None:
    rng = np.random.default_rng(3)
    found = [area(rng, rows(rng, 1000, shift, shifted)) for _ in range(20)]
    assert np.mean([each.value for each in found]) >= least
    assert np.mean([drifted(each) for each in found]) >= power


def test_a_change_of_correlation_alone_is_not_for_a_linear_classifier() -> None:
    rng = np.random.default_rng(4)
    found = [area(rng, rows(rng, 1000, correlation=0.5)).value for _ in range(20)]
    assert np.mean(found) == pytest.approx(0.501, abs=0.015)  # as STATISTICS section 5 has it


@pytest.mark.parametrize("name", ["n3", "c3"])
def test_missing_values_and_new_categories_are_seen(name: str) -> None:
    rng = np.random.default_rng(5)
    live = rows(rng, 1000)
    for change in (None, "never seen" if name == "c3" else 1e9):
        changed = pl.Series(name, [change] * 250, dtype=live[name].dtype)
        live = live.with_columns(pl.concat([changed, live[name][250:]]).alias(name))
        assert drifted(area(rng, live))


def test_the_order_of_scores_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(6)
    for shift in (0.0, 0.5, 3.0):
        positive = rng.random(1000) < 0.5
        columns = rng.normal(size=(1000, 12)) + shift * positive[:, np.newaxis] * (np.arange(12) < 2)
        columns -= columns.mean(axis=0)
        judge = LogisticRegression(C=1 / 50, tol=1e-10, max_iter=1000).fit(columns, positive)
        ours, theirs = columns @ logistic(columns, positive), columns @ judge.coef_[0]
        assert roc_auc_score(positive, ours) == pytest.approx(roc_auc_score(positive, theirs), abs=1e-3)
        if shift < 1:
            assert logistic(columns, positive) == pytest.approx(judge.coef_[0], abs=1e-6)


def test_classes_that_can_be_told_apart_have_finite_weights_and_an_area_of_one() -> None:
    rng = np.random.default_rng(7)
    found = area(rng, rows(rng, 1000, shift=9.0, shifted=20))
    assert found.value == 1.0
    assert drifted(found)


def drifted(found: RocArea) -> bool:
    assert METRIC.judge is not None
    judged = METRIC.judge(Value(found.value, found.low, found.high, 1000), "", Settings(), True)  # noqa: FBT003  # as every judge is called
    return judged is not None and judged.status in (Status.AT_RISK, Status.FAILING)


@pytest.mark.parametrize(
    ("value", "status", "borderline"),
    [
        (Value(0.52, 0.50, 0.54), Status.PASSING, False),
        (Value(0.56, 0.49, 0.63), Status.PASSING, True),
        (Value(0.56, 0.51, 0.61), Status.AT_RISK, True),
        (Value(0.60, 0.57, 0.63), Status.AT_RISK, False),
        (Value(0.70, 0.66, 0.74), Status.FAILING, False),
        (Value(1.0), Status.FAILING, False),
        (Value(0.5), Status.PASSING, False),
        (Value(None, reason=Reason.TOO_FEW_ROWS), Status.UNKNOWN, False),
    ],
)
def test_drift_is_an_interval_above_chance_and_an_area_that_matters(
    value: Value,
    status: Status,
    borderline: bool,  # noqa: FBT001 -- a column of the table
) -> None:
    assert METRIC.judge is not None
    judged = METRIC.judge(value, "", Settings(), True)  # noqa: FBT003 -- the protocol's
    assert judged is not None
    assert (judged.status, judged.borderline) == (status, borderline)


def test_thresholds_are_settings() -> None:
    assert METRIC.judge is not None
    strict = Settings(thresholds=Thresholds(statistics={"domain_auc": Limits(0.51, 0.52)}))
    judged = METRIC.judge(Value(0.53, 0.505, 0.555), "", strict, True)  # noqa: FBT003 -- the protocol's
    assert judged is not None
    assert judged.status is Status.FAILING


def folded(live: pl.DataFrame, *, start: int = 0, excluded: tuple[str, ...] = (), of: Package = LIVE) -> Summary:
    """The summary of all rows, with their numbers for association IDs."""
    ids = [f"id {row}".encode() for row in range(start, start + live.height)]
    found = fold_features(live, np.zeros(live.height, np.int64), None, of, Span.DAY, excluded, ids)
    return found.get((Kind.FEATURES, of.digest, "", 0), Summary())


def test_any_cut_of_a_stream_gives_the_same_area() -> None:
    live = rows(np.random.default_rng(8), 5000, 0.5)
    total: dict[int, Summary] = {}
    for start in range(0, 5000, 700):
        merge_into(total, [(0, folded(live[start : start + 700], start=start))])  # type: ignore[list-item, arg-type]  # any key will do
    whole = folded(live)
    assert total[0] == whole
    value = METRIC.compute(whole, LIVE, "")
    assert value == METRIC.compute(total[0], LIVE, "")
    assert value.n == 1000
    assert value.low is not None
    assert value.low > 0.55


def test_excluded_features_are_not_kept_and_not_looked_at() -> None:
    live = rows(np.random.default_rng(9), 1000, 3.0)
    assert METRIC.compute(folded(live), LIVE, "").value == pytest.approx(0.95, abs=0.02)
    unkept = folded(live, excluded=("n0",))
    assert unkept.sample is not None
    assert METRIC.compute(unkept, LIVE, "").value == pytest.approx(0.5, abs=0.06)
    later = METRIC.computed_by(Settings(excluded=("n0",)))
    assert later(folded(live), LIVE, "").value == METRIC.compute(unkept, LIVE, "").value
    everything = METRIC.computed_by(Settings(excluded=tuple(feature.name for feature in FEATURES)))
    assert everything(folded(live), LIVE, "").reason is Reason.NOT_APPLICABLE


def test_degenerate_windows_have_a_value_or_a_reason() -> None:
    live = rows(np.random.default_rng(10), 300)
    assert METRIC.compute(Summary(), LIVE, "").reason is Reason.EMPTY
    assert METRIC.compute(Summary({"rows": np.array([5])}), LIVE, "").reason is Reason.NOT_APPLICABLE
    assert METRIC.compute(folded(live[:1]), LIVE, "").reason is Reason.TOO_FEW_ROWS
    gone = folded(live)
    gone.add(folded(live), -1)
    assert METRIC.compute(gone, LIVE, "") == Value(None, reason=Reason.TOO_FEW_ROWS)
    for changed in (pl.lit(None), pl.lit(1.0)):
        same = live.with_columns(changed.cast(pl.Float64).alias(name) for name in NUMBERS)
        value = METRIC.compute(folded(same), LIVE, "")
        assert value.value == pytest.approx(1.0, abs=0.01)
    constant = package(PRICE, Baseline(features={"n0": BASELINE.features["n0"]}))
    constant = replace(
        constant,
        baseline=replace(constant.baseline, sample=folded(live.with_columns(n0=1.0), of=constant).sample.encode()),  # type: ignore[union-attr]  # rows were folded, so it is there
    )
    value = METRIC.compute(folded(live.with_columns(n0=1.0), of=constant), constant, "")
    assert value == Value(0.5, None, None, 300)
    assert not METRIC.applies(package(PRICE, replace(BASELINE, sample=b"")))


def test_the_baseline_sample_is_small_and_the_same_at_each_build() -> None:
    again = training_sample(TRAINING, BASELINE.features)
    assert again.encode() == BASELINE.sample
    assert Sample.decode(BASELINE.sample).rows.shape == (1000, 30)
    assert len(BASELINE.sample) < 40_000
    pca = BASELINE.pca
    assert pca is not None
    assert len(msgspec.json.encode(pca)) + len(msgspec.json.encode(BASELINE.sample)) < 70_000


class Domain(Known):
    """A view whose packages have a baseline sample."""

    def package(self, digest: str) -> Package | None:
        return replace(LIVE, digest=digest)


def test_the_evaluator_trains_once_a_window_has_closed_and_again_when_its_sample_changed() -> None:
    view = Domain(package_baseline=BASELINE)
    view.settings = Settings(bucket=Span.HOUR, drift_window=Span.DAY, grace_ms=0, alert_rules=(), row_sample=True)
    run = Run(view)
    run.evaluator = type(run.evaluator)(run.table, (METRIC, METRICS["reconstruction_error"]))
    rng = np.random.default_rng(11)

    def deltas(hour: int, live: pl.DataFrame) -> Entry:
        return Entry(Kind.FEATURES, "m1", "", hour * HOUR_MS, folded(live, start=hour * 1000).encode())

    def said(name: str, found: list[Metric]) -> list[Metric]:
        return [metric for metric in found if metric.metric == name and metric.window_start_ms == 0]

    for hour in range(20):
        found = run.step(summary(deltas(hour, rows(rng, 200, 0.5))), progress(hour * 60_000, hour * HOUR_MS)).metrics
        assert not said("domain_auc", found)
        assert said("reconstruction_error", found)
        run.commit(restart=False)
    closed = said("domain_auc", run.step(progress(21 * 60_000, DAY_MS)).metrics)
    assert [(metric.n, metric.revision, metric.status) for metric in closed] == [(1000, 0, Status.AT_RISK)]
    late = run.step(summary(deltas(30, rows(rng, 1)), deltas(3, rows(rng, 900))), progress(22 * 60_000)).metrics
    revised = said("domain_auc", late)
    assert [(metric.n, metric.revision) for metric in revised] == [(1000, 1)]
    assert revised[0].value != closed[0].value
