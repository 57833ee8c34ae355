"""Custom metrics: exact in any order, judged by their own limits, and unharmed by bad neighbours."""

from __future__ import annotations

import json
from fractions import Fraction
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitors.evaluator import Evaluator
from monitors.folds.custom import fold_reports
from monitors.metrics import METRICS
from monitors.summary import Summary
from schemas.custom_report import Report, read_reports
from schemas.deployment import DAY_MS, HOUR_MS, AlertRule, Settings, Span
from schemas.expectations import Aggregate, CustomMetric
from schemas.observation import Entry, Kind, Metric, Reason, Status
from schemas.records import Records
from tests.unit.monitors.evaluator_scene import Known, Run, phases, progress, summary
from tests.unit.monitors.fold_frames import merged

DECLARED = (
    CustomMetric("cost", Aggregate.SUM, at_risk=100.0, failing=200.0, unit=100.0),
    CustomMetric("mood", Aggregate.MEAN, failing=2.0, above=False),
    CustomMetric("stock", Aggregate.GAUGE),
)
SETTINGS = Settings(custom_metrics=DECLARED)


def report(metric: str, value: float, at_ms: int = 0) -> Report:
    return Report("churn", metric, value, at_ms, at_ms)


def records(*values: bytes | None, kafka_ms: int = 1_000) -> Records:
    count = len(values)
    offsets = np.arange(count, dtype=np.int64)
    return Records([b"churn"] * count, list(values), np.zeros(count, np.int32), offsets, np.full(count, kafka_ms))


def said(*reports: Report, rules: tuple[AlertRule, ...] = ()) -> Run:
    """What an evaluator says of the reports of the first hour once it has closed."""
    view = Known()
    view.change(*rules, custom_metrics=DECLARED)
    run = Run(view)
    run.evaluator = Evaluator(run.table, (METRICS["custom"], METRICS["custom_refused"]))
    entries = (Entry(*key, delta.encode()) for key, delta in fold_reports(reports, view.settings).items())
    run.step(summary(*entries), progress(10_000, 10), progress(20_000, 2 * HOUR_MS))
    return run


def closed(run: Run) -> dict[str, Metric]:
    return {metric.feature or metric.metric: metric for metric in run.said.metrics if metric.closed}


def test_sums_means_and_the_newest_are_told_with_their_status() -> None:
    reports = [report("cost", 70.0), report("cost", 50.5, 5), report("mood", 1.0), report("mood", 2.0, 7)]
    reports += [report("stock", 9.0, 59 * 60_000), report("stock", 4.0, 60_000)]
    found = closed(said(*reports))
    assert (found["cost"].value, found["cost"].n, found["cost"].status) == (120.5, 2, Status.AT_RISK)
    assert (found["mood"].value, found["mood"].status) == (1.5, Status.FAILING)
    assert (found["stock"].value, found["stock"].n, found["stock"].status) == (9.0, 1, None)
    assert found["custom_refused"].value == 0
    assert {metric.model for metric in found.values()} == {""}


def test_a_metric_without_reports_is_empty() -> None:
    found = closed(said(report("cost", 1.0)))
    assert (found["mood"].value, found["mood"].reason, found["mood"].status) == (None, Reason.EMPTY, Status.UNKNOWN)


def test_a_rule_may_look_at_a_custom_metric() -> None:
    rule = AlertRule("dear", "custom", 100.0, feature="cost")
    assert phases(said(report("cost", 150.0), rules=(rule,)).said) == ["firing"]
    assert not phases(said(report("cost", 50.0), rules=(rule,)).said)


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b'{"deployment":"churn","metric":"cost","value":"many"}', "not_a_report"),
        (b'{"deployment":"churn","metric":"cost","value":1e999}', "not_a_report"),
        (b'{"deployment":"churn","metric":"cost"}', "not_a_report"),
        (b'{"deployment":"churn","metric":"cost","value":1,"timestamp":"now"}', "bad_time"),
        (b'{"deployment":"churn","metric":"cost","value":1,"timestamp":99999999999}', "bad_time"),
        (b'{"deployment":"churn","metric":"taste","value":1}', "not_declared"),
        (b'{"deployment":"churn","metric":"cost","value":1e30}', "beyond_unit"),
    ],
)
def test_a_bad_report_is_counted_and_its_neighbours_are_too(body: bytes, fault: str) -> None:
    good = b'{"deployment":"churn","metric":"cost","value":2,"timestamp":999}'
    reports, unreadable = read_reports(records(good, body, good))
    assert not unreadable
    ((key, found),) = fold_reports(reports, SETTINGS).items()
    assert key == (Kind.CUSTOM, "", "", 0)
    assert (found.count(f"refused:{fault}"), found.count("reports:cost")) == (1, 2)
    package = Known().package("m1")
    assert package is not None
    assert METRICS["custom_refused"].compute(found, package, "").value == 1


@pytest.mark.parametrize("value", [None, b"", b"cost 5", b"\xff", b"[]", b'{"metric":"cost","value":1}', b"[" * 5_000])
def test_what_names_no_deployment_is_no_report(value: bytes | None) -> None:
    assert read_reports(records(value)) == ([], 1)


@given(st.binary(max_size=60) | st.recursive(st.none() | st.floats() | st.text(), st.lists).map(repr).map(str.encode))
def test_reading_never_raises(value: bytes) -> None:
    reports, unreadable = read_reports(records(value))
    assert len(reports) + unreadable == 1


def test_without_a_time_a_report_is_of_when_it_came() -> None:
    body = json.dumps({"deployment": "churn", "metric": "cost", "value": 1, "association_id": "a"}).encode()
    ((found,), _) = read_reports(records(body, kafka_ms=77))
    assert (found.timestamp_ms, found.value, found.fault) == (77, 1.0, "")


REPORTS = st.builds(
    report,
    st.sampled_from(["cost", "mood", "stock", "nobody"]),
    st.floats(-1e6, 1e6),
    st.integers(0, 3 * DAY_MS),
)


@given(st.lists(REPORTS, max_size=15), st.randoms(use_true_random=False), st.integers(1, 5))
@settings(deadline=None)
def test_reports_fold_to_the_same_bytes_in_any_order_and_cut(reports: list[Report], shuffle: Random, size: int) -> None:
    whole = merged([fold_reports(reports, SETTINGS)])
    shuffle.shuffle(reports)
    cuts = [reports[start : start + size] for start in range(0, len(reports), size)]
    assert merged(fold_reports(cut, SETTINGS) for cut in cuts) == whole


@given(st.lists(REPORTS, min_size=1, max_size=20), st.sampled_from([Span.MINUTE, Span.HOUR, Span.DAY]))
@settings(deadline=None)
def test_a_window_of_buckets_has_the_sum_and_the_mean_of_the_numbers(reports: list[Report], bucket: Span) -> None:
    asked = Settings(custom_metrics=DECLARED, bucket=bucket)
    total = Summary()
    for delta in fold_reports(reports, asked).values():
        total.add(delta)
    compute, package = METRICS["custom"].computed_by(asked), Known().package("m1")
    assert package is not None
    for name in ("cost", "mood"):
        numbers = [Fraction(one.value) for one in reports if one.metric == name]
        found = compute(total, package, name)
        if numbers:
            exact = float(sum(numbers) / (len(numbers) if name == "mood" else 1))
            assert found.value == pytest.approx(exact, rel=1e-12, abs=len(numbers) * 128 * 2.0**-32)
        else:
            assert found.reason is Reason.EMPTY
