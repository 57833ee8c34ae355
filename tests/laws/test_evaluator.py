"""The two promises of the evaluator, over logs that Hypothesis writes."""

from __future__ import annotations

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from monitors.evaluator import current_values
from schemas.deployment import CHANGE_DETECTED, HOUR_MS, MATERIAL_DRIFT, AlertRule, Compare, Control
from schemas.observation import Entry, Kind, Metric, SummaryRecord
from schemas.package import Baseline, CategoricalBins
from schemas.topics import Topic
from tests.unit.monitors.evaluator_scene import DEFINITIONS, SETTINGS, Known, Run, delta, progress, summary

RULES = (
    AlertRule("errors", "data_error_rate", 0.3, windows=1, of=2, clear_windows=2, cooldown=2),
    AlertRule("more-errors", "data_error_rate", 1.5, compare=Compare.PREVIOUS, ratio=True, segment="*"),
    AlertRule("accuracy", "accuracy", 0.6, above=False, clear=0.7),
    msgspec.structs.replace(MATERIAL_DRIFT, clear_windows=2),
    msgspec.structs.replace(CHANGE_DETECTED, limit=100.0),
    AlertRule("discovered", "change", 0.2, feature="age", control=Control.E_LOND, segment="plan=a"),
    AlertRule("listed", "change", 0.2, feature="*", control=Control.BENJAMINI_HOCHBERG),
)
BASELINE = Baseline(features={"age": CategoricalBins((), (700, 300, 0)), "plan": CategoricalBins((), (300, 700, 0))})
VIEW = Known(settings=msgspec.structs.replace(SETTINGS, alert_rules=RULES), package_baseline=BASELINE)

small = st.integers(-2, 12) | st.sampled_from([-50, 300])
starts = st.integers(0, 11).map(lambda hour: hour * HOUR_MS)
models = st.sampled_from(["m1", "m1", "m1", "m2"])
segments = st.sampled_from(["", "", "", "plan=a"])


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    kind, at_ms, by, segment = draw(st.sampled_from(Kind)), draw(starts), draw(models), draw(segments)
    if kind is Kind.FEATURES:
        return delta(kind, at_ms, by=by, segment=segment, rows=draw(small), feature_age=[draw(small), draw(small)])
    if kind is Kind.PREDICTIONS:
        return delta(kind, at_ms, by=by, segment=segment, rows=draw(small), error_data=draw(small))
    counts = {name: draw(small) for name in ("expected", "matched", "expired", "right")}
    return delta(kind, at_ms, by=by, segment=segment, **counts)


names = st.sampled_from(["churn", "churn", "churn", "fraud"])
deltas = st.builds(
    lambda name, found: summary(*found, deployment=name), names, st.lists(entries(), min_size=1, max_size=4)
)
ticks = st.builds(
    lambda tick, event, topic, partition, name: progress(
        tick * 500, event, topic=topic, partition=partition, deployment=name
    ),
    st.integers(0, 200),
    st.none() | st.integers(0, 14 * HOUR_MS),
    st.sampled_from([Topic.REQUESTS, Topic.REQUESTS, Topic.PREDICTIONS, Topic.OUTCOMES]),
    st.sampled_from([0, 0, 0, 1]),
    names,
)


@st.composite
def logs_of(draw: st.DrawFn) -> list[SummaryRecord]:
    """First a lively life, hour by hour, with all that can go wrong mixed in after it.

    Its hours go in runs, so that some are long enough for the change detector to be sure that all is well again.
    """
    log: list[SummaryRecord] = []
    runs = draw(st.lists(st.tuples(st.sampled_from([0, 30, 60]), st.sampled_from([1, 2, 7])), max_size=4))
    for hour, errors in enumerate(errors for errors, hours in runs for _ in range(hours)):
        log.append(
            summary(
                delta(Kind.PREDICTIONS, hour * HOUR_MS, rows=100 - errors, error_data=errors),
                delta(Kind.PREDICTIONS, hour * HOUR_MS, segment="plan=a", rows=10, error_data=hour * errors),
                delta(Kind.FEATURES, hour * HOUR_MS, rows=100, feature_age=[100 - errors, errors]),
                delta(Kind.FEATURES, hour * HOUR_MS, segment="plan=a", rows=50, feature_age=[50 - errors // 2, errors]),
                delta(Kind.ACCURACY, hour * HOUR_MS, expected=100, matched=50, right=50 - errors // 2),
            )
        )
        log.append(progress(hour * 1_000, (hour + 1) * HOUR_MS))
    return log + draw(st.lists(deltas | ticks, max_size=20))


logs = logs_of()


def values(run: Run, name: str) -> list[Metric]:
    deployment = VIEW.deployment(name)
    assert deployment is not None
    return list(current_values(run.table, deployment, VIEW, DEFINITIONS))


def read(log: list[SummaryRecord]) -> Run:
    run = Run(VIEW)
    run.step(*log)
    run.commit()
    return run


@settings(deadline=None)
@given(st.data(), logs)
def test_any_order_of_the_same_records_gives_the_same_values(data: st.DataObject, log: list[SummaryRecord]) -> None:
    other = data.draw(st.permutations(log))
    one, two = read(log), read(other)
    assert dict(one.table.scan(b"b")) == dict(two.table.scan(b"b"))
    for name in ("churn", "fraud"):
        assert values(one, name) == values(two, name)


@settings(deadline=None)
@given(logs, st.lists(st.sampled_from(["go on", "commit", "restart", "abort"]), min_size=64, max_size=64))
def test_no_batch_cut_restart_or_abort_changes_a_word_or_a_byte(log: list[SummaryRecord], cuts: list[str]) -> None:
    plain, cut = read(log), Run(VIEW)
    batch: list[SummaryRecord] = []
    for record, what in zip(log, cuts, strict=False):
        batch.append(record)
        if what == "go on":
            continue
        if what == "abort":
            for each in batch:
                cut.evaluator.step(each, VIEW)
            cut.evaluator.forget()
        cut.step(*batch)
        cut.commit(restart=what == "restart")
        batch = []
    cut.step(*batch)
    cut.commit()
    assert cut.said == plain.said
    assert cut.table.rows == plain.table.rows


@settings(deadline=None)
@given(logs)
def test_reading_the_same_log_again_says_the_same(log: list[SummaryRecord]) -> None:
    assert read(log).said == read(log).said


@settings(deadline=None)
@given(logs)
def test_once_everything_is_closed_the_last_word_on_each_metric_is_its_value(log: list[SummaryRecord]) -> None:
    run = read(log)
    end = [
        progress(1_000_000 + source, 100 * HOUR_MS, topic=topic, partition=partition, deployment=name)
        for source, (topic, partition, name) in enumerate(
            (topic, partition, name)
            for topic in (Topic.REQUESTS, Topic.PREDICTIONS)
            for partition in (0, 1)
            for name in ("churn", "fraud")
        )
    ]
    run.step(*end, progress(2_000_000))
    run.commit()
    last = {_identity(metric): _content(metric) for metric in run.said.metrics}
    now = {_identity(metric): _content(metric) for name in ("churn", "fraud") for metric in values(run, name)}
    assert last == now


@settings(deadline=None, max_examples=50)
@given(logs)
def test_revisions_of_a_window_rise_by_one_and_alerts_count_their_changes(log: list[SummaryRecord]) -> None:
    run = read(log)
    revisions: dict[tuple[object, ...], int] = {}
    for metric in run.said.metrics:
        key = _identity(metric)
        assert metric.revision >= revisions.get(key, 0)
        assert bool(metric.revision) == bool(metric.revision_reason)
        revisions[key] = metric.revision
    sequences: dict[str, int] = {}
    for event in run.said.alerts:
        assert event.data.sequence == sequences.get(event.data.id, 0) + 1
        sequences[event.data.id] = event.data.sequence
    assert len({event.id for event in run.said.alerts}) == len(run.said.alerts)


def _identity(metric: Metric) -> tuple[object, ...]:
    return (
        metric.deployment,
        metric.model,
        metric.metric,
        metric.feature,
        metric.segment,
        metric.window_start_ms,
    )


def _content(metric: Metric) -> tuple[object, ...]:
    return metric.value, metric.low, metric.high, metric.n, metric.coverage, metric.status, metric.reason
