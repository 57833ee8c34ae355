from __future__ import annotations

import time

import msgspec
import numpy as np
import pytest

from monitors.evaluator import Evaluator, current_values
from monitors.metrics import METRICS
from monitors.metrics.drift import Pair, drift_value
from monitors.metrics.psi import STATISTIC
from monitors.summary import Summary as Counts
from monitors.table import MemoryTable
from monitors.valuation import COUNTED, revision_reason
from schemas.deployment import DAY_MS, HOUR_MS, AlertRule, Span
from schemas.observation import AccuracyState, Entry, Kind, Metric, Status
from schemas.package import Baseline, NumericBins, Package
from tests.unit.monitors.evaluator_scene import (
    DEFINITIONS,
    FEATURES,
    SETTINGS,
    TARGET,
    Known,
    Run,
    delta,
    hours_of_errors,
    phases,
    progress,
    summary,
)

TARGETED = Package("m1", "1", "m1", TARGET, FEATURES, "onnx")


def brief(metrics: list[Metric]) -> list[tuple[float | None, bool, int, str]]:
    return [(metric.value, metric.closed, metric.revision, metric.revision_reason) for metric in metrics]


def test_deltas_alone_say_nothing_and_progress_speaks_once_a_second() -> None:
    run = Run()
    rows = summary(delta(Kind.PREDICTIONS, 0, rows=9, error_data=1))
    assert run.step(rows).metrics == []
    assert brief(run.step(progress(5_000, 10)).metrics) == [(0.1, False, 0, "")]
    errors = summary(delta(Kind.PREDICTIONS, 0, error_data=10))
    assert run.step(errors, progress(5_999, 20)).metrics == []
    assert brief(run.step(progress(6_000, 30)).metrics) == [(0.55, False, 0, "")]


def test_nothing_is_said_twice_unchanged() -> None:
    run = Run()
    run.step(summary(delta(Kind.PREDICTIONS, 0, rows=9, error_data=1)), progress(5_000, 10))
    undone = [summary(delta(Kind.PREDICTIONS, 0, rows=sign)) for sign in (1, -1)]
    assert run.step(*undone, progress(9_000, 20)).metrics == []
    assert run.step(progress(12_000, 30)).metrics == []


def test_only_the_metrics_that_changed_are_said_again() -> None:
    run = Run()
    both = delta(Kind.FEATURES, 0, rows=10, feature_age=[5, 5], feature_plan=[9, 1])
    assert len(run.step(summary(both), progress(0, 10)).metrics) == 2
    said = run.step(summary(delta(Kind.FEATURES, 0, feature_age=[0, 5])), progress(2_000, 20)).metrics
    assert [metric.feature for metric in said] == ["age"]


def test_a_window_closes_when_the_watermark_passes_its_end_and_the_grace() -> None:
    run = Run(Known(settings=msgspec.structs.replace(SETTINGS, grace_ms=60_000)))
    run.step(summary(delta(Kind.PREDICTIONS, 0, rows=10)), progress(0, 10))
    assert run.step(progress(10_000, HOUR_MS + 59_999)).metrics == []
    assert brief(run.step(progress(10_001, HOUR_MS + 60_000)).metrics) == [(0.0, True, 0, "")]
    assert run.step(progress(20_000, 2 * HOUR_MS)).metrics == []


def test_late_rows_give_a_revision_with_its_reason_at_most_once_a_second() -> None:
    run = Run()
    run.step(summary(delta(Kind.PREDICTIONS, 0, rows=10)), progress(0, HOUR_MS))
    late = summary(delta(Kind.PREDICTIONS, 0, error_data=10))
    assert run.step(late, progress(500)).metrics == []
    assert brief(run.step(progress(1_000)).metrics) == [(0.5, True, 1, "late_rows")]
    taken_back = summary(delta(Kind.PREDICTIONS, 0, error_data=-10))
    assert brief(run.step(taken_back, progress(2_000)).metrics) == [(0.0, True, 2, "corrected")]


def test_accuracy_is_partial_while_predictions_wait_and_final_when_none_does() -> None:
    run = Run()
    said = run.step(summary(delta(Kind.ACCURACY, 0, expected=10, matched=4, right=2)), progress(0, HOUR_MS)).metrics
    assert [(m.value, m.coverage, m.state, m.baseline) for m in said] == [(0.5, 0.4, AccuracyState.PARTIAL, 0.9)]
    said = run.step(summary(delta(Kind.ACCURACY, 0, matched=5, right=4)), progress(2_000)).metrics
    assert [(m.coverage, m.state, m.revision_reason) for m in said] == [(0.9, AccuracyState.PARTIAL, "late_actuals")]
    said = run.step(summary(delta(Kind.ACCURACY, 0, expired=1)), progress(4_000)).metrics
    assert [(m.state, m.revision, m.revision_reason) for m in said] == [(AccuracyState.FINAL, 2, "expired")]
    said = run.step(summary(delta(Kind.ACCURACY, 0, right=1)), progress(6_000)).metrics
    assert [(m.state, m.revision, m.revision_reason) for m in said] == [(AccuracyState.FINAL, 3, "corrected")]


def test_an_open_window_is_never_final() -> None:
    run = Run()
    said = run.step(summary(delta(Kind.ACCURACY, 0, expired=1, expected=1)), progress(0, 10)).metrics
    assert [metric.state for metric in said] == [AccuracyState.PARTIAL]


def test_drift_has_a_status_and_other_metrics_none() -> None:
    run = Run()
    drifted = delta(Kind.FEATURES, 0, rows=100, feature_age=[10, 90])
    said = run.step(summary(drifted, delta(Kind.PREDICTIONS, 0, rows=1)), progress(0, 10)).metrics
    statuses = {(metric.metric, metric.feature): metric.status for metric in said}
    assert statuses == {("psi", "age"): Status.FAILING, ("psi", "plan"): Status.UNKNOWN, ("data_error_rate", ""): None}


def test_segments_and_challengers_have_metrics_of_their_own() -> None:
    run = Run()
    entries = [
        delta(Kind.PREDICTIONS, 0, by=by, segment=segment, rows=1) for by in ("m1", "m2") for segment in ("", "plan=a")
    ]
    said = run.step(summary(*entries), progress(0, 10)).metrics
    assert [(metric.model, metric.segment) for metric in said] == [
        ("m1", ""),
        ("m1", "plan=a"),
        ("m2", ""),
        ("m2", "plan=a"),
    ]


def test_what_cannot_be_evaluated_yet_is_said_once_the_deployment_and_package_are_known() -> None:
    run = Run(Known(hidden={"churn", "m1"}))
    run.step(summary(delta(Kind.PREDICTIONS, 0, rows=1)), progress(0, HOUR_MS))
    run.commit(restart=True)
    run.view.hidden = {"m1"}
    assert run.step(progress(1_000)).metrics == []
    run.view.hidden = set()
    assert brief(run.step(progress(2_000)).metrics) == [(0.0, True, 0, "")]


def test_an_aborted_batch_leaves_no_trace() -> None:
    run = Run()
    run.step(summary(delta(Kind.PREDICTIONS, 0, rows=1, error_data=1)), progress(0, 10))
    run.commit()
    batch = summary(delta(Kind.PREDICTIONS, 0, error_data=2)), progress(2_000, 20)
    aborted = run.step(*batch)
    run.evaluator.forget()
    again = run.step(*batch)
    assert again == aborted
    assert brief(again.metrics) == [(0.75, False, 0, "")]


def test_old_buckets_windows_and_alerts_are_deleted_and_take_nothing_back() -> None:
    rule = AlertRule("errors", "data_error_rate", 0.1)
    run = Run(Known(settings=msgspec.structs.replace(SETTINGS, alert_rules=(rule,), horizon_ms=DAY_MS)))
    run.step(summary(delta(Kind.ACCURACY, 0, expected=1)))
    hours_of_errors(run, [20, 0])
    run.commit()
    run.step(progress(90_000, 2 * DAY_MS))
    run.commit()
    assert len(list(run.table.scan(b"b"))) == 2, "the accuracy bucket is past the join's horizon"
    hours_of_errors(run, [0, 0], start_hour=432 * 24)
    run.commit(restart=True)
    hours_of_errors(run, [0, 0], start_hour=432 * 24 + 2)
    run.commit()
    assert phases(run.said) == ["firing", "resolved"]
    assert len(list(run.table.scan(b"b"))) == len(list(run.table.scan(b"w"))) == 4
    before = len(run.said.metrics)
    run.step(summary(delta(Kind.PREDICTIONS, 0, rows=1)), progress(10_000_000))
    assert len(run.said.metrics) == before


@pytest.mark.parametrize("errors", [20, 9])
def test_an_alert_that_fires_longer_than_windows_are_kept_stays_one_alert(errors: int) -> None:
    rule = AlertRule("errors", "data_error_rate", 0.1)
    settings = msgspec.structs.replace(SETTINGS, alert_rules=(rule,), drift_window=Span.DAY, horizon_ms=DAY_MS)
    run = Run(Known(settings=settings))
    for day in (*range(0, 440, 40), 441):
        found = {0: 20, 441: 0}.get(day, errors)
        counts = delta(Kind.PREDICTIONS, day * DAY_MS, rows=100 - found, error_data=found)
        run.step(summary(counts), progress((day + 1) * 10_000, (day + 1) * DAY_MS))
        run.commit(restart=True)
    assert phases(run.said) == ["firing", "resolved"]
    assert len({event.data.id for event in run.said.alerts}) == 1


def test_a_restart_after_every_record_changes_no_word() -> None:
    rule = AlertRule("errors", "data_error_rate", 0.1, windows=2, of=3, clear_windows=2)
    runs = [Run(Known(settings=msgspec.structs.replace(SETTINGS, alert_rules=(rule,)))) for _ in range(2)]
    for hour, errors in enumerate([20, 0, 20, 20, 0, 9, 0, 0, 20]):
        for run in runs:
            hours_of_errors(run, [errors], start_hour=hour)
        runs[1].commit(restart=True)
    assert runs[0].said == runs[1].said
    assert phases(runs[0].said) == ["pending", "firing", "resolved", "pending"]


def test_current_values_are_those_last_emitted() -> None:
    run = Run()
    hours_of_errors(run, [0, 20, 30])
    run.step(summary(delta(Kind.PREDICTIONS, 0, error_data=100)), progress(90_000))
    run.commit()
    deployment = run.view.deployment("churn")
    assert deployment is not None
    values = list(current_values(run.table, deployment, run.view, DEFINITIONS))
    newest = {metric.window_start_ms: metric.value for metric in run.said.metrics}
    assert {metric.window_start_ms: metric.value for metric in values} == newest
    assert [metric.value for metric in values] == [0.5, 0.2, 0.3]


def test_the_registered_metrics_are_evaluated_where_none_are_named() -> None:
    bins = NumericBins((0.0, 1.0, 2.0), (0, 500, 500, 0, 0))
    baseline = Baseline(rows=1_000, features={"age": bins}, prediction=bins)
    view = Known(package_baseline=baseline)
    evaluator = Evaluator(MemoryTable())
    window = [0, 100, 900, 0, 0]
    entries = (
        delta(Kind.FEATURES, 0, rows=1_000, feature_age=window),
        delta(Kind.PREDICTIONS, 0, rows=1_000, prediction=window),
        delta(Kind.ACCURACY, 0, expected=1_000, matched=10),
    )
    evaluator.step(summary(*entries), view)
    said = evaluator.step(progress(0, HOUR_MS), view).metrics
    found = {(metric.metric, metric.feature): metric for metric in said}
    assert {name for name, _ in found} <= {metric.name for metric in METRICS.values() if metric.applies(TARGETED)}
    expected = drift_value(STATISTIC, Pair(np.array(bins.counts), np.array(window)))
    for key in (("psi", "age"), ("prediction_psi", "")):
        assert found[key].value == expected.value
        assert found[key].status is Status.FAILING
    assert all(metric.value is not None or metric.reason is not None for metric in said)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"rows": 1}, "late_rows"),
        ({"error:data": 1}, "late_rows"),
        ({"matched": 1}, "late_actuals"),
        ({"matched": -1, "invalid_actual": 1}, "corrected"),
        ({"matched": -1}, "withdrawn"),
        ({"expired": 1}, "expired"),
        ({"expected": -1}, "corrected"),
    ],
)
def test_a_revision_says_what_its_counts_can_tell(change: dict[str, int], reason: str) -> None:
    before = dict.fromkeys(COUNTED, 5)
    after = before | {name: 5 + more for name, more in change.items()}
    assert revision_reason(tuple(before.values()), tuple(after.values())) == reason


def test_a_summary_of_ten_entries_with_thirty_features_costs_about_a_millisecond() -> None:
    draw = np.random.default_rng(0)
    counts = {"rows": np.array([2_000])} | {f"feature:{i}": draw.integers(0, 300, 13) for i in range(30)}
    body = Counts(counts).encode()
    record = summary(*(Entry(Kind.FEATURES, "m1", f"plan={i}", 0, body) for i in range(10)))
    run = Run()
    costs = []
    for _ in range(50):
        start = time.perf_counter()
        run.step(record)
        costs.append(time.perf_counter() - start)
    assert min(costs) < 2e-3, "twice what it should be, as the machine is shared"
