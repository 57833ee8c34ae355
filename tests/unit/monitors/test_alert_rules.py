from __future__ import annotations

import msgspec
import pytest

from monitors.alert_events import Told
from monitors.alert_state import load
from monitors.alerts import Path
from monitors.evaluator import Evaluator
from monitors.table import MemoryTable, key_of, opened, sealed
from schemas.deployment import HOUR_MS, MATERIAL_DRIFT, Acknowledgement, AlertRule, Compare, Severity, Span
from schemas.observation import AlertPhase, Kind, Status
from tests.unit.monitors.evaluator_scene import (
    DEFINITIONS,
    SETTINGS,
    Known,
    Run,
    delta,
    hours_of_ages,
    hours_of_errors,
    phases,
    progress,
    summary,
)

ERRORS = AlertRule("errors", "data_error_rate", 0.1)
NOBODY = "0" * 32


def run_of(*rules: AlertRule) -> Run:
    return Run(Known(settings=msgspec.structs.replace(SETTINGS, alert_rules=rules)))


def acknowledged(run: Run, *alerts: str) -> None:
    """A revision that brings acknowledgements, as the governor makes it."""
    run.view.revision += 1
    given = [Acknowledgement(alert, "ana", 1_000, run.view.revision, "rolling back") for alert in alerts]
    run.view.acknowledged = (*run.view.acknowledged, *given)


@pytest.mark.parametrize(
    ("rule", "errors", "fires_at"),
    [
        (AlertRule("r", "data_error_rate", 0.1, compare=Compare.PREVIOUS), [1, 5, 10, 25], 3),
        (AlertRule("r", "data_error_rate", 2.5, compare=Compare.PREVIOUS, ratio=True), [0, 1, 2, 6], 3),
        (AlertRule("r", "data_error_rate", 0.1, compare=Compare.DAY_AGO), [20] * 24 + [25, 31], 25),
        (AlertRule("r", "data_error_rate", 0.1, compare=Compare.WEEK_AGO), [20] * 168 + [31], 168),
    ],
)
def test_a_rule_compares_with_an_earlier_window_by_difference_or_ratio(
    rule: AlertRule, errors: list[int], fires_at: int
) -> None:
    run = run_of(rule)
    hours_of_errors(run, errors)
    assert [event.data.windows[0].window_start_ms // HOUR_MS for event in run.said.alerts] == [fires_at]
    evidence = run.said.alerts[0].data.windows[0]
    assert evidence.reference is not None
    assert f"{evidence.reference:.4g} there" in run.said.alerts[0].data.text


def test_a_correction_of_the_earlier_window_takes_back_what_was_compared_with_it() -> None:
    run = run_of(AlertRule("r", "data_error_rate", 0.1, compare=Compare.PREVIOUS))
    hours_of_errors(run, [5, 25])
    assert phases(run.said) == ["firing"]
    late = run.step(summary(delta(Kind.PREDICTIONS, 0, error_data=20)), progress(90_000))
    assert phases(late) == ["retracted"]


def test_a_rule_on_each_segment_has_an_alert_for_each_and_none_for_all_rows() -> None:
    run = run_of(msgspec.structs.replace(ERRORS, segment="*"))
    entries = [
        delta(Kind.PREDICTIONS, 0, segment=segment, rows=100 - errors, error_data=errors)
        for segment, errors in (("", 30), ("plan=free", 30), ("plan=paid", 30), ("plan=trial", 0))
    ]
    said = run.step(summary(*entries), progress(0, HOUR_MS))
    assert [event.data.segment for event in said.alerts] == ["plan=free", "plan=paid"]
    assert len({event.data.id for event in said.alerts}) == 2
    assert said.alerts[0].subject == "errors/plan=free"


def test_firing_again_within_the_cooldown_opens_the_same_alert_again() -> None:
    run = run_of(msgspec.structs.replace(ERRORS, cooldown=2))
    hours_of_errors(run, [20, 0, 0, 20, 0, 0, 0, 0, 20])
    assert phases(run.said) == ["firing", "resolved", "firing", "resolved", "firing"]
    ids = [event.data.id for event in run.said.alerts]
    assert ids[0] == ids[2]
    assert ids[0] != ids[4]
    assert [event.data.sequence for event in run.said.alerts] == [1, 2, 3, 4, 1]


def test_an_alert_that_becomes_graver_fires_again_and_never_becomes_less_grave() -> None:
    rule = msgspec.structs.replace(MATERIAL_DRIFT, limit=0.1, windows=1, of=1, clear_windows=1)
    run = run_of(rule)
    hours_of_ages(run, [20, 40, 20, 40, 0])
    assert phases(run.said) == ["firing", "firing", "resolved"]
    assert [event.data.severity for event in run.said.alerts] == [
        Severity.WARNING,
        Severity.CRITICAL,
        Severity.CRITICAL,
    ]


def test_a_rule_by_status_fires_where_the_metric_is_surely_at_risk() -> None:
    run = run_of(AlertRule("r", "psi", 0.0, feature="age", compare=Compare.STATUS))
    hours_of_ages(run, [1, 12, 40])
    found = {metric.window_start_ms // HOUR_MS: metric.status for metric in run.said.metrics if metric.feature == "age"}
    assert found == {0: Status.PASSING, 1: Status.AT_RISK, 2: Status.FAILING}
    assert [event.data.windows[0].window_start_ms // HOUR_MS for event in run.said.alerts] == [2]
    assert "surely at risk" in run.said.alerts[0].data.text


def test_an_open_alert_that_is_acknowledged_says_by_whom_and_goes_on() -> None:
    run = run_of(ERRORS)
    hours_of_errors(run, [20])
    acknowledged(run, run.said.alerts[0].data.id, NOBODY)
    noted = run.step(progress(50_000))
    assert phases(noted) == ["acknowledged"]
    assert "acknowledged by ana at 1970-01-01T00:00:01.000Z: rolling back." in noted.alerts[0].data.text
    assert run.step(progress(60_000)).alerts == []
    hours_of_errors(run, [20, 0], start_hour=6)
    assert phases(run.said) == ["firing", "acknowledged", "resolved"]
    assert [event.data.sequence for event in run.said.alerts] == [1, 2, 3]


def test_an_alert_that_is_over_cannot_be_acknowledged_and_one_acknowledged_may_be_retracted() -> None:
    run = run_of(ERRORS)
    hours_of_errors(run, [20, 0])
    acknowledged(run, run.said.alerts[0].data.id)
    assert run.step(progress(50_000)).alerts == []
    other = run_of(ERRORS)
    hours_of_errors(other, [20])
    acknowledged(other, other.said.alerts[0].data.id)
    other.step(progress(50_000))
    other.commit(restart=True)
    late = other.step(summary(delta(Kind.PREDICTIONS, 0, rows=900)), progress(90_000))
    assert [event.data.phase for event in late.alerts] == [AlertPhase.RETRACTED]


def test_an_acknowledgement_is_taken_once_even_if_the_alert_fires_again() -> None:
    run = run_of(msgspec.structs.replace(ERRORS, cooldown=5))
    hours_of_errors(run, [20])
    acknowledged(run, run.said.alerts[0].data.id)
    run.step(progress(50_000))
    hours_of_errors(run, [0, 20], start_hour=6)
    run.view.revision += 1
    run.step(progress(190_000))
    assert phases(run.said) == ["firing", "acknowledged", "resolved", "firing"]


def test_an_acknowledgement_changes_no_window_and_no_metric() -> None:
    plain, noted = run_of(ERRORS), run_of(ERRORS)
    for run in (plain, noted):
        hours_of_errors(run, [20])
        if run is noted:
            acknowledged(run, run.said.alerts[0].data.id)
        hours_of_errors(run, [20, 0, 9, 20], start_hour=1)
        run.commit()
    assert plain.said.metrics == noted.said.metrics
    for kind in (b"b", b"w"):
        assert dict(plain.table.scan(kind)) == dict(noted.table.scan(kind))


def test_a_feature_that_is_watched_again_does_not_ring_for_the_time_before() -> None:
    rule = msgspec.structs.replace(MATERIAL_DRIFT, windows=1, of=1)
    run = run_of(rule)
    hours_of_ages(run, [90])
    run.view.change(excluded=("age",))
    assert phases(run.step(progress(50_000))) == ["resolved"]
    run.view.change(excluded=())
    run.step(progress(60_000))
    late = delta(Kind.FEATURES, 0, rows=1, feature_age=[0, 1])
    assert phases(run.step(summary(late), progress(70_000))) == []
    hours_of_ages(run, [90], start_hour=7)
    assert phases(run.said) == ["firing", "resolved", "firing"]


def test_alerts_kept_in_the_format_before_go_on_with_the_same_identity() -> None:
    run = run_of(ERRORS)
    hours_of_errors(run, [20])
    run.commit()
    fired = run.said.alerts[0].data
    old = MemoryTable()
    for key, value in run.table.rows.items():
        if key[:1] not in {b"g", b"f", b"t", b"e", b"c"}:
            old.rows[key] = bytes([1]) + opened(value)
    told = [[fired.since_ms, fired.since_ms, Path.FIRING.value, 1, "m1", False]]
    plain = [ERRORS, Span.HOUR, -(1 << 62), fired.since_ms, told]
    old.set(key_of(b"a", "churn", "errors", ""), bytes([1]) + msgspec.msgpack.encode(plain))
    moved = load(old, "churn")
    assert [each.path for each in moved.told[("errors", "", "")]] == [Path.FIRING]  # type: ignore[index]  # loaded, so it is there
    run.table, run.evaluator = old, Evaluator(old, DEFINITIONS)
    hours_of_errors(run, [20, 0], start_hour=1)
    run.commit()
    assert phases(run.said) == ["firing", "resolved"]
    assert {event.data.id for event in run.said.alerts} == {fired.id}
    assert not list(old.scan(b"a"))


def test_what_an_older_program_told_reads_with_what_is_new_left_out() -> None:
    old = msgspec.msgpack.encode([1, 2, "firing", 1, "m1", False])
    assert msgspec.msgpack.decode(opened(sealed(old)), type=Told).acknowledged is False
