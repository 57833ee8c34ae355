"""What an estimate is: a named pure function from a summary of predictions to what a metric of them will be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import hypot

from monitors.summary import Summary
from schemas.observation import Reason
from schemas.package import Package

Z = 1.96


@dataclass(frozen=True, slots=True)
class Estimated:
    """What a metric of `n` predictions is expected to be; None where `reason` says why.

    Two standard errors: `noise`, of the labels that are drawn with the expected chances, and `doubt`, of those chances
    themselves, as they were measured on a limited holdout. None where they are not known.
    """

    value: float | None
    n: int = 0
    noise: float | None = None
    doubt: float | None = None
    reason: Reason | None = None

    @property
    def error(self) -> float | None:
        """The standard error of both."""
        return None if self.noise is None or self.doubt is None else hypot(self.noise, self.doubt)


@dataclass(frozen=True, slots=True)
class Estimate:
    """The estimate of the metric of that name, for packages that it `applies` to; `low`, `high` bound its values."""

    metric: str
    applies: Callable[[Package], bool]
    compute: Callable[[Summary, Package], Estimated]
    low: float | None = 0.0
    high: float | None = 1.0

    def interval(self, found: Estimated) -> tuple[float | None, float | None]:
        """A 95 % interval of what the metric will be, within its bounds; None where the error is not known."""
        if found.value is None or found.error is None:
            return None, None
        low, high = found.value - Z * found.error, found.value + Z * found.error
        return (
            low if self.low is None else max(low, self.low),
            high if self.high is None else min(high, self.high),
        )
