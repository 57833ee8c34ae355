from __future__ import annotations

import pytest
from msgspec.structs import replace

from schemas.deployment import CHANGE_DETECTED, AlertRule, Deployment, Limits, Model, Settings, Severity, Thresholds
from schemas.observation import AccuracyState, Alert, AlertPhase, Metric, Reason, Status
from schemas.package import Baseline, Feature, Noise, NullLaw, NumericBins, Package, Target, TargetType
from streams.cli._health import Standing, standing_of, unwatched

FEATURES = (Feature("age"), Feature("plan"))
ERRORS = AlertRule("errors", "data_error_rate", 0.1, min_rows=50)
LOSS = AlertRule("loss", "log_loss", 0.7, min_rows=50)


def deployment(*rules: AlertRule) -> Deployment:
    target = Target("left", TargetType.BINARY, ("no", "yes"))
    return Deployment("churn", 1, target, FEATURES, Model("m", "m", "1"), settings=Settings(alert_rules=rules))


def metric(name: str, *, feature: str = "", n: int = 100, value: float | None = 0.01, **more: object) -> Metric:
    fields: dict[str, object] = {"closed": True, "value": value, "feature": feature, **more}
    return Metric("churn", "m", name, 0, 1, n, **fields)  # type: ignore[arg-type]  # fields by name, of different types


def standing(metrics: list[Metric], *rules: AlertRule, alerts: tuple[Alert, ...] = ()) -> Standing:
    return standing_of(deployment(*rules), FEATURES, metrics, alerts)


def ringing(rule: AlertRule, severity: Severity) -> Alert:
    return Alert(
        "1",
        "churn",
        rule.name,
        rule.metric,
        "",
        "",
        "m",
        severity,
        AlertPhase.FIRING,
        1,
        0,
        0,
        rule.limit,
        text="too many",
    )


def test_health_is_unknown_until_a_rule_has_judged_a_closed_window() -> None:
    still_open = standing([metric("data_error_rate", closed=False)], ERRORS)
    assert (still_open.health, still_open.reasons["health"]) == (Status.UNKNOWN, "no window is closed yet")
    few = standing([metric("data_error_rate", n=49)], ERRORS)
    assert few.health is Status.UNKNOWN
    assert "enough rows" in few.reasons["health"]
    without = standing([metric("data_error_rate")])
    assert (without.health, without.reasons["health"]) == (Status.UNKNOWN, "no alert rule looks at it")
    assert standing([metric("data_error_rate")], ERRORS).health is Status.PASSING


def test_all_requests_of_a_window_with_a_replacement_are_counted_though_neither_champion_scored_them_all() -> None:
    served = [
        Metric("churn", model, "requests", 0, 1, rows, value=rows) for model, rows in (("old", 2_384), ("m", 266))
    ]
    asked = Metric("churn", "", "unanswered", 0, 1, 2_650, value=0.0)
    later = Metric("churn", "m", "requests", 1, 2, 50, value=50.0)
    assert standing([*served, asked, later]).requests == 2_700
    under_way = Metric("churn", "", "unanswered", 1, 2, 60, value=10.0)
    of_segment = Metric("churn", "m", "requests", 1, 2, 90, segment="plan=gold", value=90.0)
    assert standing([*served, asked, later, under_way, of_segment]).requests == 2_710


def test_an_open_alert_is_the_status_of_its_stage_and_says_why() -> None:
    metrics = [metric("data_error_rate"), metric("log_loss", state=AccuracyState.PARTIAL)]
    found = standing(metrics, ERRORS, LOSS, alerts=(ringing(LOSS, Severity.CRITICAL),))
    assert (found.health, found.accuracy, found.alerts) == (Status.PASSING, Status.FAILING, Status.FAILING)
    assert found.reasons == {
        "accuracy": "log_loss (loss) is firing",
        "drift": "no window has rows yet",
        "quality": "no window has rows yet",
    }


def test_drift_is_that_of_the_newest_closed_window_and_is_weighed() -> None:
    old = metric("psi", feature="age", value=0.5, status=Status.FAILING)
    newer = [
        Metric("churn", "m", "psi", 1, 2, 100, name, value=value, status=status, closed=True)
        for name, value, status in (("age", 0.01, Status.PASSING), ("plan", 0.125, Status.AT_RISK))
    ]
    found = standing([old, *newer])
    assert (found.drift, found.reasons["drift"]) == (Status.AT_RISK, "plan")
    assert found.weighted_drift == (0.01 / 0.25 + 0.5) / 2


def test_weighted_drift_is_measured_by_the_thresholds_of_each_feature() -> None:
    found = [metric("psi", feature=name, value=0.2, status=Status.PASSING) for name in ("age", "plan")]
    thresholds = Thresholds(
        statistics={"psi": Limits(0.2, 0.4)}, features={"plan": {"psi": Limits(0.4, 0.8)}}, calibrated=True
    )
    of = replace(deployment(), settings=Settings(alert_rules=(), thresholds=thresholds))
    assert standing_of(of, FEATURES, found, ()).weighted_drift == (0.5 + 0.25) / 2
    bins = NumericBins((0.0,), (5_000, 5_000, 0))
    loud = Noise((100,), {"psi": NullLaw((0.0,), (1.0,), (1.0,), (10.0,), (100.0,))})  # of 100 rows: 1.01 in 0.1 %
    package = Package("m", "1", "m", of.target, FEATURES, "linear", Baseline(10, {"age": bins}, noise={"age": loud}))
    calibrated = standing_of(of, FEATURES, found, (), package=package).weighted_drift
    assert calibrated == pytest.approx((0.2 / 1.01 + 0.25) / 2)


def test_what_owners_report_is_told_with_health_and_not_with_data_quality() -> None:
    found = standing([metric("custom", feature="revenue", status=Status.FAILING)])
    assert (found.health, found.reasons["health"]) == (Status.FAILING, "custom of revenue")
    assert (found.quality, found.reasons["quality"]) == (Status.UNKNOWN, "no window has rows yet")


def test_quality_is_judged_by_thresholds_of_its_metrics_and_says_which() -> None:
    bad = metric("missing_rate", feature="age", value=0.4, status=Status.FAILING)
    found = standing([bad, metric("missing_rate", feature="plan", status=Status.AT_RISK)])
    assert (found.quality, found.reasons["quality"]) == (Status.FAILING, "missing_rate of age")
    assert standing([metric("missing_rate", feature="age", status=Status.PASSING)]).quality is Status.PASSING


def test_accuracy_without_a_value_says_why() -> None:
    empty = metric("log_loss", value=None, n=0, reason=Reason.EMPTY, state=AccuracyState.PARTIAL)
    found = standing([empty], LOSS)
    assert (found.accuracy, found.reasons["accuracy"]) == (Status.UNKNOWN, "empty")


def test_drift_rests_on_a_roll_up_where_the_newest_window_has_too_few_rows() -> None:
    small = metric("psi", feature="age", value=0.12, n=20, status=Status.UNKNOWN, reason=Reason.TOO_FEW_ROWS)
    known = metric("psi", feature="plan", status=Status.PASSING)
    rolled = Metric("churn", "m", "psi", -5, 1, 120, feature="age", value=0.4, closed=True, status=Status.FAILING)

    def rolled_up(asked: list[Metric]) -> list[Metric | None]:
        assert asked == [small]
        return [rolled]

    found = standing_of(deployment(), FEATURES, [small, known], (), rolled_up)
    assert (found.drift, found.reasons["drift"], found.roll_ups) == (Status.FAILING, "age", {"psi of age": -5})
    alone = standing([small, known])
    assert (alone.drift, alone.roll_ups) == (Status.PASSING, {})


def test_features_without_a_tolerance_are_named_where_a_rule_asks_for_changes() -> None:
    bins, noise = NumericBins((0.0,), (5, 5, 0)), Noise((), {})
    baseline = Baseline(
        features={"age": bins, "plan": bins}, tolerance={"plan": 500.0}, noise={"age": noise, "plan": noise}
    )
    package = Package("m", "1", "m", deployment().target, FEATURES, "linear", baseline)
    assert unwatched(deployment(CHANGE_DETECTED), package) == ("age",)
    assert unwatched(deployment(ERRORS), package) is None
    assert unwatched(deployment(CHANGE_DETECTED), replace(package, baseline=replace(baseline, noise={}))) == ()


def test_drift_of_the_actuals_is_drift_and_says_nothing_of_accuracy() -> None:
    steady = metric("psi", feature="age", status=Status.PASSING)
    held = standing(
        [steady, metric("log_loss", state=AccuracyState.FINAL), metric("target_psi", status=Status.PASSING)]
    )
    assert (held.accuracy, held.reasons["accuracy"]) == (Status.UNKNOWN, "no alert rule looks at it")
    moved = standing([steady, metric("target_psi", status=Status.FAILING)])
    assert (moved.drift, moved.reasons["drift"]) == (Status.FAILING, "target psi")
