from __future__ import annotations

from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitors.alert_events import CHANGES, AlertKey, Announcer, Told
from monitors.alerts import Fold, Path, Point, Verdict, judge
from schemas.deployment import HOUR_MS, MATERIAL_DRIFT, AlertRule, Compare, Severity
from schemas.observation import AlertPhase, Kind, Status
from tests.unit.monitors.evaluator_scene import (
    SETTINGS,
    Known,
    Run,
    delta,
    hours_of_errors,
    phases,
    progress,
    summary,
)

ERRORS = AlertRule("errors", "data_error_rate", 0.1)
SLOW = msgspec.structs.replace(ERRORS, windows=2, of=3, clear_windows=2)


def run_of(*rules: AlertRule) -> Run:
    return Run(Known(settings=msgspec.structs.replace(SETTINGS, alert_rules=rules)))


def paths(rule: AlertRule, *values: float | None) -> list[str]:
    fold = Fold(rule)
    for hour, value in enumerate(values):
        fold.push(Point(hour, hour + 1, value, n=100))
    return [f"{step.path.value}@{step.at.start_ms}" for episode in fold.episodes for step in episode.steps]


def test_two_bad_windows_of_three_fire_and_one_alone_lapses() -> None:
    assert paths(SLOW, 0.2, 0.0, 0.2) == ["pending@0", "firing@2"]
    assert paths(SLOW, 0.2, 0.0, 0.0, 0.0, 0.2) == ["pending@0", "lapsed@3", "pending@4"]


def test_a_value_between_clear_and_limit_neither_fires_nor_recovers() -> None:
    assert paths(ERRORS, 0.2, 0.09, 0.09) == ["firing@0"]
    assert paths(ERRORS, 0.2, 0.07) == ["firing@0", "recovered@1"]
    assert paths(ERRORS, 0.09, 0.09) == []


def test_recovery_needs_its_clear_windows_in_a_row() -> None:
    assert paths(SLOW, 0.2, 0.2, 0.0, 0.09, 0.0, 0.0) == ["pending@0", "firing@1", "recovered@5"]


def test_windows_without_a_value_or_with_few_rows_neither_count_nor_interrupt() -> None:
    assert paths(SLOW, 0.2, None, None, None, 0.2) == ["pending@0", "firing@4"]
    rule = msgspec.structs.replace(ERRORS, min_rows=101)
    assert paths(rule, 0.9) == []


@pytest.mark.parametrize(
    ("rule", "point", "verdict"),
    [
        (AlertRule("r", "psi", 0.1), Point(0, 1, 0.3, 100, low=0.1), Verdict.BAD),
        (AlertRule("r", "psi", 0.1), Point(0, 1, 0.3, 100, low=0.09), Verdict.BETWEEN),
        (AlertRule("r", "psi", 0.1), Point(0, 1, 0.07, 100, low=0.0), Verdict.CLEAR),
        (MATERIAL_DRIFT, Point(0, 1, 0.3, 100, low=0.25, status=Status.PASSING, at_risk=0.4), Verdict.CLEAR),
        (MATERIAL_DRIFT, Point(0, 1, 0.3, 100, low=0.2, status=Status.AT_RISK, at_risk=0.2), Verdict.BAD),
        (MATERIAL_DRIFT, Point(0, 1, 0.3, 100, low=0.19, status=Status.FAILING, at_risk=0.2), Verdict.BETWEEN),
        (MATERIAL_DRIFT, Point(0, 1, 0.3, 20, low=0.2, status=Status.UNKNOWN, at_risk=0.2), Verdict.BETWEEN),
        (MATERIAL_DRIFT, Point(0, 1, 0.15, 20, low=0.0, status=Status.UNKNOWN, at_risk=0.2), Verdict.CLEAR),
        (MATERIAL_DRIFT, Point(0, 1, 0.17, 100, low=0.1, status=Status.PASSING, at_risk=0.2), Verdict.BETWEEN),
        (AlertRule("r", "accuracy", 0.9, above=False), Point(0, 1, 0.85, 1), Verdict.BAD),
        (AlertRule("r", "accuracy", 0.9, above=False, clear=0.95), Point(0, 1, 0.92, 1), Verdict.BETWEEN),
        (AlertRule("r", "accuracy", 0.9, above=False), Point(0, 1, 0.92, 1), Verdict.CLEAR),
        (
            AlertRule("r", "loss", 0.1, compare=Compare.BASELINE),
            Point(0, 1, 0.55, 1, reference=0.4),
            Verdict.BAD,
        ),
        (
            AlertRule("r", "accuracy", -0.1, above=False, compare=Compare.BASELINE),
            Point(0, 1, 0.81, 1, reference=0.9),
            Verdict.BETWEEN,
        ),
        (AlertRule("r", "loss", 0.1, compare=Compare.BASELINE), Point(0, 1, 0.55, 1), None),
    ],
)
def test_a_window_is_judged_by_limit_direction_and_baseline(
    rule: AlertRule, point: Point, verdict: Verdict | None
) -> None:
    assert judge(rule, point) is verdict


@given(st.lists(st.sampled_from([0.2, 0.09, 0.05, None]), max_size=40), st.integers(1, 3), st.integers(1, 3))
def test_no_episode_fires_twice_and_only_the_last_is_open(values: list[float | None], of: int, clear: int) -> None:
    fold = Fold(msgspec.structs.replace(ERRORS, windows=min(2, of), of=of, clear_windows=clear))
    for hour, value in enumerate(values):
        fold.push(Point(hour, hour + 1, value, n=100))
    for episode in fold.episodes[:-1]:
        assert episode.path in {Path.LAPSED, Path.RECOVERED}
    for before, after in zip(fold.episodes, fold.episodes[1:], strict=False):
        assert before.last_ms < after.first_ms
    for episode in fold.episodes:
        taken = [step.path for step in episode.steps]
        assert len(set(taken)) == len(taken)


@given(st.integers(0, 2**32), st.lists(st.integers(0, 299), min_size=1, max_size=3))
def test_a_fold_that_was_rewound_and_pushed_again_is_the_same(seed: int, rewinds: list[int]) -> None:
    draw = Random(seed)
    points = [Point(hour, hour + 1, draw.choice([0.2, 0.09, 0.05, 0.05]), n=100) for hour in range(300)]
    fresh, fold = Fold(SLOW), Fold(SLOW)
    for point in points:
        fold.push(point)
    for hour in rewinds:
        points[hour] = Point(hour, hour + 1, draw.choice([0.2, 0.05]), n=100)
        resume = fold.rewind(hour)
        assert resume is not None
        for point in points[resume:]:
            fold.push(point)
    for point in points:
        fresh.push(point)
    assert fold.episodes == fresh.episodes
    assert fold.newest == fresh.newest


def test_every_change_of_an_episode_has_its_announcement() -> None:
    assert CHANGES.keys() == {(old, new) for old in Path for new in Path if old is not new}


def test_a_metric_that_swings_about_its_limit_gives_one_alert_and_one_recovery() -> None:
    run = run_of(ERRORS)
    hours_of_errors(run, [0, 12, 9, 12, 9, 11, 9, 12, 9, 0, 0, 9])
    assert phases(run.said) == ["firing", "resolved"]
    fired, over = (event.data for event in run.said.alerts)
    assert (fired.id, fired.sequence, over.sequence) == (over.id, 1, 2)
    assert fired.windows[0].value == 0.12
    assert fired.since_ms == HOUR_MS


def test_an_alert_is_an_event_that_a_person_on_call_understands() -> None:
    run = run_of(msgspec.structs.replace(SLOW, severity=Severity.CRITICAL))
    hours_of_errors(run, [20, 30])
    event = run.said.alerts[-1]
    assert event.type == "watchkeeper.alert.firing"
    assert event.source == "/deployments/churn"
    assert event.time == "1970-01-01T02:00:00.000Z"
    assert event.id == f"{event.data.id}-2"
    assert event.data.severity is Severity.CRITICAL
    assert [window.value for window in event.data.windows] == [0.2, 0.3]
    assert event.data.text == (
        "churn: data_error_rate (errors): above 0.1 in 2 of the last 3 window(s), fires at 2; "
        "0.3 in the window from 1970-01-01T01:00:00.000Z (100 rows)."
    )


def test_a_correction_that_takes_the_crossing_away_retracts_the_alert() -> None:
    run = run_of(ERRORS)
    hours_of_errors(run, [0, 20, 0])
    assert phases(run.said) == ["firing", "resolved"]
    late = run.step(summary(delta(Kind.PREDICTIONS, HOUR_MS, rows=900)), progress(90_000))
    assert phases(late) == ["retracted"]
    assert late.alerts[0].data.sequence == 3
    assert late.alerts[0].data.id == run.said.alerts[0].data.id


def test_a_retraction_has_the_time_of_the_newest_windows_end_and_never_one_before_the_firing() -> None:
    run = run_of(ERRORS)
    hours_of_errors(run, [0, 20])
    (fired,) = (event.data for event in run.said.alerts)
    late = run.step(summary(delta(Kind.PREDICTIONS, HOUR_MS, rows=900)), progress(90_000))
    assert phases(late) == ["retracted"]
    assert fired.changed_ms == late.alerts[0].data.changed_ms == 2 * HOUR_MS


def test_what_is_withdrawn_before_any_event_time_is_known_is_not_dated_before_its_firing() -> None:
    told = Told(0, HOUR_MS, Path.FIRING, sequence=1, changed_ms=2 * HOUR_MS)
    (event,) = Announcer("churn", AlertKey("errors", "", ""), [ERRORS]).withdraw([told], 0)
    assert (event.data.phase, event.data.changed_ms) == (AlertPhase.RESOLVED, 2 * HOUR_MS)


def test_after_a_retraction_nothing_is_heard_until_it_fires_again() -> None:
    run = run_of(SLOW)
    hours_of_errors(run, [20, 20])
    run.step(summary(delta(Kind.PREDICTIONS, HOUR_MS, rows=900)), progress(90_000))
    assert phases(run.said) == ["pending", "firing", "retracted"]
    hours_of_errors(run, [0, 0, 0, 0], start_hour=10)
    assert phases(run.said) == ["pending", "firing", "retracted"]
    again = run.step(summary(delta(Kind.PREDICTIONS, HOUR_MS, error_data=900)), progress(190_000))
    assert phases(again) == ["firing", "resolved"]
    assert [event.data.sequence for event in again.alerts] == [4, 5]


def test_a_crossing_that_late_rows_reveal_fires_late_with_its_windows_time() -> None:
    run = run_of(ERRORS)
    hours_of_errors(run, [0, 0, 9])
    late = run.step(summary(delta(Kind.PREDICTIONS, HOUR_MS, error_data=50)), progress(90_000))
    assert phases(late) == ["firing"]
    assert late.alerts[0].data.late
    assert late.alerts[0].time == "1970-01-01T02:00:00.000Z"
    assert late.alerts[0].data.windows[0].revision == 1


def test_an_alert_keeps_its_identity_when_a_correction_moves_its_first_window() -> None:
    run = run_of(ERRORS)
    hours_of_errors(run, [0, 9, 20])
    moved = run.step(summary(delta(Kind.PREDICTIONS, HOUR_MS, error_data=50)), progress(90_000))
    assert moved.alerts == []
    hours_of_errors(run, [0], start_hour=9)
    assert {event.data.id for event in run.said.alerts} == {run.said.alerts[0].data.id}
    assert phases(run.said) == ["firing", "resolved"]


def test_each_watched_feature_has_its_own_alert_and_excluded_ones_none() -> None:
    rule = msgspec.structs.replace(MATERIAL_DRIFT, windows=1, of=1)
    run = run_of(rule)
    run.view.settings = msgspec.structs.replace(run.view.settings, excluded=("plan",))
    drifted = delta(Kind.FEATURES, 0, rows=100, feature_age=[10, 90], feature_plan=[10, 90])
    said = run.step(summary(drifted), progress(0, HOUR_MS))
    assert [event.data.feature for event in said.alerts] == ["age"]
    assert {metric.feature for metric in said.metrics} == {"age"}


def test_a_new_rule_does_not_ring_for_the_past_and_a_changed_one_ends_what_was_open() -> None:
    run = run_of(ERRORS)
    hours_of_errors(run, [20, 20])
    run.view.change(msgspec.structs.replace(ERRORS, limit=0.15))
    changed = run.step(progress(80_000))
    assert phases(changed) == ["resolved"]
    assert "the rule was changed" in changed.alerts[0].data.text
    hours_of_errors(run, [20], start_hour=9)
    assert phases(run.said) == ["firing", "resolved", "firing"]
    assert run.said.alerts[-1].data.since_ms == 9 * HOUR_MS


def test_a_change_of_severity_alone_leaves_the_alert_open() -> None:
    run = run_of(ERRORS)
    hours_of_errors(run, [20])
    run.view.change(msgspec.structs.replace(ERRORS, severity=Severity.CRITICAL))
    hours_of_errors(run, [0], start_hour=1)
    assert phases(run.said) == ["firing", "resolved"]
    assert run.said.alerts[-1].data.severity is Severity.CRITICAL


def test_a_window_is_read_of_the_champion_that_served_most_of_it() -> None:
    run = run_of(ERRORS)
    run.step(progress(0, 0))
    run.step(summary(delta(Kind.PREDICTIONS, 0, by="m1", rows=70, error_data=30)), progress(1000, 1000))
    run.view.champion, run.view.revision = "m2", 2
    run.step(progress(1500))
    run.commit(restart=True)
    counts = delta(Kind.PREDICTIONS, 0, by="m2", rows=20), delta(Kind.PREDICTIONS, 0, by="challenger", rows=500)
    said = run.step(summary(*counts), progress(2000, HOUR_MS))
    assert [(event.data.phase, event.data.model) for event in said.alerts] == [(AlertPhase.FIRING, "m1")]
    rest = delta(Kind.PREDICTIONS, HOUR_MS, by="m2", rows=100)
    said = run.step(summary(rest), progress(3000, 2 * HOUR_MS))
    assert [(event.data.phase, event.data.model) for event in said.alerts] == [(AlertPhase.RESOLVED, "m2")]


def test_a_challenger_that_becomes_champion_does_not_rewrite_the_past() -> None:
    run = Run(Known(settings=msgspec.structs.replace(SETTINGS, alert_rules=(ERRORS,))))
    for hour, count in enumerate([0, 20, 0]):
        both = [
            delta(Kind.PREDICTIONS, hour * HOUR_MS, by=by, rows=100 - errors, error_data=errors)
            for by, errors in (("m1", count), ("m2", 30))
        ]
        run.step(summary(*both), progress((hour + 1) * 10_000, (hour + 1) * HOUR_MS))
    before = phases(run.said)
    run.view.champion, run.view.revision = "m2", 2
    run.step(progress(50_000, 3 * HOUR_MS + 1))
    hours_of_errors(run, [0], start_hour=3)
    run.step(summary(delta(Kind.PREDICTIONS, 0, by="m1", rows=1)), progress(60_000, 4 * HOUR_MS + 1))
    assert phases(run.said) == before, "what m2 did as a challenger is no alert of the champion"
    assert before == ["firing", "resolved"]
