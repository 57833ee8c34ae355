"""Numbers that owners report, as exact sums: any order and batch cut gives the same bytes.

- "reports:<metric>" rows, and "sum:<metric>:<exponent>", their sum in units of 2^exponent, for sums and means.
- A gauge is kept in sixtieths of a bucket: "gauge:<metric>:<start in ms>" rows and the sum under the same name and the
  exponent; the newest of them is the gauge.
- "refused:<why>": reports that are not counted, at the time at which they came: the metric is not declared, its time is
  out of the bounds that requests have, the number is beyond what the declared unit can hold, or it is no report at all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from math import frexp

import numpy as np

from monitors.fixed_point import fixed_terms
from monitors.folds.groups import SummaryKey
from monitors.spans import bucket_start
from monitors.summary import Summary
from schemas.custom_report import Report
from schemas.deployment import DAY_MS, HOUR_MS, MINUTE_MS, Settings, Span
from schemas.expectations import Aggregate, CustomMetric
from schemas.observation import Kind

_SLOT_MS = {
    Span.MINUTE: MINUTE_MS // 60,
    Span.HOUR: HOUR_MS // 60,
    Span.DAY: DAY_MS // 60,
    Span.WEEK: 7 * DAY_MS // 60,
    Span.MONTH: DAY_MS // 2,
}
_HERE = np.zeros(1, np.intp)
_ONE = np.ones(1, np.int64)


def fold_reports(reports: Iterable[Report], settings: Settings) -> dict[SummaryKey, Summary]:
    """Fold the reports of one deployment.

    >>> from schemas.deployment import Settings
    >>> settings = Settings(custom_metrics=(CustomMetric("cost"),))
    >>> report = Report("loans", "cost", 2.5, 5, 5)
    >>> (summary,) = fold_reports([report, report], settings).values()
    >>> summary.count("reports:cost"), summary.sums["sum:cost:1"] / 2**32 * 2**1
    (2, 5.0)
    """
    declared = {one.name: one for one in settings.custom_metrics}
    total: dict[SummaryKey, Summary] = defaultdict(Summary)
    for report in reports:
        fault = report.fault or _fault(report, declared, settings)
        at_ms = report.received_ms if fault else report.timestamp_ms
        start_ms = int(bucket_start(np.int64(at_ms), settings.bucket))  # type: ignore[arg-type]  # one instant
        delta = (
            Summary({f"refused:{fault}": _ONE}) if fault else _delta(report, declared[report.metric], settings.bucket)
        )
        total[Kind.CUSTOM, "", "", start_ms].add(delta)
    return dict(total)


def exponent_of(metric: CustomMetric) -> int:
    """The power of two next above the declared unit."""
    return frexp(metric.unit)[1]


def _fault(report: Report, declared: dict[str, CustomMetric], settings: Settings) -> str:
    metric = declared.get(report.metric)
    if metric is None:
        return "not_declared"
    ahead_ms = report.timestamp_ms - report.received_ms
    if not -settings.max_age_ms <= ahead_ms <= settings.max_future_ms:
        return "bad_time"
    terms = fixed_terms(np.array([report.value]), 2.0 ** exponent_of(metric))
    return "beyond_unit" if terms.overflow.any() else ""


def _delta(report: Report, metric: CustomMetric, bucket: Span) -> Summary:
    exponent = exponent_of(metric)
    (total,) = fixed_terms(np.array([report.value]), 2.0**exponent).totals(_HERE, 1)
    if metric.aggregate is Aggregate.GAUGE:
        slot_ms = _SLOT_MS[bucket]
        name = f"gauge:{metric.name}:{report.timestamp_ms // slot_ms * slot_ms}"
        return Summary({name: _ONE}, {f"{name}:{exponent}": total})
    return Summary({f"reports:{metric.name}": _ONE}, {f"sum:{metric.name}:{exponent}": total})
