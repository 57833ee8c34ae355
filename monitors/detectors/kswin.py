"""KSWIN: the newest losses against as many drawn from those before them, by the Kolmogorov-Smirnov test.

Raab, Heusinger, Schleif, Neurocomputing 2020. Only for continuous losses: on 0/1 errors it says little. It is looked at
after every loss, so its alarms are many: 13.5 in 10,000 quiet rows (simulated). Of squared
errors of numbers that grow by a quarter 135 to 836 rows late, 33 false alarms in 25,000.
"""

from __future__ import annotations

from functools import lru_cache
from math import comb
from typing import ClassVar, Self

import msgspec
import numpy as np

from monitors.detectors.protocol import Detector

_LEAST_DISTANCE = 0.1
_GOLDEN, _MASK = 0x9E3779B97F4A7C15, (1 << 64) - 1


class Kswin(Detector, array_like=True):
    """The `window` of the newest losses, of which the last `part` are compared; `draws` counts from the `seed`.

    >>> detector = Kswin.started(seed=7)
    >>> [at for at in range(300) if detector.update((at * 0.618) % 1 / (2 if at < 200 else 1))][:1]
    [223]
    """

    name: ClassVar[str] = "kswin"
    continuous_only: ClassVar[bool] = True

    seed: int = 0
    alpha: float = 0.005
    size: int = 100
    part: int = 30
    draws: int = 0
    window: list[float] = msgspec.field(default_factory=list)

    @classmethod
    def started(cls, seed: int) -> Self:
        return cls(seed=seed & _MASK)

    def update(self, loss: float) -> bool:
        self.window.append(loss)
        if len(self.window) <= self.size:
            if len(self.window) < self.size:
                return False
        else:
            del self.window[0]
        newest = self.window[-self.part :]
        distance = _distance(self._drawn(self.window[: -self.part]), newest)
        if distance <= _LEAST_DISTANCE * self.part or chance(distance, self.part) > self.alpha:
            return False
        self.window = newest
        return True

    def _drawn(self, earlier: list[float]) -> list[float]:
        """A sample without replacement, by splitmix64 from the seed."""
        left = list(earlier)
        drawn = []
        for _ in range(self.part):
            self.draws += 1
            mixed = (self.seed + self.draws * _GOLDEN) & _MASK
            mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9 & _MASK
            mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB & _MASK
            drawn.append(left.pop((mixed ^ (mixed >> 31)) % len(left)))
        return drawn


def _distance(one: list[float], two: list[float]) -> int:
    """The greatest difference of the two counts of losses up to a value."""
    joined = np.sort(np.array(one + two))
    ups = [np.searchsorted(np.sort(side), joined, side="right") for side in (one, two)]
    return int(np.abs(ups[0] - ups[1]).max())


@lru_cache(maxsize=256)
def chance(distance: int, n: int) -> float:
    """How probable this distance or a greater one is, in counts, of two samples of n from one law, exactly.

    2 sum_k (-1)**(k + 1) C(2n, n - k h) / C(2n, n).

    >>> round(chance(14, 30), 6)
    0.00253
    """
    if not distance:
        return 1.0
    paths = sum((-1) ** (k + 1) * comb(2 * n, n - k * distance) for k in range(1, n // distance + 1))
    return min(1.0, float(2 * paths / comb(2 * n, n)))


DETECTOR = Kswin
