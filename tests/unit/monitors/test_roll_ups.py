"""The material rule on streams with few rows: it reads days and weeks where hours have no status."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from monitors.evaluator import Evaluator
from monitors.metrics import METRICS
from schemas.deployment import DAY_MS, HOUR_MS, MATERIAL_DRIFT, AlertRule, Compare, Limits, Settings, Span, Thresholds
from schemas.observation import Alert, Kind
from schemas.package import Baseline, NumericBins
from scorers.guardrails import settings_fault
from tests.unit.monitors.evaluator_scene import SETTINGS, Known, Run, delta, phases, progress, summary

BASELINE = Baseline(rows=50_000, features={"age": NumericBins((0.0, 1, 2, 3, 4, 5), (0, *[10_000] * 5, 0, 0))})
AS_TRAINED = (0.2, 0.2, 0.2, 0.2, 0.2)
SHIFTED = (0.08, 0.12, 0.2, 0.26, 0.34)  # PSI 0.24
AGE_RULE = msgspec.structs.replace(MATERIAL_DRIFT, feature="age")
HOURS_ALONE = msgspec.structs.replace(AGE_RULE, roll_up=False)


class Watched(Run):
    """Hourly windows of one feature with five bins."""

    def __init__(
        self, rule: AlertRule = AGE_RULE, span: Span = Span.HOUR, thresholds: Thresholds = SETTINGS.thresholds
    ) -> None:
        of = msgspec.structs.replace(SETTINGS, alert_rules=(rule,), drift_window=span, thresholds=thresholds)
        super().__init__(Known(settings=of, package_baseline=BASELINE))
        self.evaluator = Evaluator(self.table, (METRICS["psi"],))
        self.hour = 0

    def hours(self, count: int, rows: int, shares: tuple[float, ...], *, restart: bool = False) -> list[Alert]:
        """So many hours of so many rows; what is heard of them."""
        heard = []
        for _ in range(count):
            bins = np.diff(np.round(np.cumsum((0, *shares)) * rows)).astype(int).tolist()
            self.step(summary(delta(Kind.FEATURES, self.hour * HOUR_MS, rows=rows, feature_age=[0, *bins, 0, 0])))
            self.hour += 1
            heard += self.step(progress(self.hour * 10_000, self.hour * HOUR_MS)).alerts
            if restart:
                self.evaluator.flush()
                self.evaluator = Evaluator(self.table, (METRICS["psi"],))
        return [event.data for event in heard]


def brief(heard: list[Alert]) -> list[tuple[str, str, float]]:
    return [(one.phase.value, one.rule, one.changed_ms / HOUR_MS) for one in heard]


def test_drift_in_few_rows_fires_after_two_days_though_no_hour_has_a_status() -> None:
    assert not Watched(HOURS_ALONE).hours(96, 60, SHIFTED)
    run = Watched()
    heard = run.hours(96, 60, SHIFTED)
    assert brief(heard) == [("pending", "material-drift/day", 24), ("firing", "material-drift/day", 48)]
    assert [(each.n, each.window_end_ms - each.window_start_ms) for each in heard[1].windows] == [(1_440, DAY_MS)] * 2
    assert brief(run.hours(24 * 7, 60, AS_TRAINED)) == [("resolved", "material-drift/day", 96 + 24 * 6)]


@pytest.mark.parametrize("rows", [60, 2_000])
def test_the_material_rule_goes_by_the_thresholds_of_the_feature(rows: int) -> None:
    lax = Thresholds(features={"age": {"psi": Limits(0.4, 0.8)}})
    assert not Watched(thresholds=lax).hours(96, rows, SHIFTED)


def test_a_threshold_below_the_usual_one_rings_where_the_usual_one_would_not() -> None:
    slightly = (0.14, 0.17, 0.2, 0.23, 0.26)  # PSI 0.046
    assert not Watched().hours(5, 20_000, slightly)
    run = Watched(thresholds=Thresholds(statistics={"psi": Limits(0.03, 0.2)}))
    heard = run.hours(5, 20_000, slightly)
    assert [(one.phase.value, one.limit) for one in heard] == [("pending", 0.03), ("firing", 0.03)]
    assert "surely at risk, above 0.03, in 2 of the last 3 window(s)" in heard[1].text
    assert "below 0.024 in 6 window(s) in a row" in run.hours(6, 20_000, AS_TRAINED)[0].text


def test_very_few_rows_are_judged_by_the_week() -> None:
    run = Watched()
    assert brief([one for _ in range(22) for one in (*run.hours(1, 100, SHIFTED), *run.hours(23, 0, SHIFTED))]) == [
        ("pending", "material-drift/week", 24 * 4),  # weeks begin on Monday, and 1970 on a Thursday
        ("firing", "material-drift/week", 24 * 11),
    ]


def test_where_hours_have_rows_enough_days_do_not_speak() -> None:
    for rule in (AGE_RULE, HOURS_ALONE):
        run = Watched(rule)
        assert brief(run.hours(72, 2_000, SHIFTED)) == [
            ("pending", "material-drift", 1),
            ("firing", "material-drift", 2),
        ]
        assert brief(run.hours(48, 2_000, AS_TRAINED)) == [("resolved", "material-drift", 78)]


def test_what_fired_by_days_ends_when_rows_have_become_many_and_all_is_well() -> None:
    run = Watched()
    run.hours(96, 60, SHIFTED)
    assert not run.hours(72, 2_000, SHIFTED), "it goes on: the hours say the same, and it is one alert"
    heard = run.hours(24 * 8, 2_000, AS_TRAINED)
    assert [one.phase.value for one in heard] == ["resolved"]


@pytest.mark.parametrize("rows", [5, 60, 200, 2_000])
def test_without_drift_nothing_is_heard(rows: int) -> None:
    rng = np.random.default_rng(rows)
    run = Watched()
    for _ in range(24 * 30):
        counts = rng.multinomial(rows, AS_TRAINED).tolist()
        run.step(summary(delta(Kind.FEATURES, run.hour * HOUR_MS, rows=rows, feature_age=[0, *counts, 0, 0])))
        run.hour += 1
        run.step(progress(run.hour * 10_000, run.hour * HOUR_MS))
    assert not run.said.alerts


def test_longer_windows_are_read_by_rules_and_told_to_nobody() -> None:
    run = Watched()
    run.hours(72, 60, SHIFTED)
    assert {one.window_end_ms - one.window_start_ms for one in run.said.metrics} == {HOUR_MS}
    assert phases(run.said) == ["pending", "firing"]


def test_late_rows_that_give_the_hours_a_status_take_the_day_back_and_leave_it_to_them() -> None:
    run = Watched()
    run.hours(60, 60, SHIFTED)
    late = [delta(Kind.FEATURES, hour * HOUR_MS, rows=5_000, feature_age=[0, *[1_000] * 5, 0, 0]) for hour in range(48)]
    run.step(summary(*late))
    said = [event.data for tick in range(20) for event in run.step(progress(2_000_000 + tick * 1_000)).alerts]
    assert [(one.phase.value, one.rule) for one in said][-1] == ("retracted", "material-drift/day")


def test_a_restart_after_every_hour_changes_no_word() -> None:
    went_on, restarted = Watched(), Watched()
    for run, restart in ((went_on, False), (restarted, True)):
        run.hours(60, 60, SHIFTED, restart=restart)
        run.hours(30, 2_000, SHIFTED, restart=restart)
        run.hours(24 * 7, 60, AS_TRAINED, restart=restart)
    assert restarted.said == went_on.said
    assert phases(went_on.said)[-1] == "resolved"


def test_windows_of_a_day_are_rolled_up_to_weeks_and_those_of_a_week_to_nothing() -> None:
    for span, rule in ((Span.DAY, "material-drift/week"), (Span.WEEK, "material-drift")):
        run = Watched(span=span)
        heard = [one for _ in range(22) for one in (*run.hours(1, 100, SHIFTED), *run.hours(23, 0, SHIFTED))]
        assert brief(heard)[-1] == ("firing", rule, 24 * 11)


def test_roll_up_is_refused_where_it_means_nothing() -> None:
    errors = AlertRule("errors", "data_error_rate", 0.1, roll_up=True)
    assert "for drift statistics" in settings_fault(Settings(alert_rules=(errors,)), ())
    earlier = msgspec.structs.replace(MATERIAL_DRIFT, compare=Compare.WEEK_AGO)
    assert "does not go with week_ago" in settings_fault(Settings(alert_rules=(earlier,)), ())
    by_status = msgspec.structs.replace(MATERIAL_DRIFT, compare=Compare.STATUS, metric="prediction_psi", feature="")
    assert not settings_fault(Settings(alert_rules=(by_status,)), ())
