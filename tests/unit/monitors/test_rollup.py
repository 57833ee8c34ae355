from __future__ import annotations

from collections.abc import Iterable

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitors.ageing import cuts_ms, placed
from monitors.metrics.drift import Pair
from monitors.metrics.psi import STATISTIC
from monitors.periods import Ago, Period, Range, before, calendar, period_of, sliding
from monitors.rollup import ROLL_UPS_MS, Buckets, Reader, is_distance, rebased, roll_up_of
from monitors.summary import Summary
from monitors.windows import Series
from schemas.deployment import DAY_MS, HOUR_MS, Deployment, Model, Settings
from schemas.observation import Kind, Metric, Reason, Status
from schemas.package import Baseline, Feature, NumericBins, Package, Target, TargetType

FEATURES = Series(Kind.FEATURES, "m1", "")
ANSWERS = Series(Kind.PREDICTIONS, "m1", "")
BINS = NumericBins((0.0, 1.0, 2.0, 3.0, 4.0, 5.0), (0, 1000, 1000, 1000, 1000, 1000, 0, 0))
TARGET = Target("left", TargetType.BINARY, ("no", "yes"))
PACKAGE = Package("churn", "1", "m1", TARGET, (Feature("age"),), "linear", Baseline(rows=5000, features={"age": BINS}))
DEPLOYMENT = Deployment("churn", 1, TARGET, (Feature("age"),), Model("m1", "churn", "1"), settings=Settings(grace_ms=0))


def ages(*counts: int) -> Summary:
    return Summary({"rows": np.array([sum(counts)]), "feature:age": np.array([0, *counts, 0, 0])})


def answers(rows: int, errors: int = 0) -> Summary:
    return Summary({"rows": np.array([rows]), "error:data": np.array([errors])})


def reader(rows: Iterable[tuple[Series, int, Summary]], watermark_ms: int | None = None) -> Reader:
    return Reader(Buckets(rows), DEPLOYMENT, {"m1": PACKAGE}.get, watermark_ms=watermark_ms)


def one(metrics: Iterable[Metric], name: str) -> Metric:
    (found,) = (metric for metric in metrics if metric.metric == name)
    return found


counts = st.lists(st.integers(0, 40), min_size=5, max_size=5)
rows_of_hours = st.lists(st.tuples(st.integers(0, 24 * 40), counts), max_size=20)


@given(rows_of_hours, st.sampled_from(list(Period)))
@settings(deadline=None, max_examples=40)
def test_a_roll_up_of_buckets_is_one_big_bucket_however_it_is_cut(
    hours: list[tuple[int, list[int]]], period: Period
) -> None:
    rows = [(FEATURES, hour * HOUR_MS, ages(*found)) for hour, found in hours]
    buckets, everything = Buckets(rows), Summary()
    for _, _, summary in rows:
        everything.add(summary)
    over = buckets.extent() or Range(0, 0)
    pieces, rolled = Summary(), buckets.rolled(period)
    for window in calendar(over, period):
        total = buckets.total(FEATURES, window)
        assert total == rolled.total(FEATURES, window)
        pieces.add(total)
    whole = Range(0, 41 * DAY_MS)
    assert pieces == buckets.total(FEATURES, whole) == everything
    big = reader([(FEATURES, 0, everything)] if hours else []).metrics([whole])
    assert list(reader(rows).metrics([whole])) == list(big)


@given(st.integers(-(1 << 40), 1 << 41), st.sampled_from(list(Period)))
def test_periods_follow_each_other_without_a_gap(at_ms: int, period: Period) -> None:
    found = period_of(at_ms, period)
    assert found.start_ms <= at_ms < found.end_ms
    assert period_of(found.end_ms, period).start_ms == found.end_ms
    assert period_of(found.end_ms - 1, period) == found == before(period_of(found.end_ms, period), Ago.PREVIOUS)


@given(st.integers(0, 1 << 41), st.sampled_from(list(Ago)))
def test_an_earlier_window_is_as_long_and_ends_earlier(at_ms: int, ago: Ago) -> None:
    for period in (Period.HOUR, Period.DAY, Period.WEEK):
        window = period_of(at_ms, period)
        earlier = before(window, ago)
        assert earlier.end_ms - earlier.start_ms == window.end_ms - window.start_ms
        assert earlier.end_ms < window.end_ms


def test_sliding_windows_overlap_and_read_the_same_buckets() -> None:
    rows = [(ANSWERS, day * DAY_MS, answers(day)) for day in range(1, 11)]
    windows = list(sliding(Range(7 * DAY_MS, 9 * DAY_MS), 7 * DAY_MS, Period.DAY))
    found = [metric.value for metric in reader(rows).metrics(windows) if metric.metric == "requests"]
    assert found == [sum(range(1, 8)), sum(range(2, 9))]


def test_a_window_without_rows_is_not_mentioned_and_a_closed_one_is_one_that_the_watermark_passed() -> None:
    read = reader([(ANSWERS, 0, answers(10, 5)), (ANSWERS, 2 * DAY_MS, answers(1))], watermark_ms=DAY_MS)
    found = list(read.metrics(calendar(Range(0, 3 * DAY_MS), Period.DAY)))
    assert {metric.window_start_ms for metric in found} == {0, 2 * DAY_MS}
    assert {metric.window_start_ms for metric in found if metric.closed} == {0}
    assert one((metric for metric in found if metric.closed), "data_error_rate").value == pytest.approx(5 / 15)


def test_a_number_is_compared_with_the_same_number_of_the_period_before() -> None:
    rows = [(ANSWERS, day * DAY_MS, answers(100, errors)) for day, errors in ((0, 0), (7, 20))]
    read = reader(rows)
    now = period_of(7 * DAY_MS, Period.DAY)
    (week,) = (each for each in read.compared([now], Ago.WEEK) if each.metric.metric == "data_error_rate")
    assert week.before is not None
    assert week.metric.baseline == 0.0
    assert week.change == pytest.approx(20 / 120)
    (day,) = (each for each in read.compared([now], Ago.PREVIOUS) if each.metric.metric == "data_error_rate")
    assert (day.before, day.change, day.metric.baseline) == (None, None, None)


def test_a_distance_is_taken_from_the_counts_of_the_period_before() -> None:
    then, now = (10, 20, 300, 400, 270), (270, 400, 300, 20, 10)
    rows = [(FEATURES, 0, ages(*then)), (FEATURES, DAY_MS, ages(*now))]
    (found,) = (
        each
        for each in reader(rows).compared([period_of(DAY_MS, Period.DAY)], Ago.PREVIOUS)
        if each.metric.metric == "psi"
    )
    expected = STATISTIC.effect(Pair(np.array([0, *then, 0, 0]), np.array([0, *now, 0, 0]))).corrected
    assert found.metric.value == pytest.approx(expected, abs=1e-12)
    assert found.before is not None
    assert found.before.value is not None
    assert found.change is None


def test_a_period_in_the_place_of_the_baseline_keeps_edges_and_forgets_what_was_learned_of_training() -> None:
    trained = msgspec.structs.replace(PACKAGE.baseline, holdout={"auc": 0.9}, units={"loss": 0.5})
    package = msgspec.structs.replace(PACKAGE, baseline=trained)
    found = rebased(package, ages(1, 2, 3, 4, 5), Summary()).baseline
    assert found.features["age"] == NumericBins(BINS.edges, (0, 1, 2, 3, 4, 5, 0, 0))
    assert (found.rows, found.holdout, found.units) == (15, {}, {"loss": 0.5})


@given(rows_of_hours, st.sampled_from(list(Ago)))
@settings(deadline=None, max_examples=40)
def test_without_rows_before_no_distance_has_a_value_or_a_status(hours: list[tuple[int, list[int]]], ago: Ago) -> None:
    read = reader((FEATURES, hour * HOUR_MS, ages(*found)) for hour, found in hours)
    windows = calendar(Range(0, 41 * DAY_MS), Period.DAY)
    for each in read.compared(windows, ago):
        if each.before is None and is_distance(each.metric):
            assert (each.metric.value, each.metric.low, each.metric.high, each.metric.status) == (None,) * 4
            assert each.metric.reason in (Reason.NO_BASELINE, Reason.EMPTY)


def test_without_rows_before_a_distance_says_no_baseline_though_it_is_far_from_training() -> None:
    read = reader([(FEATURES, 0, ages(0, 0, 0, 100, 900))])
    assert one(read.metrics([Range(0, DAY_MS)]), "psi").status is Status.FAILING
    (found,) = (each for each in read.compared([Range(0, DAY_MS)], Ago.YEAR) if each.metric.metric == "psi")
    assert found.before is None
    assert (found.metric.value, found.metric.status, found.metric.reason) == (None, None, Reason.NO_BASELINE)
    assert found.metric.n == 1000


def test_without_rows_before_a_rate_keeps_its_value_and_no_status_of_training() -> None:
    missing = Summary({"rows": np.array([100]), "feature:age": np.array([0, 10, 10, 10, 10, 10, 0, 50])})
    read = reader([(FEATURES, 0, missing)])
    assert one(read.metrics([Range(0, DAY_MS)]), "missing_rate").status is Status.FAILING
    (found,) = (each for each in read.compared([Range(0, DAY_MS)], Ago.YEAR) if each.metric.metric == "missing_rate")
    assert (found.before, found.change) == (None, None)
    assert (found.metric.value, found.metric.baseline, found.metric.status) == (0.5, None, None)


@given(rows_of_hours, st.integers(0, 24 * 40))
@settings(deadline=None, max_examples=60)
def test_a_status_rests_on_the_shortest_roll_up_with_enough_rows(hours: list[tuple[int, list[int]]], end: int) -> None:
    read = reader((FEATURES, hour * HOUR_MS, ages(*found)) for hour, found in hours)
    windows = [Range((end + 1) * HOUR_MS - length_ms, (end + 1) * HOUR_MS) for length_ms in ROLL_UPS_MS.values()]
    by_length = [[each for each in read.metrics([window]) if each.metric == "psi"] for window in windows]
    if not by_length[0]:
        return
    (own, *_), *longer = by_length
    rolled = read.rolled_up(own)
    if own.reason is not Reason.TOO_FEW_ROWS:
        assert rolled is None
        return
    enough = [each for (each,) in longer if each.status is not Status.UNKNOWN]
    assert rolled == (enough[0] if enough else None)


def test_a_low_rate_stream_that_drifts_has_a_status_by_its_roll_up() -> None:
    shifted = [(FEATURES, hour * HOUR_MS, ages(0, 0, 2, 8, 10)) for hour in range(48)]
    read = reader(shifted, watermark_ms=2 * DAY_MS)
    own = one(read.metrics([Range(47 * HOUR_MS, 2 * DAY_MS)]), "psi")
    assert (own.status, own.reason, own.n) == (Status.UNKNOWN, Reason.TOO_FEW_ROWS, 20)
    rolled = read.rolled_up(own)
    assert rolled is not None
    assert (rolled.status, rolled.n, rolled.closed) == (Status.FAILING, 120, True)
    assert (rolled.window_start_ms, rolled.window_end_ms) == (42 * HOUR_MS, 2 * DAY_MS)
    assert roll_up_of(rolled) is Period.SIX_HOURS
    empty = one(read.metrics([Range(47 * HOUR_MS, 2 * DAY_MS)]), "missing_rate")
    assert read.rolled_up(empty) is None


NAMED = "psi"


def aged(hours: int) -> Reader:
    """A row of age 3 every hour, as the evaluator keeps it after so long."""
    until_ms = hours * HOUR_MS
    cuts = cuts_ms(DEPLOYMENT.settings.bucket, until_ms)
    starts = placed(np.arange(0, until_ms, HOUR_MS), cuts).tolist()
    return reader([(FEATURES, start_ms, ages(0, 0, 1, 0, 0)) for start_ms in starts], until_ms)


def test_a_window_that_cuts_an_old_bucket_is_widened_to_all_of_it() -> None:
    kept = aged(100 * 24)
    hour = Range(5 * DAY_MS + 3 * HOUR_MS, 5 * DAY_MS + 4 * HOUR_MS)
    found = [one(kept.metrics([hour]), NAMED), one(kept.metrics(calendar(hour, Period.HOUR)), NAMED)]
    assert [(each.window_start_ms, each.window_end_ms, each.n) for each in found] == [(5 * DAY_MS, 6 * DAY_MS, 24)] * 2
    young = Range(50 * DAY_MS + 3 * HOUR_MS, 50 * DAY_MS + 4 * HOUR_MS)
    assert one(kept.metrics([young]), NAMED).n == 1
    both = Range(9 * DAY_MS + 5 * HOUR_MS, 11 * DAY_MS + 5 * HOUR_MS)
    assert one(kept.metrics([both]), NAMED).n == 48 + 5


def test_hours_of_an_old_day_are_told_once_as_the_day() -> None:
    told = list(aged(100 * 24).metrics(calendar(Range(5 * DAY_MS, 7 * DAY_MS), Period.HOUR)))
    assert [each.window_start_ms for each in told if each.metric == NAMED] == [5 * DAY_MS, 6 * DAY_MS]


def test_a_year_can_be_read_by_months() -> None:
    over = Range(0, 360 * DAY_MS)
    told = [each for each in aged(360 * 24).metrics(calendar(over, Period.MONTH)) if each.metric == NAMED]
    assert sum(each.n for each in told) == 360 * 24


def test_an_hour_is_not_compared_with_the_day_that_is_left_of_a_year_ago() -> None:
    kept = aged(370 * 24)
    now = Range(369 * DAY_MS, 369 * DAY_MS + HOUR_MS)
    assert all(each.before is None for each in kept.compared([now], Ago.YEAR) if each.metric.metric == NAMED)
    day = Range(369 * DAY_MS, 370 * DAY_MS)
    assert any(each.before is not None for each in kept.compared([day], Ago.YEAR) if each.metric.metric == NAMED)
