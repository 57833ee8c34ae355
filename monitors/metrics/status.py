"""From a drift value to a status that does not depend on the number of rows (STATISTICS section 3).

Thresholds are on the effect, never on a p-value. On 4,000 simulated pairs a cell, all rows and 5 % of the same stream
contradict each other in at most 0.5 % of windows; a p-value flips with n.
"""

from __future__ import annotations

from monitors.metrics.protocol import Judgement, Metric, Value
from schemas.deployment import DriftStatistic, Limits, Thresholds
from schemas.observation import Reason, Status
from schemas.package import Package

LEAST_ROWS = 30
_TWO_SIDED_95 = 1.96


def limits_of(
    metric: Metric, feature: str, rows: int, thresholds: Thresholds, package: Package | None
) -> Limits | None:
    """The limits of a drift metric: of the feature, else of the statistic, else its own; None where it has no status.

    Calibrated, they are not below what noise alone passes in 1 % (at risk) and 0.1 % (failing) of windows,
    where the package is known.
    """
    if metric.limits is None or metric.drift is None:
        return None
    default = metric.limits
    if metric.drift is DriftStatistic.PSI:
        default = Limits(thresholds.psi_at_risk, thresholds.psi_failing)
    statistic = metric.drift.value
    chosen = thresholds.features.get(feature, {}).get(statistic) or thresholds.statistics.get(statistic, default)
    if package is None or not thresholds.calibrated or metric.quiet is None:
        return chosen
    quiet = metric.quiet(package, feature, rows)
    return Limits(max(chosen.at_risk, quiet.at_risk), max(chosen.failing, quiet.failing))


def drift_status(drift: Value, limits: Limits) -> Judgement:
    """Passing, at risk, failing; unknown where there is no value, or rows are too few to tell.

    Too few: under 30 rows, where the noise has no formula worth its name; or the interval holds the first threshold and
    its standard error is above a third of it.

    >>> drift_status(Value(0.1106, 0.0116, 0.2095), Limits(0.1, 0.25))  # the example of STATISTICS section 2
    Judgement(status=<Status.UNKNOWN: 'unknown'>, borderline=False, reason=<Reason.TOO_FEW_ROWS: 'too_few_rows'>)
    >>> drift_status(Value(0.1106, 0.09, 0.1312), Limits(0.1, 0.25))
    Judgement(status=<Status.AT_RISK: 'at_risk'>, borderline=True, reason=None)
    """
    if drift.value is None:
        return Judgement(Status.UNKNOWN, reason=drift.reason)
    if 0 < drift.n < LEAST_ROWS:
        return Judgement(Status.UNKNOWN, reason=Reason.TOO_FEW_ROWS)
    first, second = limits.at_risk, limits.failing
    low = drift.value if drift.low is None else drift.low
    high = drift.value if drift.high is None else drift.high
    standard_error = (high - low) / (2 * _TWO_SIDED_95)
    if low <= first <= high and standard_error > first / 3:
        return Judgement(Status.UNKNOWN, reason=Reason.TOO_FEW_ROWS)
    borderline = low <= first <= high or low <= second <= high
    if drift.value < first:
        return Judgement(Status.PASSING, borderline)
    return Judgement(Status.AT_RISK if drift.value < second else Status.FAILING, borderline)
