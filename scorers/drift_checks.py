"""Guardrails for drift: which statistics are computed, and from where on they are at risk and failing."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

from schemas.deployment import DriftStatistic, JointStatistic, Limits, Settings
from scorers.checks import first_double

_STATISTICS = tuple(statistic.value for statistic in DriftStatistic)
_JOINT = tuple(statistic.value for statistic in JointStatistic)
_WITHOUT_STATUS = DriftStatistic.CHI_SQUARED.value


def drift_fault(settings: Settings, features: Collection[str]) -> str:
    """The first drift statistic or threshold that cannot work.

    >>> drift_fault(Settings(drift_statistics=("psi", "emd")), ())
    "there is no drift statistic 'emd'; there are psi, jensen_shannon, kl, hellinger, total_variation, \
kolmogorov_smirnov, wasserstein, chi_squared"
    """
    thresholds, chosen = settings.thresholds, settings.drift_statistics
    if (double := first_double(chosen)) is not None:
        return f"drift_statistics names {double} twice"
    per_feature = [name for own in thresholds.features.values() for name in own]
    for names, known in (((*chosen, *per_feature), _STATISTICS), (thresholds.statistics, (*_STATISTICS, *_JOINT))):
        if unknown := [name for name in names if name not in known]:
            return f"there is no drift statistic {unknown[0]!r}; there are {', '.join(known)}"
    if not _rises(Limits(thresholds.psi_at_risk, thresholds.psi_failing)):
        first, second = thresholds.psi_at_risk, thresholds.psi_failing
        return f"thresholds must rise from 0: psi_at_risk is {first}, psi_failing is {second}"
    if unknown := [name for name in thresholds.features if name not in features]:
        return f"thresholds name {unknown[0]}, which is not a feature of the deployment"
    groups: Mapping[str, Mapping[str, Limits]] = {"": thresholds.statistics, **thresholds.features}
    for feature, own in groups.items():
        for name, limits in own.items():
            if name == _WITHOUT_STATUS:
                return f"{name} has no thresholds: it grows with the number of rows, whatever the drift"
            if not _rises(limits):
                of = f"{name} of {feature}" if feature else name
                return f"thresholds must rise from 0: those of {of} are {limits.at_risk} and {limits.failing}"
    return ""


def _rises(limits: Limits) -> bool:
    return 0 < limits.at_risk < limits.failing < math.inf
