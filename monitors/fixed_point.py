"""Fixed-point sums: exact in any order, and to be taken out again to the last bit (STATISTICS section 0).

Each row's term is rounded once, to a multiple of `unit * 2**-32` (`unit`: a power of two near the quantity's RMS on
holdout, frozen in the package), and added as an integer: two int64 limbs in columns, a Python integer in a summary.
That costs a mean at most `unit * 1.2e-10`. Float sums would depend on the order (100,000 lognormal values forwards and
backwards differ by 3.8e-9) and could not be subtracted to nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import frexp, ldexp

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_FRACTION_BITS = 32
_LIMB = float(1 << _FRACTION_BITS)
_HIGH_LIMIT = float(1 << 38)  # 2**25 rows of such limbs still fit into int64
_EXACT = 1 << 53  # every whole number up to here is a float
_LN2_HIGH = 0.693147180369123816490  # 32 bits: a multiple by an exponent is exact
_LN2_LOW = 1.90821492927058770002e-10
_SQRT_HALF = 0.7071067811865476
_SERIES = tuple(1 / (2 * power + 1) for power in range(12, -1, -1))


@dataclass(frozen=True, slots=True)
class FixedTerms:
    """Terms of rows as integers `high * 2**32 + low`; `overflow` marks rows that have none and count as zero."""

    high: NDArray[np.int64]
    low: NDArray[np.int64]
    overflow: NDArray[np.bool_]

    def totals(self, groups: NDArray[np.intp], count: int, signs: NDArray[np.int64] | int = 1) -> list[int]:
        """The exact sum of each of `count` groups, each row with its sign."""
        return whole(self.limbs(groups, count, signs))

    def limbs(self, groups: NDArray[np.intp], count: int, signs: NDArray[np.int64] | int = 1) -> NDArray[np.int64]:
        """The sums of both limbs for each group, (count, 2): to be added further, and read by `whole`."""
        return np.column_stack([_sums(groups, count, limb * signs) for limb in (self.high, self.low)])


def _sums(groups: NDArray[np.intp], count: int, terms: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sums by group; as floats, a fifth of the time, where they are whole numbers that every float can be."""
    if max(int(terms.max(initial=0)), -int(terms.min(initial=0))) * terms.size < _EXACT:
        return np.bincount(groups, terms, count).astype(np.int64)
    sums = np.zeros(count, np.int64)
    np.add.at(sums, groups, terms)
    return sums


def whole(limbs: NDArray[np.int64]) -> list[int]:
    """The integers that pairs of limbs stand for.

    >>> whole(np.array([[1, 5], [-1, 0]]))
    [4294967301, -4294967296]
    """
    return [(upper << _FRACTION_BITS) + lower for upper, lower in limbs.tolist()]


def fixed_terms(terms: Floats, unit: float) -> FixedTerms:
    """Round each term to a multiple of `unit * 2**-32`; NaN and what is beyond `unit * 2**38` overflow.

    >>> fixed_terms(np.array([1.0, -0.5, np.nan, 1e300]), unit=1.0).totals(np.array([0, 0, 0, 1]), 2)
    [2147483648, 0]
    """
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = np.rint(terms * (_LIMB / unit))
    fits = np.abs(scaled) < _HIGH_LIMIT * _LIMB
    scaled = np.where(fits, scaled, 0.0)
    high = np.floor(scaled / _LIMB)
    return FixedTerms(high.astype(np.int64), (scaled - high * _LIMB).astype(np.int64), ~fits)


def as_float(total: int, unit: float) -> float:
    """The sum that an integer total stands for, correctly rounded.

    >>> as_float(2147483648, unit=1.0)
    0.5
    """
    return total / (1 << _FRACTION_BITS) * unit


def unit_near(terms: Floats) -> float:
    """The power of two next above the RMS of the finite terms; 1.0 where that is zero or there are none.

    >>> unit_near(np.array([3.0, -3.0])), unit_near(np.array([0.0]))
    (4.0, 1.0)
    """
    finite = terms[np.isfinite(terms)]
    greatest = float(np.max(np.abs(finite), initial=0.0))
    if not greatest:
        return 1.0
    rms = greatest * float(np.sqrt(np.mean((finite / greatest) ** 2)))
    return ldexp(1.0, min(max(frexp(rms)[1], -900), 900))


def natural_log(values: Floats) -> Floats:
    """The natural logarithm of positive numbers, with the same bits on every machine.

    Libraries differ in the last place between processors, and a correction may be folded on another one than the row
    it takes back. Only operations that IEEE 754 rounds exactly are used here: `ln m = 2 artanh((m - 1)/(m + 1))` by
    its series, m in [sqrt(1/2), sqrt(2)). Within 3 units in the last place of the true value.

    >>> natural_log(np.array([1.0, 10.0])).tolist()
    [0.0, 2.302585092994046]
    """
    mantissa, exponent = np.frexp(values)
    low = mantissa < _SQRT_HALF
    mantissa = np.where(low, mantissa * 2, mantissa)
    power = (exponent - low).astype(np.float64)
    ratio = (mantissa - 1) / (mantissa + 1)
    square = ratio * ratio
    series = np.full_like(square, _SERIES[0])
    for coefficient in _SERIES[1:]:
        series = series * square + coefficient
    return np.asarray(power * _LN2_HIGH + (2 * ratio * series + power * _LN2_LOW))
