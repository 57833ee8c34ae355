"""What moves predictions: sums that no order changes, shares and distances as numpy has them, NDCG as scikit-learn."""

from __future__ import annotations

from random import Random

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from numpy.typing import NDArray
from sklearn.metrics import ndcg_score

from monitors.attribution import EXPLAINED, with_attributions
from monitors.folds import SummaryKey, fold_predictions
from monitors.metrics import METRICS, Value
from monitors.metrics.attribution_ndcg import ndcg
from monitors.summary import Summary
from schemas.deployment import HOUR_MS, Limits, Settings, Span, Thresholds
from schemas.explanations import Explanations
from schemas.observation import Kind, Reason, Status
from schemas.package import Baseline, Feature, Package, Target, TargetType
from tests.unit.monitors.fold_frames import merged, package, predictions

PRICE = Target("price", TargetType.REGRESSION)
NAMES = ("age", "income", "plan", "region")
SCALES = np.array([1.0, 0.6, 0.3, 0.1])
Floats = NDArray[np.float64]


def built(rows: Floats | None = None) -> Package:
    said = Explanations(NAMES, usual(0, 20_000) if rows is None else rows)
    baseline = with_attributions(Baseline(), said, dict.fromkeys(NAMES, (0.0,)))
    return replace(package(PRICE, baseline), features=tuple(map(Feature, NAMES)))


def usual(seed: int, count: int, scales: Floats = SCALES) -> Floats:
    return np.asarray(np.random.default_rng(seed).laplace(size=(count, 4)) * scales)


def explained(rows: Floats, **columns: list[int]) -> pl.DataFrame:
    frame = predictions([{"value": 1.0}])[np.zeros(len(rows), np.intp)]
    moved = pl.DataFrame(rows, schema=NAMES).with_columns(pl.all().fill_nan(None)).to_struct("explanations")
    return frame.with_columns(moved, **{name: pl.Series(column) for name, column in columns.items()})


def folded(frame: pl.DataFrame, of: Package) -> dict[SummaryKey, Summary]:
    return fold_predictions(frame, of, Span.HOUR)


def window(rows: Floats, of: Package) -> Summary:
    return folded(explained(rows), of)[Kind.PREDICTIONS, "m", "", 0]


def value(name: str, summary: Summary, of: Package, feature: str = "", known: Settings | None = None) -> Value:
    return METRICS[name].computed_by(known or Settings(explanations=True))(summary, of, feature)


def shares(rows: Floats) -> Floats:
    sizes = np.abs(rows).mean(axis=0)
    return np.asarray(sizes / sizes.sum())


def test_shares_and_means_are_those_of_numpy_in_window_and_on_holdout() -> None:
    before, now = usual(1, 3_000), usual(2, 500, np.array([1.0, 0.2, 0.9, 0.1])) + 0.05
    of = built(before)
    summary = window(now, of)
    for place, name in enumerate(NAMES):
        share, mean = (value(metric, summary, of, name) for metric in ("attribution_share", "attribution_mean"))
        assert share.value == pytest.approx(shares(now)[place], abs=1e-9)
        assert share.baseline == pytest.approx(shares(before)[place], abs=1e-9)
        assert mean.value == pytest.approx(now[:, place].mean(), abs=1e-9)
        assert mean.baseline == pytest.approx(before[:, place].mean(), abs=1e-9)
        reach = 1.96 * now[:, place].std() / np.sqrt(500)
        assert mean.high == pytest.approx(now[:, place].mean() + reach, abs=1e-9)
        assert share.n == mean.n == 500


def test_drift_is_the_total_variation_of_the_shares_once_rows_are_many() -> None:
    before, now = usual(1, 200_000), usual(2, 200_000, np.array([0.5, 1.0, 0.3, 0.1]))
    found = value("attribution_drift", window(now, built(before)), built(before))
    assert found.value == pytest.approx(np.abs(shares(now) - shares(before)).sum() / 2, abs=1e-4)
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.value < found.high  # type: ignore[operator]  # it has a value


@pytest.mark.parametrize("shape", [1e9, 2.0])
def test_the_interval_of_drift_covers_the_truth(shape: float) -> None:
    """300 windows of 1,000 rows each beside a holdout of 2,000; the second time, sizes of one row rise together."""
    moved = np.array([0.7, 0.9, 0.3, 0.1])
    truth = np.abs(moved / moved.sum() - SCALES / SCALES.sum()).sum() / 2

    def drawn(seed: int, count: int, scales: Floats) -> Floats:
        rows = usual(seed, count, scales)
        together = np.random.default_rng(10_000 + seed).gamma(shape, 1 / shape, count)
        return np.asarray(rows * together[:, None])

    covered, quiet = 0, 0
    for seed in range(300):
        of = built(drawn(seed, 2_000, SCALES))
        found = value("attribution_drift", window(drawn(1_000 + seed, 1_000, moved), of), of)
        still = value("attribution_drift", window(drawn(2_000 + seed, 1_000, SCALES), of), of)
        covered += found.low <= truth <= found.high
        quiet += still.low <= 0  # type: ignore[operator]  # has limits, else the test fails
    assert covered >= 0.93 * 300
    assert quiet >= 0.97 * 300


@pytest.mark.parametrize("count", [200, 1_000, 20_000])
def test_a_window_of_few_rows_and_one_of_many_do_not_contradict_each_other(count: int) -> None:
    of = built()
    judge = METRICS["attribution_drift"].judge
    assert judge is not None
    for scales, expected in ((SCALES, Status.PASSING), (np.array([0.1, 0.6, 0.3, 1.0]), Status.FAILING)):
        found = value("attribution_drift", window(usual(3, count, scales), of), of)
        judged = judge(found, "", Settings(), True)  # noqa: FBT003  # the protocol's
        assert judged is not None
        assert judged.status is expected


def test_thresholds_are_the_deployments() -> None:
    of = built()
    found = value("attribution_drift", window(usual(3, 20_000, np.array([0.7, 0.9, 0.3, 0.1])), of), of)
    strict = Settings(thresholds=Thresholds(statistics={"attribution_drift": Limits(0.01, 0.02)}))
    judge = METRICS["attribution_drift"].judge
    assert judge is not None
    assert judge(found, "", Settings(), True).status is Status.AT_RISK  # type: ignore[union-attr]  # noqa: FBT003
    assert judge(found, "", strict, True).status is Status.FAILING  # type: ignore[union-attr]  # noqa: FBT003


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=9))
def test_ndcg_is_that_of_scikit_learn_ties_included(pairs: list[tuple[int, int]]) -> None:
    gains, scores = (np.array(column, np.float64) for column in zip(*pairs, strict=True))
    gains[0] += 1  # one above 0
    assert ndcg(gains, scores) == pytest.approx(float(ndcg_score([gains], [scores])), abs=1e-9)


def test_the_order_of_the_features_in_a_window_beside_that_of_holdout() -> None:
    before, now = usual(1, 3_000), usual(2, 500, SCALES[::-1])
    of = built(before)
    found = value("attribution_ndcg", window(now, of), of)
    assert found.value == pytest.approx(float(ndcg_score([shares(before)], [shares(now)])), abs=1e-9)
    assert (found.low, found.baseline) == (found.value, 1.0), "no noise of 500 rows changes this order"


def test_the_interval_of_ndcg_covers_the_order_of_the_truth() -> None:
    """200 windows of 200 rows, of features that are nearly alike, beside a holdout of many: the truth is 1."""
    near, covered = np.array([0.32, 0.28, 0.3, 0.1]), 0
    of = built(usual(1, 100_000, near))
    for seed in range(200):
        found = value("attribution_ndcg", window(usual(100 + seed, 200, near), of), of)
        covered += found.low <= 1.0 <= found.high  # type: ignore[operator]  # it has an interval
        assert found.low < found.high  # type: ignore[operator]  # some order is always in doubt
    assert covered >= 0.95 * 200


rows_of = st.lists(
    st.tuples(
        st.lists(st.floats(-1e7, 1e7) | st.just(np.nan), min_size=4, max_size=4),
        st.sampled_from([0, HOUR_MS]),
        st.sampled_from([[], ["plan=free"], ["plan=gold", "region=north"]]),
    ),
    min_size=1,
    max_size=8,
)
HOLDOUT = built(usual(0, 50))


def framed(rows: list[tuple[list[float], int, list[str]]]) -> pl.DataFrame:
    numbers, times, segments = zip(*rows, strict=True)
    listed = pl.Series(list(segments), dtype=pl.List(pl.String))
    return explained(np.array(numbers), timestamp_ms=list(times)).with_columns(segments=listed)


@settings(deadline=None, max_examples=60)
@given(rows_of, st.randoms(), st.integers(0, 8))
def test_sums_do_not_depend_on_the_order_or_the_cut(
    rows: list[tuple[list[float], int, list[str]]], order: Random, cut: int
) -> None:
    whole = merged([folded(framed(rows), HOLDOUT)])
    order.shuffle(rows)
    parts = [part for part in (rows[:cut], rows[cut:]) if part]
    assert merged(folded(framed(part), HOLDOUT) for part in parts) == whole


@settings(deadline=None, max_examples=60)
@given(rows_of)
def test_what_is_taken_back_leaves_no_trace(rows: list[tuple[list[float], int, list[str]]]) -> None:
    for delta in folded(framed(rows), HOLDOUT).values():
        kept = delta.copy()
        kept.add(delta, -1)
        assert kept.is_empty()


def test_segments_have_sums_of_their_own() -> None:
    of, rows = built(), usual(1, 40)
    segments = pl.Series([["plan=free"] if row % 2 else [] for row in range(40)], dtype=pl.List(pl.String))
    found = folded(explained(rows).with_columns(segments=segments), of)
    free = found[Kind.PREDICTIONS, "m", "plan=free", 0]
    assert value("attribution_share", free, of, "plan").value == pytest.approx(shares(rows[1::2])[2], abs=1e-9)


def test_rows_that_name_some_features_only_are_not_counted() -> None:
    of, rows = built(), usual(1, 40)
    rows[:10, 3] = np.nan
    summary = window(rows, of)
    assert summary.count(EXPLAINED) == 30
    assert value("attribution_share", summary, of, "age").value == pytest.approx(shares(rows[10:])[0], abs=1e-9)
    without = explained(rows).with_columns(pl.col("explanations").struct.field("age", "plan"))
    with_two = without.with_columns(pl.struct("age", "plan").alias("explanations"))
    assert folded(with_two, of)[Kind.PREDICTIONS, "m", "", 0].count(EXPLAINED) == 0


def test_attributions_beyond_measure_are_left_out_and_said() -> None:
    of, rows = built(), usual(1, 100)
    rows[0, 0], rows[1, 1] = 1e300, -np.inf
    summary = window(rows, of)
    found = value("attribution_drift", summary, of)
    assert (found.n, found.reason) == (98, Reason.OVERFLOW)
    only = value("attribution_drift", window(rows[:2], of), of)
    assert (only.value, only.reason) == (None, Reason.OVERFLOW)


@pytest.mark.parametrize("name", ["attribution_drift", "attribution_ndcg", "attribution_share", "attribution_mean"])
def test_where_nothing_is_explained_they_do_not_apply(name: str) -> None:
    of = built()
    plain = fold_predictions(predictions([{"value": 1.0}] * 50), of, Span.HOUR)[Kind.PREDICTIONS, "m", "", 0]
    assert not plain.sums.keys() - {"execution_ms", "response_ms"}
    for summary in (plain, Summary()):
        assert value(name, summary, of, "age").reason is Reason.NOT_APPLICABLE
    assert METRICS[name].asked_of(list(NAMES), Settings()) == [], "they cost nothing where the setting is off"
    assert METRICS[name].asked_of(list(NAMES), Settings(explanations=True))


def test_reasons_say_why_there_is_no_value() -> None:
    of, rows = built(), usual(1, 100)
    nothing, unknown = np.zeros((50, 4)), replace(of, baseline=Baseline())
    assert value("attribution_drift", window(nothing, of), of).reason is Reason.ZERO_DENOMINATOR
    assert value("attribution_share", window(nothing, of), of, "age").reason is Reason.ZERO_DENOMINATOR
    assert value("attribution_drift", window(rows, unknown), unknown).reason is Reason.NO_BASELINE
    share = value("attribution_share", window(rows, unknown), unknown, "age")
    assert share.value == pytest.approx(shares(rows)[0], abs=1e-9)
    assert share.baseline is None
    alone = Settings(excluded=NAMES[1:])
    assert value("attribution_drift", window(rows, of), of, known=alone).reason is Reason.NOT_APPLICABLE


def test_excluded_features_are_part_of_no_share() -> None:
    of, rows, known = built(), usual(1, 100), Settings(excluded=("age",))
    found = value("attribution_share", window(rows, of), of, "income", known)
    assert found.value == pytest.approx(shares(rows[:, 1:])[0], abs=1e-9)
    assert value("attribution_share", window(rows, of), of, "age", known).reason is Reason.NOT_APPLICABLE


def test_a_holdout_without_a_finite_attribution_leaves_the_baseline_as_it_was() -> None:
    said = Explanations(NAMES, np.full((3, 4), np.inf))
    assert with_attributions(Baseline(), said, {}) == Baseline()
