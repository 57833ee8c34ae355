"""Old buckets are added up, nothing is lost by it, and a year of minutes is a state of known size."""

from __future__ import annotations

from collections import Counter

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitors.alert_book import BOOK
from monitors.evaluator import current_values
from monitors.summary import Summary as Counts
from monitors.table import MemoryTable, opened, parts_of
from monitors.window_book import WindowBook
from monitors.windows import BUCKET, Series, WindowId
from schemas.deployment import CHANGE_DETECTED, DAY_MS, HOUR_MS, MINUTE_MS, AlertRule, Compare, Settings, Span
from schemas.expectations import Timeliness
from schemas.observation import Entry, Kind, Metric, Summary, SummaryRecord
from schemas.package import Baseline, CategoricalBins
from schemas.topics import Topic
from tests.unit.monitors.evaluator_scene import DEFINITIONS, SETTINGS, Known, Run, progress, summary

MINUTES = msgspec.structs.replace(SETTINGS, bucket=Span.MINUTE)
START_MS = 1_000 * DAY_MS
BASELINE = Baseline(features={"age": CategoricalBins((), (700, 300, 0))})


def rows(kind: Kind, at_ms: int, count: int = 1) -> Entry:
    counts = {"rows": np.array([count]), "feature:age": np.array([count, 0])}
    return Entry(kind, "m1", "", at_ms // MINUTE_MS * MINUTE_MS, Counts(counts).encode())


def buckets(run: Run, kind: Kind) -> dict[int, Counts]:
    found = {}
    for key, value in run.table.scan(BUCKET):
        _, each, *_, start_ms = parts_of(key)
        if each == kind:
            found[int(start_ms)] = Counts.decode(opened(value))
    return found


def lived(of: Settings, days: int, every_ms: int = 3 * HOUR_MS + 7 * MINUTE_MS) -> Run:
    """A deployment with a row of each kind every so often; time is told twice a day."""
    run = Run(Known(settings=of, package_baseline=BASELINE))
    for half in range(2 * days):
        from_ms = START_MS + half * DAY_MS // 2
        for at_ms in range(from_ms, from_ms + DAY_MS // 2, every_ms):
            run.step(summary(rows(Kind.FEATURES, at_ms), rows(Kind.PREDICTIONS, at_ms)))
        run.step(progress(from_ms + DAY_MS // 2, from_ms + DAY_MS // 2))
        run.commit()
    return run


def test_minutes_become_hours_after_a_week_and_days_after_ninety_days_and_no_row_is_lost() -> None:
    run = lived(MINUTES, 100)
    found, end_ms = buckets(run, Kind.FEATURES), START_MS + 100 * DAY_MS
    days = [start_ms for start_ms in found if start_ms < end_ms - 90 * DAY_MS]
    hours = [start_ms for start_ms in found if end_ms - 90 * DAY_MS <= start_ms < end_ms - 7 * DAY_MS]
    assert len(days) == 10
    assert all(start_ms % DAY_MS == 0 for start_ms in days)
    assert all(start_ms % HOUR_MS == 0 for start_ms in hours)
    assert any(start_ms % HOUR_MS for start_ms in found if start_ms >= end_ms - 7 * DAY_MS)
    asked = sum(len(range(0, DAY_MS // 2, 3 * HOUR_MS + 7 * MINUTE_MS)) for _ in range(200))
    assert sum(each.count("rows") for each in found.values()) == asked


def test_hours_become_days_and_days_stay_what_they_are() -> None:
    assert len(buckets(lived(SETTINGS, 95), Kind.PREDICTIONS)) == 5 + 90 * 8
    daily = msgspec.structs.replace(SETTINGS, bucket=Span.DAY, drift_window=Span.DAY)
    run = Run(Known(settings=daily))
    run.step(summary(rows(Kind.FEATURES, START_MS)))
    run.step(progress(0, START_MS + 300 * DAY_MS))
    run.commit()
    assert list(buckets(run, Kind.FEATURES)) == [START_MS]


def test_a_late_row_goes_where_its_minute_went_and_revises_only_windows_that_are_still_whole() -> None:
    for window, revisions in ((Span.HOUR, 0), (Span.DAY, 1)):
        run = lived(msgspec.structs.replace(MINUTES, drift_window=window), 95)
        at_ms = START_MS + 5 * MINUTE_MS + DAY_MS
        day = START_MS + DAY_MS
        before = buckets(run, Kind.FEATURES)[day].count("rows")
        run.step(summary(rows(Kind.FEATURES, at_ms, 1_000)))
        said = run.step(progress(START_MS + 200 * DAY_MS)).metrics
        run.commit()
        assert buckets(run, Kind.FEATURES)[day].count("rows") == before + 1_000
        assert START_MS + DAY_MS + 5 * MINUTE_MS not in buckets(run, Kind.FEATURES)
        assert [metric.revision for metric in said if metric.metric == "psi"][:1] == [1] * revisions
        assert all(metric.n == before + 1_000 for metric in said if metric.feature == "age")


def test_what_was_added_up_is_not_told_as_a_short_window() -> None:
    run = lived(MINUTES, 95)
    deployment = run.view.deployment("churn")
    assert deployment is not None
    told = {metric.window_start_ms for metric in current_values(run.table, deployment, run.view, DEFINITIONS)}
    assert min(told) >= START_MS + 5 * DAY_MS
    assert len(told) == len({start_ms // HOUR_MS for start_ms in buckets(run, Kind.FEATURES) if start_ms >= min(told)})


def test_a_year_of_minutes_is_a_state_of_known_size() -> None:
    rules = (msgspec.structs.replace(CHANGE_DETECTED, limit=100.0), AlertRule("drift", "psi", 0.3, feature="*"))
    of = msgspec.structs.replace(MINUTES, drift_window=Span.MINUTE, alert_rules=rules, horizon_ms=30 * DAY_MS)
    sizes = []
    for days in (200, 500):
        run = lived(of, days, every_ms=297 * MINUTE_MS)
        sizes.append(Counter(key[:1] for key in run.table.rows))
    half, whole = sizes
    a_day = 2 * (DAY_MS // 2 // (297 * MINUTE_MS) + 1)
    assert whole[BUCKET] <= 2 * ((400 + 31) + 83 * a_day + 8 * a_day)
    assert whole[b"w"] <= 2 * 22 * a_day, "windows of a minute are kept for two to three weeks"
    assert whole[b"e"] <= 15 * a_day, "evidence as long as minutes are minutes"
    assert whole[b"w"] <= half[b"w"] * 1.2
    assert whole[BOOK] == 1


def test_slots_of_minutes_are_kept_for_two_to_three_weeks() -> None:
    of = msgspec.structs.replace(MINUTES, timeliness=Timeliness(predictions="PT5M"))
    run = Run(Known(settings=of))
    run.step(summary(Entry(Kind.PREDICTION_ARRIVALS, "", "", START_MS, Counts({"in_slot": np.array([1])}).encode())))
    most = 0
    for half in range(1, 2 * 60):
        now_ms = START_MS + half * DAY_MS // 2
        run.step(progress(now_ms, now_ms, topic=Topic.PREDICTIONS))
        run.commit()
        most = max(most, len(list(run.table.scan(b"w"))))
    assert 14 * 288 <= most <= 22 * 288


@pytest.mark.parametrize("event_ms", [START_MS, None])
def test_slots_that_a_silent_deployment_misses_are_kept_no_longer(event_ms: int | None) -> None:
    of = msgspec.structs.replace(MINUTES, timeliness=Timeliness(predictions="PT10M"))
    run = Run(Known(settings=of))
    run.step(summary(Entry(Kind.PREDICTION_ARRIVALS, "", "", START_MS, Counts({"in_slot": np.array([1])}).encode())))
    run.step(progress(START_MS, event_ms, topic=Topic.PREDICTIONS))
    most = 0
    for quarter in range(1, 4 * 60):
        run.step(progress(START_MS + quarter * DAY_MS // 4, topic=Topic.PREDICTIONS))
        run.commit(restart=quarter % 7 == 0)
        most = max(most, len(list(run.table.scan(b"w"))))
    assert 14 * 144 <= most <= 22 * 144
    assert not [key for key, _ in run.table.scan(BUCKET)], "its one arrival is as old as they are"


def test_a_rule_that_looks_back_a_year_keeps_short_windows_for_it() -> None:
    rule = AlertRule("year", "psi", 0.1, feature="*", compare=Compare.YEAR_AGO)
    of = msgspec.structs.replace(MINUTES, drift_window=Span.MINUTE, alert_rules=(rule,))
    run = lived(of, 60, every_ms=6 * HOUR_MS)
    assert len(list(run.table.scan(b"w"))) == 2 * 60 * 4


spots = st.integers(0, 120 * 24 * 4).map(lambda quarter: START_MS + quarter * 15 * MINUTE_MS)
deltas = st.builds(lambda kind, at_ms: summary(rows(kind, at_ms)), st.sampled_from([*Kind]), spots)
ticks = st.builds(lambda tick, at_ms: progress(tick * 1_000, at_ms), st.integers(0, 50), spots)
logs = st.lists(deltas | ticks, max_size=30)
END = progress(1_000_000, START_MS + 125 * DAY_MS)


def read(log: list[SummaryRecord], cuts: list[bool] = []) -> Run:  # noqa: B006  # never changed
    run = Run(Known(settings=msgspec.structs.replace(MINUTES, drift_window=Span.DAY), package_baseline=BASELINE))
    for at, record in enumerate(log):
        run.step(record)
        if at < len(cuts) and cuts[at]:
            run.commit(restart=True)
    run.commit()
    return run


def values(run: Run) -> list[Metric]:
    deployment = run.view.deployment("churn")
    assert deployment is not None
    return list(current_values(run.table, deployment, run.view, DEFINITIONS))


@settings(deadline=None)
@given(st.data(), logs)
def test_any_order_gives_the_same_buckets_bytes_and_values(data: st.DataObject, log: list[SummaryRecord]) -> None:
    one, two = read([*log, END]), read([*data.draw(st.permutations(log)), END])
    assert dict(one.table.scan(BUCKET)) == dict(two.table.scan(BUCKET))
    assert values(one) == values(two)


@settings(deadline=None)
@given(logs, st.lists(st.booleans(), min_size=30, max_size=30))
def test_a_restart_anywhere_changes_no_word_and_no_byte(log: list[SummaryRecord], cuts: list[bool]) -> None:
    plain, cut = read(log), read(log, cuts)
    assert cut.said == plain.said
    assert cut.table.rows == plain.table.rows


@settings(deadline=None)
@given(logs)
def test_a_day_of_aged_buckets_is_the_bytes_of_one_bucket_of_the_day(log: list[SummaryRecord]) -> None:
    days: dict[tuple[Kind, int], Counts] = {}
    for record in log:
        for entry in record.entries if isinstance(record, Summary) else ():
            days.setdefault((entry.kind, entry.bucket_ms // DAY_MS * DAY_MS), Counts()).add(Counts.decode(entry.body))
    run = read([*log, END])
    for kind in (Kind.FEATURES, Kind.PREDICTIONS, Kind.FLOW, Kind.CUSTOM):
        found = buckets(run, kind)
        wanted = {start_ms for each, start_ms in days if each is kind and start_ms < START_MS + 35 * DAY_MS}
        assert {start_ms for start_ms in found if start_ms < START_MS + 35 * DAY_MS} == wanted
        assert all(found[start_ms] == days[kind, start_ms] for start_ms in wanted)


@pytest.mark.parametrize("kind", [Kind.ACCURACY, Kind.OUTCOMES, Kind.PAIRS, Kind.LOSSES])
def test_buckets_of_outcomes_do_not_age(kind: Kind) -> None:
    run = read([summary(rows(kind, START_MS + 15 * MINUTE_MS)), END])
    assert list(buckets(run, kind)) == [START_MS + 15 * MINUTE_MS]


SERIES = tuple(Series(Kind.FEATURES, "m1", segment) for segment in ("", "carrier=AA"))
STEPS = 3_000
many = st.lists(st.tuples(st.sampled_from(SERIES), st.integers(0, 110 * 24 * 4)), min_size=1, max_size=60)


def kept(placed: list[tuple[Series, int]]) -> MemoryTable:
    """Buckets that never aged, as they are before there was ageing."""
    table = MemoryTable()
    windows = WindowBook(table, "churn")
    for series, quarter in placed:
        at_ms = START_MS + quarter * 15 * MINUTE_MS
        windows.add(Entry(series.kind, series.model, series.segment, at_ms, Counts({"rows": np.array([1])}).encode()))
    windows.flush()
    return table


def in_steps(table: MemoryTable, most: int, *, restarts: bool) -> list[WindowBook]:
    """Aged until nothing changes any more."""
    windows, end_ms = WindowBook(table, "churn"), START_MS + 115 * DAY_MS + 5 * HOUR_MS
    steps: list[WindowBook] = []
    for _ in range(STEPS):
        before = dict(table.rows)
        windows.age(Span.MINUTE, end_ms, most)
        windows.flush()
        if table.rows == before:
            return steps
        windows = WindowBook(table, "churn") if restarts else windows
        steps.append(windows)
    pytest.fail("it never ends")


@settings(deadline=None)
@given(st.data(), many, st.integers(1, 40))
def test_however_few_age_at_once_the_end_is_the_same(
    data: st.DataObject, placed: list[tuple[Series, int]], most: int
) -> None:
    once, few = kept(placed), kept(placed)
    assert len(in_steps(once, 1_000_000, restarts=False)) == 1
    in_steps(few, most, restarts=data.draw(st.booleans()))
    assert few.rows == once.rows


@settings(deadline=None)
@given(many, st.integers(1, 40))
def test_in_between_what_is_whole_is_whole(placed: list[tuple[Series, int]], most: int) -> None:
    table, end_ms = kept(placed), START_MS + 115 * DAY_MS
    asked = Counter((series, START_MS + quarter // 4 * HOUR_MS) for series, quarter in placed)
    windows = WindowBook(table, "churn")
    for _ in range(5):
        windows.age(Span.MINUTE, end_ms, most)
        for (series, hour_ms), count in asked.items():
            window_id = WindowId(hour_ms, hour_ms + HOUR_MS, series)
            assert not windows.is_whole(window_id) or windows.summary(window_id).count("rows") == count


def test_a_long_past_that_never_aged_does_not_go_in_one_transaction() -> None:
    table = kept([(SERIES[0], quarter) for quarter in range(100 * 24 * 4)])
    windows, gone = WindowBook(table, "churn"), []
    for _ in range(100):
        before = {key for key in table.rows if key[:1] == BUCKET}
        windows.age(Span.MINUTE, START_MS + 115 * DAY_MS, 500)
        windows.flush()
        gone.append(len(before - table.rows.keys()))
    assert max(gone) <= 2 * 500
    assert gone[-1] == 0
    assert len([key for key in table.rows if key[:1] == BUCKET]) == 25 + 75 * 24
