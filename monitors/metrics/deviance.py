"""Mean deviance of a regression: Poisson, Gamma and Tweedie of power 1.5; exact.

Poisson `2 (y ln(y / f) - y + f)`, Gamma `2 (ln(f / y) + y / f - 1)`, Tweedie `4 (sqrt y - sqrt f)^2 / sqrt f`, which is
the general formula at 1.5. Rows outside the domain (y >= 0 and f > 0; Gamma: y > 0) are left out, with
`nonpositive_value` as the warning. They do not apply where actuals below 0 were seen on holdout.
"""

from __future__ import annotations

from monitors.metrics import targets
from monitors.metrics.intervals import loss
from monitors.metrics.protocol import Metric, Value
from monitors.summary import Summary
from schemas.observation import Kind
from schemas.package import Package


def _deviance(family: str) -> Metric:
    name = f"{family}_deviance"

    def compute(summary: Summary, package: Package, feature: str = "") -> Value:
        del feature
        return loss(summary, package, family, f"{family}2", targets.holdout(package, name))

    return Metric(name, Kind.ACCURACY, targets.nonnegative, compute)


METRICS = tuple(_deviance(family) for family in ("poisson", "gamma", "tweedie"))
