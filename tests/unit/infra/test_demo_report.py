"""The demo's summary: what it says of metrics and alerts, and that it can be shown."""

import io

import msgspec
from rich.console import Console, RenderableType

from infra.demo import findings, report, show, show_data
from infra.demo.questions import PRICE
from schemas.deployment import Deployment, Model, Severity
from schemas.observation import AccuracyState, Alert, AlertEvent, AlertPhase, Evidence, Metric, Reason, Status
from schemas.package import Baseline, Package

DAY = 86_400_000
NEW, OLD = Model("a" * 64, "booking-price-boosted", "1"), Model("b" * 64, "booking-price-linear", "1")
DEPLOYMENT = Deployment("booking-price", 3, PRICE.target, PRICE.features, NEW, (OLD,))
PACKAGES = {
    model.digest: Package(
        model.name, "1", model.digest, PRICE.target, PRICE.features, "onnx", Baseline(holdout={"rmse": loss})
    )
    for model, loss in ((NEW, 22.7), (OLD, 32.9))
}


def metric(
    name: str, value: float, model: Model = NEW, day: int = 0, n: int = 100, feature: str = "", coverage: float = 1.0
) -> Metric:
    return Metric(
        DEPLOYMENT.name,
        model.digest,
        name,
        day * DAY,
        (day + 7) * DAY,
        n,
        feature=feature,
        value=value,
        coverage=coverage,
        status=(Status.FAILING if value > 0.25 else Status.PASSING) if name == "psi" else None,
        closed=True,
        state=AccuracyState.FINAL if name == "rmse" else None,
    )


def event(
    sequence: int, phase: AlertPhase, alert: str = "x", feature: str = "", rule: str = "accuracy-drop", day: int = 59
) -> AlertEvent:
    evidence = (Evidence(31 * DAY, 59 * DAY, 75.3, 6_897),) if phase is AlertPhase.FIRING else ()
    data = Alert(
        id=alert,
        deployment=DEPLOYMENT.name,
        rule=rule,
        metric="rmse",
        feature=feature,
        segment="",
        model=NEW.digest,
        severity=Severity.CRITICAL,
        phase=phase,
        sequence=sequence,
        since_ms=31 * DAY,
        changed_ms=day * DAY,
        limit=25.0,
        windows=evidence,
    )
    return AlertEvent(f"{alert}-{sequence}", "/", "watchkeeper.alert", "", "", data)


def shown(part: RenderableType) -> str:
    out = io.StringIO()
    Console(file=out, width=160).print(part)
    return out.getvalue()


def test_a_request_is_counted_once_however_many_models_answered_it() -> None:
    metrics = [metric("requests", 100.0), metric("requests", 100.0, OLD), metric("requests", 40.0, OLD, day=7, n=40)]
    assert report.watched(DEPLOYMENT, PACKAGES, metrics, (), {}).rows == 140


def test_errors_are_counted_from_their_rates() -> None:
    metrics = [metric("data_error_rate", 0.02), metric("system_error_rate", 0.0)]
    found = report.watched(DEPLOYMENT, PACKAGES, metrics, (), {})
    assert (found.data_errors, found.system_errors) == (2, 0)


def test_the_status_is_that_of_the_last_closed_window_and_earlier_ones_are_counted() -> None:
    metrics = [
        metric("psi", 0.4, feature="lead_time"),
        metric("psi", 0.05, feature="lead_time", day=7),
        metric("psi", 0.02, feature="adults", day=7),
    ]
    found = report.watched(DEPLOYMENT, PACKAGES, metrics, (), {})
    assert found.status == "passing"
    assert [(one.feature, one.windows, one.of) for one in found.drift] == [("lead_time", 1, 2), ("adults", 0, 1)]


def test_where_the_champion_changed_inside_a_window_the_longer_part_is_taken() -> None:
    metrics = [metric("psi", 0.4, n=30, feature="adults"), metric("psi", 0.02, OLD, n=70, feature="adults")]
    (found,) = report.drifted(metrics, DEPLOYMENT)
    assert (found.psi, found.n) == (0.02, 70)


def test_a_month_has_all_models_and_what_was_said_at_its_close() -> None:
    early, late = metric("rmse", 44.0, n=30, coverage=0.3), metric("rmse", 30.3)
    closings = report.first_closings([early, late])
    found = report.watched(DEPLOYMENT, PACKAGES, [late, metric("rmse", 35.3, OLD)], (), closings)
    (month,) = found.months
    assert [(score.model, score.value) for score in month.scores] == [(NEW.name, 30.3), (OLD.name, 35.3)]
    assert (month.month, month.coverage, month.first_value, month.first_coverage) == ("1970-01", 1.0, 44.0, 0.3)
    assert found.holdout == {NEW.name: 22.7, OLD.name: 32.9}


def test_what_estimates_rest_on_stands_below_a_table_that_has_some() -> None:
    realised = metric("rmse", 44.0)
    estimated = msgspec.structs.replace(realised, estimate=41.0)
    for said, caption in (([estimated], "no drift of the world"), ([realised], None)):
        found = report.watched(DEPLOYMENT, PACKAGES, said, (), {})
        assert show.accuracy(found, "no drift of the world").caption == caption


def test_an_alert_is_told_from_beginning_to_end_in_its_own_order() -> None:
    phases = (AlertPhase.PENDING, AlertPhase.FIRING, AlertPhase.RESOLVED, AlertPhase.RETRACTED)
    events = [event(number, phase) for number, phase in enumerate(phases, 1)]
    (story,) = report.stories(reversed(events))
    assert [change.phase for change in story.changes] == ["firing", "resolved", "retracted"]
    assert story.changes[0].windows == ("1970-02-01: 75.3 (6,897 rows)",)
    assert story.phase == "retracted"


def test_an_alert_that_was_only_pending_is_no_story() -> None:
    assert report.stories([event(1, AlertPhase.PENDING), event(2, AlertPhase.RESOLVED)]) == ()


def test_alerts_that_fire_or_were_acknowledged_are_open() -> None:
    told = report.stories(
        [
            *(event(1, AlertPhase.FIRING, name) for name in "xyz"),
            event(2, AlertPhase.RESOLVED, "x"),
            event(2, AlertPhase.ACKNOWLEDGED, "z"),
        ]
    )
    assert [one.phase for one in told] == ["resolved", "firing", "acknowledged"]
    assert report.watched(DEPLOYMENT, PACKAGES, [], told, {}).open_alerts == 2


def test_a_feature_is_quiet_if_material_drift_never_rang_whatever_the_change_detector_said() -> None:
    told = report.stories(
        [
            event(1, AlertPhase.FIRING, "x", "lead_time", "material-drift"),
            event(1, AlertPhase.FIRING, "y", "adults", "change-detected"),
        ]
    )
    metrics = [metric("psi", 0.4, feature="lead_time"), metric("psi", 0.05, feature="adults")]
    assert report.watched(DEPLOYMENT, PACKAGES, metrics, told, {}).quiet == ("adults",)


def test_a_feature_that_nothing_rang_for_is_silent() -> None:
    told = report.stories([event(1, AlertPhase.FIRING, "y", "adults", "change-detected")])
    metrics = [metric("psi", 0.04, feature="babies"), metric("psi", 0.05, feature="adults")]
    found = report.watched(DEPLOYMENT, PACKAGES, metrics, told, {})
    assert (found.quiet, found.silent) == (("adults", "babies"), ("babies",))


def test_of_features_with_a_pending_alert_no_more_is_said_than_that_none_fired() -> None:
    told = report.stories([event(1, AlertPhase.PENDING, "x", "adults", "material-drift")])
    metrics = [metric("psi", 0.4, feature="adults"), metric("psi", 0.04, feature="babies")]
    found = report.watched(DEPLOYMENT, PACKAGES, metrics, told, {})
    said = " ".join(shown(show_data.drift(found)).split())
    assert "1 of 1" in said
    assert "no alert of any kind has fired: adults, babies" in said
    changed = report.stories([event(1, AlertPhase.FIRING, "y", "adults", "change-detected")])
    found = report.watched(DEPLOYMENT, PACKAGES, metrics, changed, {})
    said = " ".join(shown(show_data.drift(found)).split())
    assert "no alert of material drift has fired: adults, babies" in said


def test_where_the_change_detector_cannot_watch_the_table_says_why() -> None:
    told = [event(1, AlertPhase.FIRING, feature="adults", rule="material-drift", day=45)]
    found = report.watched(DEPLOYMENT, PACKAGES, [], (), {})
    watched = msgspec.structs.replace(found, baseline_unstable=("adults",))
    assert "1 features of booking-price wandered too much" in shown(
        show_data.noticed(findings.noticed(told), [watched])
    )
    assert "baseline_unstable" in shown(show_data.noticed(findings.noticed(told), [watched]))
    assert "adults" not in shown(show_data.noticed(findings.noticed(told), [found]))  # no rule asks for changes there


def test_change_and_material_drift_are_dated_by_the_first_time_that_each_rang() -> None:
    found = findings.noticed(
        [
            event(1, AlertPhase.PENDING, feature="adults", rule="change-detected", day=30),
            event(2, AlertPhase.FIRING, feature="adults", rule="change-detected", day=31),
            event(3, AlertPhase.FIRING, feature="adults", rule="material-drift", day=45),
            event(4, AlertPhase.FIRING, feature="adults", rule="material-drift", day=90),
            event(1, AlertPhase.FIRING, "y", "babies", "material-drift", day=20),
            event(1, AlertPhase.FIRING, "z"),
        ]
    )
    assert [(one.feature, one.changed_ms, one.drifted_ms) for one in found] == [
        ("babies", None, 20 * DAY),
        ("adults", 31 * DAY, 45 * DAY),
    ]


def test_what_was_bad_in_the_data_is_told_with_its_worst_week_and_how_often() -> None:
    rates = [(0, 0.02, Status.AT_RISK), (7, 0.09, Status.FAILING), (14, 0.0, Status.PASSING)]
    metrics = [
        msgspec.structs.replace(metric("unseen_rate", value, day=day, feature="meal"), status=status)
        for day, value, status in rates
    ]
    metrics.append(msgspec.structs.replace(metric("missing_rate", 0.0, feature="children"), status=Status.PASSING))
    (found,) = findings.qualities(metrics)
    assert (found.metric, found.feature, found.value, found.window_start_ms) == ("unseen_rate", "meal", 0.09, 7 * DAY)
    assert (found.windows, found.of, found.status) == (2, 3, "failing")


def test_requests_of_a_week_in_which_the_model_was_replaced_are_all_counted() -> None:
    parts = [metric("requests", 60.0, NEW, n=60), metric("requests", 40.0, OLD, n=40)]
    whole = metric("unanswered", 0.0, n=100)
    assert report.watched(DEPLOYMENT, PACKAGES, [*parts, whole], (), {}).rows == 100


def test_what_was_lost_is_counted_and_what_cannot_be_told_is_not() -> None:
    lost = metric("unanswered", 3.0)
    unsure = msgspec.structs.replace(metric("missing_shadows", 5.0), reason=Reason.NOT_RESOLVED)
    assert report.watched(DEPLOYMENT, PACKAGES, [lost, unsure], (), {}).unanswered == 3


def test_the_tables_show_what_was_found() -> None:
    events = [event(1, AlertPhase.FIRING, "y", "lead_time", "change-detected"), event(1, AlertPhase.FIRING)]
    told = report.stories(events)
    metrics = [metric("rmse", 30.3), metric("psi", 0.4, feature="lead_time"), metric("requests", 100.0)]
    resort = findings.Part("hotel=Resort Hotel", 1.5, -0.25, 30.0, 28.0, 900, 1_200)
    found = [
        msgspec.structs.replace(
            report.watched(DEPLOYMENT, PACKAGES, metrics, told, {}),
            baseline_unstable=(),
            stages=(findings.Stage("quality", "at_risk", "unseen rate of meal"),),
            weighted_drift=0.42,
            quality=(findings.Quality("unseen_rate", "meal", "at_risk", 0.02, 0.001, 7 * DAY, 500, 1, 9),),
            segments=(findings.Explained("mae", "hotel", "2016-01", "2017-01", 20.0, 21.25, (resort,)),),
        )
    ]
    out = io.StringIO()
    console = Console(file=out, width=160)
    for part in show.everything(found, told, findings.noticed(events), "x"):
        console.print(part)
    said = out.getvalue()
    for word in ("30.3", "22.7", "lead_time", "failing", "the demo's own error", "2 fired, of which now 2 firing"):
        assert word in said
    for word in ("42% of failing", "unseen rate", "1 of 9", "+1.25", "Resort Hotel", "change detected", "at risk"):
        assert word in said


def test_a_month_that_is_not_closed_is_open_and_not_partial() -> None:
    months = tuple(
        report.Month(name, "partial", 1.0, closed=closed, revision=revision, scores=())
        for name, closed, revision in (("2016-01", True, 7), ("2016-02", False, 0))
    )
    found = msgspec.structs.replace(report.watched(DEPLOYMENT, PACKAGES, [], (), {}), months=months)
    out = io.StringIO()
    Console(file=out, width=160).print(show.accuracy(found))
    closed, still_open = (line for line in out.getvalue().splitlines() if "2016-0" in line)
    assert "partial" in closed
    assert "month still open" in still_open
    assert "partial" not in still_open
