"""What is said of one window: every metric that applies, from its summary.

Rules: excluded features are not mentioned; a metric that does not apply to a feature is not either. Of the drift
statistics those are computed that the settings name, and those that an alert rule looks at. Accuracy metrics
carry the coverage, and a state: `estimate` while there is no actual, of those that can be estimated; then `partial`,
and `final` once the window is closed and no prediction of it is pending. The estimate stays beside the realised value.
A partial value of less than 90 % of the outcomes warns of `delay_bias`, where nothing else is to be said: outcomes that
come first are not like those that come late. After that, where a deployment declares clusters, an interval of what came
true warns of `clustered`: it takes rows as independent, and those of one customer are not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from hashlib import blake2b

import msgspec

from monitors.foreseen import expected_value
from monitors.metrics import METRICS, Value
from monitors.metrics import Metric as Definition
from monitors.metrics.parity import Groups
from monitors.metrics.protocol import Judgement
from monitors.metrics.status import drift_status, limits_of
from monitors.pending import WELL_COVERED, pending
from monitors.summary import Summary
from monitors.windows import WindowId
from schemas.deployment import Deployment, Settings
from schemas.observation import AccuracyState, Kind, Metric, Reason
from schemas.package import Package

# those whose value is an effect with thresholds
DRIFT_METRICS = frozenset(name for name, metric in METRICS.items() if metric.drift and metric.limits)
COUNTED = ("rows", "error:data", "error:system", "expected", "matched", "invalid_actual", "expired")
_ROWS = ("rows", "error:data", "error:system", "expected")

_encoder = msgspec.msgpack.Encoder()


def counted(summary: Summary) -> tuple[int, ...]:
    """The row counts by which a change of a window is explained, in the order of `COUNTED`."""
    return tuple(summary.count(name) for name in COUNTED)


def revision_reason(before: tuple[int, ...], after: tuple[int, ...]) -> str:
    """Why a closed window changed, as far as its counts tell; "corrected" where none of them grew.

    >>> revision_reason((10, 0, 0, 0, 0, 0, 0), (11, 0, 0, 0, 0, 0, 0))
    'late_rows'
    >>> revision_reason((0, 0, 0, 10, 4, 0, 0), (0, 0, 0, 10, 6, 0, 1))
    'late_actuals'
    """
    changes = dict(zip(COUNTED, (new - old for old, new in zip(before, after, strict=True)), strict=True))
    if any(changes[name] > 0 for name in _ROWS):
        return "late_rows"
    if (answered := changes["matched"] + changes["invalid_actual"]) > 0:
        return "late_actuals"
    if changes["expired"] > 0:
        return "expired"
    return "withdrawn" if answered < 0 else "corrected"


def metrics_of_window(
    window: WindowId,
    summary: Summary,
    *,
    deployment: Deployment,
    package: Package,
    definitions: Iterable[Definition],
    closed: bool,
    trusted: bool = True,
    groups: Groups | None = None,
) -> Iterator[Metric]:
    """Every metric of a window, revision and its reason left out; `trusted`: whether estimates may be believed.

    `groups`: what its segment is compared with, where that is of a protected feature.
    """
    is_accuracy = window.series.kind is Kind.ACCURACY
    is_clustered = bool(deployment.settings.cluster) and window.series.kind in (Kind.ACCURACY, Kind.OUTCOMES)
    coverage, state = _known(summary, closed=closed) if is_accuracy else (None, None)
    is_early = coverage is not None and coverage < WELL_COVERED and pending(summary) > 0
    excluded = frozenset(deployment.settings.excluded)
    computed = {*deployment.settings.drift_statistics, *(rule.metric for rule in deployment.settings.alert_rules)}
    for definition in definitions:
        if definition.kind is not window.series.kind or not definition.applies(package):
            continue
        if (definition.at_close and not closed) or (definition.among and not groups):
            continue
        if definition.drift and computed.isdisjoint((definition.drift.value, definition.name)):
            continue
        names = [feature.name for feature in package.features if feature.name not in excluded]
        compute = definition.computed_by(deployment.settings)
        for feature in definition.asked_of(names, deployment.settings):
            value = definition.among(groups) if definition.among and groups else compute(summary, package, feature)
            if value.reason is Reason.NOT_APPLICABLE:
                continue
            estimate = expected_value(definition.name, summary, package, trusted=trusted) if is_accuracy else None
            shown = estimate is not None and state is AccuracyState.PARTIAL and summary.count("matched") <= 0
            if estimate is not None and shown:
                value = replace(estimate, baseline=value.baseline)
            early = not shown and value.value is not None and is_early and _of_outcomes(definition)
            warning = Reason.DELAY_BIAS if early else None
            if warning is None and is_clustered and value.low is not None:
                warning = Reason.CLUSTERED
            judged = _judged(definition, feature, value, deployment.settings, package, closed=closed)
            yield Metric(
                deployment=deployment.name,
                model=window.series.model,
                metric=definition.name,
                window_start_ms=window.start_ms,
                window_end_ms=window.end_ms,
                n=value.n,
                feature=feature,
                segment=window.series.segment,
                value=value.value,
                low=value.low,
                high=value.high,
                baseline=value.baseline,
                coverage=coverage,
                status=judged.status if judged else None,
                reason=value.reason or (judged.reason if judged else None) or warning,
                borderline=judged is not None and judged.borderline,
                closed=closed,
                state=AccuracyState.ESTIMATE if shown else state,
                estimate=None if estimate is None else estimate.value,
                bound=value.bound,
            )


def at_risk_of(metric: Metric, settings: Settings, package: Package) -> float | None:
    """From where on a drift statistic of this window is at risk; None of all other metrics."""
    if metric.metric not in DRIFT_METRICS:
        return None
    limits = limits_of(METRICS[metric.metric], metric.feature, metric.n, settings.thresholds, package)
    return None if limits is None else limits.at_risk


def content_digest(metric: Metric) -> bytes:
    """Eight bytes that change with what a metric says; not with its revision, its reason or whether it is closed."""
    # a bound is of the same counts as its value, and state of before there were bounds goes on without a revision
    content = msgspec.structs.replace(metric, closed=False, revision=0, revision_reason="", bound=None)
    return blake2b(_encoder.encode(content), digest_size=8).digest()


def _known(summary: Summary, *, closed: bool) -> tuple[float | None, AccuracyState]:
    expected, matched = summary.count("expected"), summary.count("matched")
    coverage = matched / expected if expected > 0 else None
    return coverage, AccuracyState.FINAL if closed and not pending(summary) else AccuracyState.PARTIAL


def _of_outcomes(definition: Definition) -> bool:
    return not (definition.live or definition.per_feature or definition.among)


def _judged(
    definition: Definition, feature: str, value: Value, settings: Settings, package: Package, *, closed: bool
) -> Judgement | None:
    if definition.judge is not None:
        return definition.judge(value, feature, settings, closed)
    limits = limits_of(definition, feature, value.n, settings.thresholds, package)
    return None if limits is None else drift_status(value, limits)
