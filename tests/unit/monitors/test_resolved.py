"""What is said under label delay: on real bookings with the figures of STATISTICS section 7, and at the edges."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from datetime import date
from functools import cache

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.demo.bookings import bookings
from monitors.base_buckets import BaseBuckets
from monitors.delay import DELAY, DELAY_BINS, delay_bins
from monitors.delays_by_age import AGE_RESTS_ON, curve_of
from monitors.evaluator import Evaluator
from monitors.folds import fold_outcomes, fold_predictions
from monitors.folds.groups import SummaryKey
from monitors.join import join
from monitors.join_columns import prefix_of
from monitors.join_outcomes import encode_changes
from monitors.resolved import Coverage, ThreeNumbers, coverage, resolved_age_ms, resolved_cohort
from monitors.resolved_age import ResolvedAge
from monitors.rollup import Buckets
from monitors.summary import Summary
from monitors.table import MemoryTable
from monitors.windows import Series
from schemas.actual import ActualColumns, decode_actuals, encode_actuals
from schemas.deployment import DAY_MS, Deployment, Model, Settings, Span
from schemas.observation import Entry, Kind, Metric, Progress, Reason
from schemas.observation import Summary as SummaryRecord
from schemas.outcome import decode_outcomes
from schemas.package import Package, Target, TargetType
from schemas.records import Records
from schemas.topics import Topic

DIGEST = "5eed" * 16
TARGET = Target("is_canceled", TargetType.BINARY, ("false", "true"))
SETTINGS = Settings(bucket=Span.DAY, accuracy_window=Span.MONTH, horizon_ms=1_000 * DAY_MS, max_age_ms=1_000 * DAY_MS)
DEPLOYMENT = Deployment("bookings", 1, TARGET, (), Model(DIGEST, "any", "1"), settings=SETTINGS)
PACKAGE = Package("any", "1", DIGEST, TARGET, (), "linear")
SERIES = Series(Kind.ACCURACY, DIGEST, "")
CUT = date(2016, 2, 29)
AS_OF_MS = int(np.datetime64("2016-03-01", "ms").astype(np.int64))
BATCH = 5_000


class View:
    """Everything is known."""

    def deployment(self, name: str) -> Deployment:
        assert name == "bookings"
        return DEPLOYMENT

    def package(self, digest: str) -> Package:
        assert digest == DIGEST
        return PACKAGE


def made() -> pl.DataFrame:
    """Every booking made until the day, in the order of making; any model will do."""
    return bookings().filter(pl.col("made") <= CUT).with_row_index("offset")


def predicted(rows: pl.DataFrame) -> pl.DataFrame:
    shadow, nothing, zero = pl.lit(value=False), pl.lit(None, pl.String), pl.lit(0, pl.Int32)
    return rows.select(
        "association_id",
        deployment=pl.lit("bookings"),
        model=pl.lit(DIGEST),
        timestamp_ms="made_ms",
        value=pl.lit(0.25),
        label=pl.lit("false"),
        probabilities=pl.concat_list(pl.lit(0.75), pl.lit(0.25)),
        segments=pl.lit([], pl.List(pl.String)),
        cluster=pl.lit(None, pl.Int64),
        source_partition=zero,
        source_offset=pl.col("offset").cast(pl.Int64),
        shadow=shadow,
        error_kind=nothing,
        error_code=nothing,
        consumer=nothing,
        execution_ms=pl.lit(1.0),
        response_ms=pl.lit(1.0),
        partition=zero,
    )


def actual(rows: pl.DataFrame) -> pl.DataFrame:
    ids = rows["association_id"].to_list()
    columns = ActualColumns("bookings", ids, rows["outcome_ms"].to_numpy(), labels=rows["is_canceled"].to_list())
    count = len(ids)
    at = np.arange(count)
    keys: list[bytes | None] = [one.encode() for one in ids]
    decoded = decode_actuals(Records(keys, list(encode_actuals(columns)), np.zeros(count, np.int32), at, at))
    received = decoded.frame["timestamp_ms"].alias("received_ms")
    return decoded.frame.with_columns(received, partition=pl.lit(0, pl.Int32))


def joined(rows: pl.DataFrame, known: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """The outcomes that the joiner sends, as the observer reads them; predictions and actuals take turns by batch."""
    table: dict[bytes, bytes] = {}
    batches: list[tuple[pl.DataFrame | None, pl.DataFrame | None]] = [
        (predicted(part), None) for part in rows.iter_slices(BATCH)
    ]
    batches += [(None, actual(part)) for part in known.sort("outcome_ms").iter_slices(BATCH)]
    for place in np.random.default_rng(0).permutation(len(batches)).tolist():
        said, came = batches[place]
        parts = join(said, came, lambda _, keys: [table.get(key) for key in keys], deployments={"bookings": DEPLOYMENT})
        for part in parts.values():
            table.update({key: value for key, value in part.writes.items() if value is not None})
            keys, values = encode_changes(part.changes, {prefix_of(DIGEST): DIGEST})
            at = np.arange(len(keys))
            yield decode_outcomes(Records(list(keys), list(values), np.zeros(len(keys), np.int32), at, at)).frame


@cache
def evaluated(*, in_the_end: bool = False) -> tuple[Buckets, list[Metric]]:
    """What the evaluator holds, and says, of the bookings until the day; or of the same once all came true."""
    rows = made()
    evaluator, said = Evaluator(table := MemoryTable()), []

    def take(found: dict[SummaryKey, Summary]) -> None:
        entries = (Entry(*key, summary.encode()) for key, summary in sorted(found.items()))
        evaluator.step(SummaryRecord("bookings", tuple(entries)), View())

    for part in rows.iter_slices(BATCH):
        take(fold_predictions(predicted(part), PACKAGE, SETTINGS.bucket))
    for outcomes in joined(rows, rows if in_the_end else rows.filter(pl.col("outcome") <= CUT)):
        take(fold_outcomes(outcomes, {DIGEST: PACKAGE}, SETTINGS.bucket))
    said += evaluator.step(
        Progress(Topic.PREDICTIONS, 0, 0, caught_up=True, tick_ms=0, event_ms={"bookings": AS_OF_MS}), View()
    ).metrics
    evaluator.flush()
    kept = BaseBuckets(table, "bookings")
    ever = -(1 << 62), 1 << 62
    return Buckets((SERIES, start, kept.bucket(SERIES, start)) for start in kept.starts(SERIES, *ever)), said


@cache
def known(*, in_the_end: bool = False) -> Coverage:
    buckets, _ = evaluated(in_the_end=in_the_end)
    found = coverage(buckets, SERIES, deployment="bookings", settings=SETTINGS, package=PACKAGE, as_of_ms=AS_OF_MS)
    assert found is not None
    return found


def rate(found: Coverage) -> ThreeNumbers:
    return next(one for one in found.metrics if one.metric == "positive_rate")


def test_real_bookings_come_to_the_coverage_and_the_naive_rate_of_the_cut_off() -> None:
    labels = known().labels
    assert (labels.expected, labels.start_ms, labels.end_ms) == (40_055, AS_OF_MS - 244 * DAY_MS, AS_OF_MS)
    assert labels.coverage == pytest.approx(0.640, abs=5e-4)
    assert labels.pending == labels.expected - labels.matched
    assert rate(known()).naive == pytest.approx(0.4405, abs=5e-5)


def test_the_bounds_of_real_bookings_hold_what_came_true_in_the_end() -> None:
    end, labels = known(in_the_end=True), known().labels
    truth, found = rate(end).naive, rate(known())
    assert (end.labels.coverage, end.labels.pending) == (1, 0)
    assert truth == pytest.approx(0.3640, abs=5e-5)
    assert truth is not None
    assert found.naive is not None
    late = (truth * labels.expected - found.naive * labels.matched) / labels.pending
    assert late == pytest.approx(0.2279, abs=5e-5)
    assert found.lowest is not None
    assert found.highest is not None
    assert found.lowest < truth < found.highest
    assert found.lowest == pytest.approx(0.282, abs=5e-4)
    assert found.highest == pytest.approx(0.642, abs=5e-4)


def test_the_resolved_cohort_of_real_bookings_falls_back_to_four_fifths_and_is_nearer_to_the_truth() -> None:
    cohort, found = known().resolved, rate(known())
    assert cohort is not None
    assert (cohort.x, cohort.age_ms, cohort.labels.expected) == (0.8, 138 * DAY_MS, 14_578)
    assert cohort.labels.coverage == pytest.approx(0.851, abs=5e-4)
    assert cohort.labels.end_ms == AS_OF_MS - 138 * DAY_MS
    assert found.resolved == pytest.approx(0.3953, abs=5e-5)
    assert found.reason is Reason.DELAY_BIAS
    assert found.bias == pytest.approx(0.4405 - 0.3953, abs=1e-4)


def test_the_delay_of_real_bookings_is_longer_than_that_of_the_matched_ones() -> None:
    median, ninety, ninety_five = known().delays
    days = [(one.age_ms or 0) // DAY_MS for one in (median, ninety)]
    assert days == [46, 242]
    assert [(one.naive_ms or 0) // DAY_MS for one in (median, ninety)] == [22, 103]
    assert (median.low_ms or 0) <= 46 * DAY_MS <= (median.high_ms or 0)
    assert (ninety_five.age_ms, ninety_five.reason) == (242 * DAY_MS, None)


def test_the_evaluator_says_of_each_month_when_its_labels_come() -> None:
    said = {(one.metric, one.window_start_ms): one for one in evaluated()[1]}
    first = int(np.datetime64("2015-07", "ms").astype(np.int64))
    last = int(np.datetime64("2016-02", "ms").astype(np.int64))
    july, february = (said["label_delay_ms_p50", month] for month in (first, last))
    assert july.value is not None
    assert 0 < july.value < 100 * DAY_MS
    assert (february.value, february.reason) == (None, Reason.NOT_RESOLVED)
    assert said["expired_rate", first].value == 0


def bucket(day: int, expected: int, **labels: int) -> tuple[Series, int, Summary]:
    """`labels`: positives and negatives after so many days."""
    delays = np.zeros(DELAY_BINS, np.int64)
    for name, count in labels.items():
        delays[delay_bins(np.array([int(name[1:]) * DAY_MS]))] += count
    total = int(delays.sum())
    counts = {"expected": [expected], "matched": [total], "positives": [total // 2], "negatives": [total - total // 2]}
    return SERIES, day * DAY_MS, Summary({name: np.array(some) for name, some in counts.items()} | {DELAY: delays})


def view(*rows: tuple[Series, int, Summary], day: int) -> Coverage:
    found = coverage(Buckets(rows), SERIES, deployment="d", settings=SETTINGS, package=PACKAGE, as_of_ms=day * DAY_MS)
    assert found is not None
    return found


def test_nothing_is_said_of_a_model_without_predictions() -> None:
    assert not coverage(Buckets(()), SERIES, deployment="d", settings=SETTINGS, package=PACKAGE, as_of_ms=0)


def test_a_cohort_of_fewer_than_a_thousand_rows_is_not_resolved() -> None:
    assert view(bucket(0, 999, d1=998), day=10).resolved is None
    assert rate(view(bucket(0, 999, d1=998), day=10)).resolved is None
    cohort = view(bucket(0, 1_000, d1=999), day=10).resolved
    assert cohort is not None
    assert (cohort.x, cohort.age_ms) == (0.95, DAY_MS)


def test_where_nothing_is_pending_everything_is_resolved_however_few_there_are() -> None:
    found = view(bucket(0, 3, d1=3), bucket(1, 4, d0=4), day=2)
    assert found.resolved is not None
    assert (found.resolved.x, found.resolved.age_ms, found.resolved.labels) == (1.0, 0, found.labels)
    assert (rate(found).resolved, rate(found).resolved_n, rate(found).reason) == (rate(found).naive, 7, None)
    assert view(bucket(0, 0), day=2).resolved is None


def test_without_delay_bias_nothing_is_warned_of() -> None:
    assert rate(view(bucket(0, 2_000, d1=1_990), bucket(1, 2_000, d1=1_990), day=10)).reason is None


def test_buckets_from_before_delays_were_kept_are_no_part_of_the_curve() -> None:
    old = SERIES, 0, Summary({"expected": np.array([5_000]), "matched": np.array([5_000])})
    found = view(old, bucket(1, 1_000, d2=960), day=10)
    assert found.delays[0].age_ms == 2 * DAY_MS
    assert found.labels.expected == 6_000


def test_an_age_that_nothing_was_old_enough_for_is_looked_for_again_on_the_next_day() -> None:
    buckets, table = BaseBuckets(MemoryTable(), "bookings"), MemoryTable()
    noon_ms = 10 * DAY_MS + DAY_MS // 2

    def say(series: Series, start_ms: int, delta: Summary) -> None:
        buckets.add(series, start_ms, delta.copy())

    say(*bucket(0, 999, d1=998))
    age = ResolvedAge(table, "bookings")
    assert age.of(buckets, DEPLOYMENT, noon_ms) == SETTINGS.horizon_ms
    say(*bucket(1, 1_000, d1=1_000))
    assert age.of(buckets, DEPLOYMENT, noon_ms + 1) == SETTINGS.horizon_ms
    age.flush()
    assert ResolvedAge(table, "bookings").of(buckets, DEPLOYMENT, noon_ms + DAY_MS) == DAY_MS


told = st.builds(
    lambda day, expected, quick, slow: bucket(day, expected, **{f"d{quick}": expected // 2, f"d{slow}": expected // 3}),
    st.integers(0, 50),
    st.integers(0, 3_000),
    st.integers(0, 5),
    st.integers(6, 40),
)


@given(st.lists(told, max_size=20, unique_by=lambda row: row[1]), st.integers(0, 80))
def test_the_age_alone_is_that_of_the_cohort_and_needs_few_vectors(
    rows: list[tuple[Series, int, Summary]], day: int
) -> None:
    buckets = BaseBuckets(table := MemoryTable(), "bookings")
    for series, start_ms, delta in rows:
        buckets.add(series, start_ms, delta.copy())
    buckets.flush()
    every = sorted((start_ms, summary) for _, start_ms, summary in rows)
    cohort = resolved_cohort(every, curve_of(every, Span.DAY, day * DAY_MS), Span.DAY, day * DAY_MS)
    starts = [start_ms for start_ms, _ in every]
    for each in (buckets, BaseBuckets(table, "bookings")):
        read = each.counts(SERIES, starts, AGE_RESTS_ON)
        assert resolved_age_ms(read, Span.DAY, day * DAY_MS) == (None if cohort is None else cohort.age_ms)


def test_looking_for_the_age_leaves_no_bucket_in_memory() -> None:
    table = MemoryTable()
    buckets = BaseBuckets(table, "bookings")
    for day in range(300):
        series, start_ms, delta = bucket(day, 1_000, d1=990)
        buckets.add(series, start_ms, delta.copy())
    buckets.flush()
    buckets = BaseBuckets(table, "bookings")
    tracemalloc.start()
    try:
        assert ResolvedAge(table, "bookings").of(buckets, DEPLOYMENT, 400 * DAY_MS) == DAY_MS
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 100_000, "300 buckets with their vectors are more"
