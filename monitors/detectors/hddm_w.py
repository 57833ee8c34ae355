"""HDDM-W: as HDDM-A with means that forget, compared by McDiarmid's bound: sooner on gradual changes.

Frias-Blanco et al., IEEE TKDE 2015. Of a step from .2 to .3 in 0/1 errors: .45 false alarms in 10,000 rows, 212 rows
late (simulated). One-sided. On squared errors of numbers (`monitors.folds.losses`) it is of no use: an error that grows
by a quarter was never found (simulated).
"""

from __future__ import annotations

import math
from typing import ClassVar

import msgspec

from monitors.detectors.protocol import Detector


class Fading(msgspec.Struct, array_like=True):
    """An exponentially weighted mean, and the sum of squares of its weights; None before the first loss."""

    mean: float | None = None
    bound: float = 1.0

    def update(self, loss: float, share: float) -> None:
        """Take a loss with this share of the weight."""
        if self.mean is None:
            self.mean, self.bound = loss, 1.0
        else:
            self.mean = share * loss + (1 - share) * self.mean
            self.bound = share * share + (1 - share) ** 2 * self.bound


class HddmW(Detector, array_like=True):
    """`all` losses; those up to the cut, where mean + bound was least; those since.

    >>> detector = HddmW()
    >>> [at for at in range(600) if detector.update(float(at >= 500))]
    [510]
    """

    name: ClassVar[str] = "hddm_w"

    confidence: float = 0.001
    share: float = 0.05
    every: Fading = msgspec.field(default_factory=Fading)
    before: Fading = msgspec.field(default_factory=Fading)
    since: Fading = msgspec.field(default_factory=Fading)
    cut: float | None = None

    def update(self, loss: float) -> bool:
        self.every.update(loss, self.share)
        if self.every.mean is None:
            return False
        reach = self.every.mean + self._bound(self.every.bound)
        if self.cut is None or reach < self.cut:
            self.cut = reach
            self.before, self.since = Fading(self.every.mean, self.every.bound), Fading()
        else:
            self.since.update(loss, self.share)
        if self.before.mean is None or self.since.mean is None:
            return False
        if self.since.mean - self.before.mean <= self._bound(self.before.bound + self.since.bound):
            return False
        self.every, self.before, self.since, self.cut = Fading(), Fading(), Fading(), None
        return True

    def _bound(self, squares: float) -> float:
        return math.sqrt(squares * math.log(1 / self.confidence) / 2)


DETECTOR = HddmW
