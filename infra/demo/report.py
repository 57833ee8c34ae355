"""What the demo says at its end: from metrics, alert events and switch records to one plain structure. Pure.

The structure is what `--json` writes; `infra.demo.show` makes tables of it for people.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from infra.asked import asked
from infra.demo.findings import Explained, Quality, Stage
from infra.demo.truth import Diagnosed, Hindsight, Judged
from infra.fair import Fair
from schemas.deployment import MATERIAL_DRIFT
from schemas.observation import OPEN_PHASES, AccuracyState, AlertPhase, Status
from schemas.package import TargetType

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from schemas.deployment import Deployment
    from schemas.observation import AlertEvent, Metric
    from schemas.package import Package

LOSS_OF = {TargetType.BINARY: "log_loss", TargetType.REGRESSION: "rmse", TargetType.MULTICLASS: "log_loss"}
"""The metric that the demo compares models by; lower is better."""

Closing = tuple[str, str, int]
"""Deployment, model and the window's start."""

LEAST_ROWS = 200
"""Of a week, for the demo's rule of material drift to look at it, and for the summary to show it."""

_LOST = ("unanswered", "missing_shadows")
_WORST_FIRST = (Status.FAILING, Status.AT_RISK, Status.UNKNOWN, Status.PASSING)
_TOLD = (AlertPhase.FIRING, AlertPhase.ACKNOWLEDGED, AlertPhase.RESOLVED, AlertPhase.RETRACTED)


class Drifted(msgspec.Struct, frozen=True):
    """A feature in the last closed window of 200 rows or more, without any in the last.

    `windows` of `of` closed ones were at risk or failing.
    `importance` is its share of all importance in the champion; `moved` says which values have become more frequent.
    """

    feature: str
    status: str
    psi: float
    low: float
    high: float
    window_start: str
    n: int
    windows: int
    of: int
    importance: float = 0.0
    quadrant: str = ""
    moved: str = ""


class Score(msgspec.Struct, frozen=True):
    """One model in one month; `value` is null where `reason` says why."""

    model: str
    value: float | None
    reason: str | None
    n: int


class Month(msgspec.Struct, frozen=True):
    """Accuracy of one month: champion first, then challengers. All but `scores` are the champion's.

    `first_*`: what was said when the month was closed, when many outcomes were still to come; null where it is open.
    `estimate`: what was expected of the month's predictions without any of their outcomes.
    """

    month: str
    state: str
    coverage: float
    closed: bool
    revision: int
    scores: tuple[Score, ...]
    first_value: float | None = None
    first_coverage: float | None = None
    estimate: float | None = None


class Change(msgspec.Struct, frozen=True):
    """An alert changed its state by a rule, because of these windows."""

    phase: str
    at: str
    late: bool
    text: str
    windows: tuple[str, ...]
    rule: str = ""
    severity: str = ""


class AlertStory(msgspec.Struct, frozen=True):
    """One alert from beginning to end; `phase` is where it is now. `rule` is its name, which rules may share."""

    id: str
    deployment: str
    rule: str
    metric: str
    feature: str
    severity: str
    phase: str
    since: str
    changes: tuple[Change, ...]
    segment: str = ""


class Watched(msgspec.Struct, frozen=True):
    """A deployment. `rows` were requested; `holdout` has the loss of each model in training.

    `stages` as `watchkeeper status` has them; `weighted_drift`: 0 to 1, of all features by importance, in the last
    closed week. `unanswered`: requests less answers over all weeks, and what challengers owe. `quiet`: watched features
    for which the rule of material drift has never rung; `silent`: those with no alert at all. `baseline_unstable`:
    features that wandered too much in training to be watched for change, where a rule asks for that; null where none.
    `hindsight`: of one deployment, a day as it was known and as it turned out. `fairness`: of protected features.
    """

    name: str
    revision: int
    status: str
    champion: str
    challengers: tuple[str, ...]
    rows: int
    data_errors: int
    system_errors: int
    loss: str
    holdout: dict[str, float]
    months: tuple[Month, ...]
    drift: tuple[Drifted, ...]
    open_alerts: int
    unanswered: int = 0
    quiet: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()
    baseline_unstable: tuple[str, ...] | None = None
    stages: tuple[Stage, ...] = ()
    weighted_drift: float | None = None
    quality: tuple[Quality, ...] = ()
    segments: tuple[Explained, ...] = ()
    verdicts: tuple[Judged, ...] = ()
    diagnoses: tuple[Diagnosed, ...] = ()
    hindsight: Hindsight | None = None
    fairness: tuple[Fair, ...] = ()


def watched(
    deployment: Deployment,
    packages: Mapping[str, Package],
    metrics: Sequence[Metric],
    alerts: Iterable[AlertStory],
    closings: Mapping[Closing, Metric],
) -> Watched:
    """A deployment as its metrics show it; `alerts` and `closings` may be of others too."""
    ours = [metric for metric in metrics if metric.deployment == deployment.name and not metric.segment]
    loss = LOSS_OF[deployment.target.type]
    models = [deployment.champion, *deployment.challengers]
    drift = drifted(ours, deployment)
    losses = {model.name: packages[model.digest].baseline.holdout.get(loss) for model in models}
    told = [one for one in alerts if one.deployment == deployment.name]
    rang = {one.feature for one in told for change in one.changes if change.rule == MATERIAL_DRIFT.name}
    return Watched(
        name=deployment.name,
        revision=deployment.revision,
        status=worst(one.status for one in drift),
        champion=deployment.champion.name,
        challengers=tuple(model.name for model in deployment.challengers),
        rows=asked(ours),
        data_errors=_rows(ours, "data_error_rate"),
        system_errors=_rows(ours, "system_error_rate"),
        loss=loss,
        holdout={name: value for name, value in losses.items() if value is not None},
        months=months(ours, loss, {model.digest: model.name for model in models}, closings),
        drift=drift,
        open_alerts=sum(one.phase in OPEN_PHASES for one in told),
        quiet=tuple(sorted(one.feature for one in drift if one.feature not in rang)),
        silent=tuple(sorted({one.feature for one in drift} - {one.feature for one in told})),
        unanswered=sum(round(abs(one.value or 0.0)) for one in ours if one.metric in _LOST and not one.reason),
    )


def worst(statuses: Iterable[str]) -> str:
    """The status of a whole; unknown where there is nothing to judge.

    >>> worst(["passing", "failing", "unknown"]), worst([])
    ('failing', 'unknown')
    """
    found = set(statuses)
    return next((status.value for status in _WORST_FIRST if status in found), Status.UNKNOWN.value)


def drifted(metrics: Iterable[Metric], deployment: Deployment) -> tuple[Drifted, ...]:
    """Every watched feature in its last closed window with enough rows, the worst first."""
    by_feature: dict[str, dict[int, Metric]] = defaultdict(dict)
    for metric in metrics:
        if metric.metric == "psi" and metric.closed and metric.value is not None:
            known = by_feature[metric.feature].get(metric.window_start_ms)
            if known is None or metric.n > known.n:  # where the champion changed inside a window, the longer part
                by_feature[metric.feature][metric.window_start_ms] = metric
    excluded = deployment.settings.excluded
    found = [_drifted(list(windows.values())) for name, windows in by_feature.items() if name not in excluded]
    return tuple(sorted(found, key=lambda one: (-one.psi, one.feature)))


def first_closings(history: Iterable[Metric]) -> dict[Closing, Metric]:
    """What was first said of each month's loss once it was closed, from all that was ever said, in log order."""
    found: dict[Closing, Metric] = {}
    for metric in history:
        if metric.closed and not metric.segment and metric.metric in LOSS_OF.values():
            found.setdefault((metric.deployment, metric.model, metric.window_start_ms), metric)
    return found


def months(
    metrics: Iterable[Metric], loss: str, models: Mapping[str, str], closings: Mapping[Closing, Metric]
) -> tuple[Month, ...]:
    """The loss of each model by month; `models`: names by digest, the champion first."""
    by_month: dict[int, dict[str, Metric]] = defaultdict(dict)
    for metric in metrics:
        if metric.metric == loss and metric.model in models:
            by_month[metric.window_start_ms][metric.model] = metric
    return tuple(_month(found, models, closings) for _, found in sorted(by_month.items()))


def stories(events: Iterable[AlertEvent]) -> tuple[AlertStory, ...]:
    """Alerts that fired at least once, oldest first, with what became of them."""
    by_alert: dict[str, list[AlertEvent]] = defaultdict(list)
    for event in events:
        by_alert[event.data.id].append(event)
    told = [sorted(found, key=lambda event: event.data.sequence) for found in by_alert.values()]
    fired = [_story(found) for found in told if any(event.data.phase is AlertPhase.FIRING for event in found)]
    return tuple(sorted(fired, key=lambda one: (one.since, one.deployment, one.rule, one.segment, one.feature)))


def day(time_ms: int) -> str:
    """A time as its date in UTC.

    >>> day(0)
    '1970-01-01'
    """
    return datetime.fromtimestamp(time_ms / 1000, UTC).date().isoformat()


def _drifted(windows: list[Metric]) -> Drifted:
    enough = [metric for metric in windows if metric.n >= LEAST_ROWS] or windows
    last = max(enough, key=lambda metric: metric.window_start_ms)
    value = last.value or 0.0
    return Drifted(
        feature=last.feature,
        status=(last.status or Status.UNKNOWN).value,
        psi=value,
        low=value if last.low is None else last.low,
        high=value if last.high is None else last.high,
        window_start=day(last.window_start_ms),
        n=last.n,
        windows=sum(metric.status in {Status.AT_RISK, Status.FAILING} for metric in windows),
        of=len(windows),
    )


def _month(found: Mapping[str, Metric], models: Mapping[str, str], closings: Mapping[Closing, Metric]) -> Month:
    champion = next(found[digest] for digest in models if digest in found)
    first = closings.get((champion.deployment, champion.model, champion.window_start_ms))
    scores = [
        Score(name, found[digest].value, found[digest].reason and str(found[digest].reason), found[digest].n)
        for digest, name in models.items()
        if digest in found
    ]
    return Month(
        month=day(champion.window_start_ms)[:7],
        state=(champion.state or AccuracyState.PARTIAL).value,
        coverage=champion.coverage or 0.0,
        closed=champion.closed,
        revision=champion.revision,
        scores=tuple(scores),
        first_value=first.value if first else None,
        first_coverage=first.coverage if first else None,
        estimate=champion.estimate,
    )


def _story(events: Sequence[AlertEvent]) -> AlertStory:
    last = events[-1].data
    changes = [
        Change(
            phase=event.data.phase.value,
            at=day(event.data.changed_ms),
            late=event.data.late,
            text=event.data.text,
            windows=tuple(
                f"{day(one.window_start_ms)}: {one.value:.4g} ({one.n:,} rows)" for one in event.data.windows
            ),
            rule=event.data.rule,
            severity=event.data.severity.value,
        )
        for event in events
        if event.data.phase in _TOLD
    ]
    return AlertStory(
        id=last.id,
        deployment=last.deployment,
        rule=last.alert or last.rule,
        metric=last.metric,
        feature=last.feature,
        severity=last.severity.value,
        phase=last.phase.value,
        since=day(last.since_ms),
        changes=tuple(changes),
        segment=last.segment,
    )


def _rows(metrics: Iterable[Metric], name: str) -> int:
    """Rows by a metric that has their share: of the models of a window, the one with the most."""
    by_window: dict[int, float] = defaultdict(float)
    for metric in metrics:
        if metric.metric == name and metric.value is not None:
            rows = metric.value * metric.n
            by_window[metric.window_start_ms] = max(by_window[metric.window_start_ms], rows)
    return round(sum(by_window.values()))
