"""Signs in what was asked and answered: bad values, drift of inputs and of predictions.

All from the metrics that people see, by their own thresholds: the first drift statistic of the settings that has a
status, the rates of data quality. A drift that is not sure to be one (`unknown`) is no sign.
"""

from __future__ import annotations

from collections.abc import Iterator

from monitors.importance import weighed
from monitors.metrics import METRICS, Metric, Value
from monitors.metrics.intervals import Z
from monitors.metrics.quality import judge
from monitors.metrics.reconstruction_error import NAME as RECONSTRUCTION
from monitors.metrics.status import drift_status, limits_of
from monitors.summary import Summary
from schemas.deployment import DriftStatistic, Settings
from schemas.diagnosis import Evidence, Sign
from schemas.observation import Status
from schemas.package import Package

_DRIFTING = frozenset({Status.AT_RISK, Status.FAILING})
_RATES = tuple(name for name, one in METRICS.items() if one.judge is judge and one.per_feature)


def signs_of_inputs(features: Summary, answered: Summary, package: Package, settings: Settings) -> tuple[Sign, ...]:
    """Of the requests and the answers of a window: every sign of inputs that speaks, and that of predictions."""
    return (*_of_features(features, package, settings), *_of_predictions(answered, package, settings))


def _of_features(summary: Summary, package: Package, settings: Settings) -> Iterator[Sign]:
    drift = METRICS[_statistic(settings)]
    refused = {
        key.split(":", 2)[2] for key, rows in summary.counts.items() if key.startswith("refused:") and rows.any()
    }
    for name, feature in weighed(package.features, settings).items():
        value = drift.compute(summary, package, name)
        drifts = _status(drift, value, name, package, settings) in _DRIFTING
        if drifts:
            evidence = Evidence.IMPORTANT_DRIFT if feature.important else Evidence.MINOR_DRIFT
            yield _sign(evidence, drift.name, name, value)
        if drifts or name in refused:
            for rate in _RATES:
                found = METRICS[rate].compute(summary, package, name)
                if found.low is not None and found.low > (found.baseline or 0.0) + settings.quality.at_risk:
                    yield _sign(Evidence.QUALITY, rate, name, found)
    together = METRICS[RECONSTRUCTION]
    if together.applies(package) and together.judge is not None:
        value = together.compute(summary, package, "")
        judged = together.judge(value, "", settings, True)  # noqa: FBT003  # of a closed window
        if judged is not None and judged.status in _DRIFTING:
            yield _sign(Evidence.MINOR_DRIFT, RECONSTRUCTION, "", value)


def _of_predictions(summary: Summary, package: Package, settings: Settings) -> Iterator[Sign]:
    name = f"prediction_{_statistic(settings)}"
    drift = METRICS.get(name, METRICS["prediction_psi"])
    if not drift.applies(package):
        drift = METRICS["prediction_psi"]
    value = drift.compute(summary, package, "")
    if value.value is not None:
        drifts = _status(drift, value, "", package, settings) in _DRIFTING
        yield _sign(Evidence.PREDICTION_DRIFT, drift.name, "", value, speaks=drifts)


def _statistic(settings: Settings) -> str:
    chosen = [name for name in settings.drift_statistics if name in METRICS and METRICS[name].limits is not None]
    return chosen[0] if chosen else DriftStatistic.PSI.value


def _status(drift: Metric, value: Value, feature: str, package: Package, settings: Settings) -> Status | None:
    limits = limits_of(drift, feature, value.n, settings.thresholds, package)
    return None if limits is None else drift_status(value, limits).status


def _sign(evidence: Evidence, measure: str, of: str, found: Value, *, speaks: bool = True) -> Sign:
    error = None if found.low is None or found.high is None else (found.high - found.low) / (2 * Z)
    return Sign(evidence, measure, of, found.value, found.baseline or 0.0, error, found.n, speaks)
