"""Custom metrics: the sum, the mean or the newest of what owners report, by the name under `feature`.

The status is that of the value against the declared limits, without regard to noise: what a report is worth is its
sender's business. A mean has no interval, as squares are not kept. A window without a report is `empty`.

`custom_refused`: reports that were not counted, of metrics that are not declared, out of time, too large, or broken.
"""

from __future__ import annotations

from monitors.fixed_point import as_float
from monitors.metrics import targets
from monitors.metrics.protocol import Compute, Judgement, Metric, Value
from monitors.summary import Summary
from schemas.deployment import Settings
from schemas.expectations import CUSTOM, Aggregate, CustomMetric
from schemas.observation import Kind, Reason, Status
from schemas.package import Package


def _configure(settings: Settings) -> Compute:
    declared = {one.name: one for one in settings.custom_metrics}

    def compute(summary: Summary, package: Package, feature: str = "") -> Value:
        del package
        metric = declared.get(feature)
        if metric is None:
            return Value(None, reason=Reason.NOT_APPLICABLE)
        return _newest(summary, metric) if metric.aggregate is Aggregate.GAUGE else _total(summary, metric)

    return compute


def _total(summary: Summary, metric: CustomMetric) -> Value:
    n = summary.count(f"reports:{metric.name}")
    if n <= 0:
        return Value(None, reason=Reason.EMPTY)
    total = _sum(summary, f"sum:{metric.name}:")
    return Value(total if metric.aggregate is Aggregate.SUM else total / n, n=n)


def _newest(summary: Summary, metric: CustomMetric) -> Value:
    prefix = f"gauge:{metric.name}:"
    filled = [name for name in summary.counts if name.startswith(prefix) and summary.count(name) > 0]
    slots = [int(name.removeprefix(prefix)) for name in filled]
    if not slots:
        return Value(None, reason=Reason.EMPTY)
    name = f"{prefix}{max(slots)}"
    n = summary.count(name)
    return Value(_sum(summary, f"{name}:") / n, n=n)


def _sum(summary: Summary, prefix: str) -> float:
    """Over all units that the metric was declared with."""
    parts = [(name.removeprefix(prefix), total) for name, total in summary.sums.items() if name.startswith(prefix)]
    return sum(as_float(total, 2.0 ** int(exponent)) for exponent, total in sorted(parts))


def _judge(value: Value, feature: str, settings: Settings, closed: bool) -> Judgement | None:  # noqa: FBT001  # as every judge
    del closed
    metric = next((one for one in settings.custom_metrics if one.name == feature), None)
    if metric is None or (metric.at_risk is None and metric.failing is None):
        return None
    if value.value is None:
        return Judgement(Status.UNKNOWN, reason=value.reason)
    for limit, status in ((metric.failing, Status.FAILING), (metric.at_risk, Status.AT_RISK)):
        if limit is not None and (value.value >= limit if metric.above else value.value <= limit):
            return Judgement(status)
    return Judgement(Status.PASSING)


def _refused(summary: Summary, package: Package, feature: str = "") -> Value:
    del package, feature
    refused = sum(summary.count(name) for name in summary.counts if name.startswith("refused:"))
    return Value(float(max(refused, 0)), n=max(refused, 0))


METRICS = (
    Metric(
        CUSTOM,
        Kind.CUSTOM,
        targets.always,
        _configure(Settings()),
        judge=_judge,
        configure=_configure,
        labels=lambda settings: [one.name for one in settings.custom_metrics],
    ),
    Metric("custom_refused", Kind.CUSTOM, targets.always, _refused),
)
