"""Sums of a number's values per bin, clipped to the training [1 %, 99 %]: how far mass has moved, outliers apart.

A value's term is its clipped distance above the least clipped value, a whole number of `unit * 2**-32` and at most
2**32. So sums are exact, in any order and to be taken out again, as float64 up to two million rows and as int64 up to
two billion (STATISTICS sections 0 and 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import frexp, ldexp

import numpy as np
import polars as pl
from msgspec.structs import replace
from numpy.typing import NDArray

from monitors.bins import bin_rows
from schemas.package import Clipped, NumericBins

Reals = NDArray[np.float64]

_STEPS = float(1 << 32)
_TAIL = 0.01
_SLICE = 1 << 20


def with_clipped(bins: NumericBins, values: Reals) -> NumericBins:
    """The bins of a training column with the sums of its values (NaN: missing; infinities are clipped as others).

    >>> from monitors.bins import numeric_bins
    >>> column = np.array([0.0, 1.0, 2.0, 3.0])
    >>> found = with_clipped(numeric_bins(column, count=2), column).clipped
    >>> found.low, found.high, found.unit, found.sd, [total / 2**30 for total in found.sums]
    (0.0, 3.0, 4.0, 1.118033988749895, [0.0, 1.0, 5.0, 0.0])
    """
    finite = values[np.isfinite(values)]
    if not finite.size:
        return bins
    low, high = np.quantile(finite, [_TAIL, 1 - _TAIL], method="inverted_cdf").tolist()
    if not np.isfinite(high - low):
        return bins  # wider than a float: nothing that a distance could say
    unit = _power_of_two_at_or_above(high - low)
    sd = float(((np.clip(finite, low, high) - low) / unit).std()) * unit
    empty = Clipped(low, high, unit, sd, ())
    rows, width = bin_rows(bins, pl.Series(values)), len(bins.edges) + 1
    terms, total = clipped_terms(empty, values), np.zeros(width, np.int64)
    for start in range(0, values.size, _SLICE):
        part = slice(start, start + _SLICE)
        total += np.bincount(rows[part], terms[part], minlength=width + 1)[:width].astype(np.int64)
    return replace(bins, clipped=replace(empty, sums=tuple(total.tolist())))


def clipped_terms(clipped: Clipped, values: Reals) -> Reals:
    """The term of each value, a whole number; 0 for NaN.

    >>> clipped_terms(Clipped(1.0, 3.0, 2.0, 1.0, ()), np.array([2.0, 99.0, np.nan])).tolist()
    [2147483648.0, 4294967296.0, 0.0]
    """
    terms: Reals = clipped_matrix([clipped], values[np.newaxis])[0]
    return terms


def clipped_matrix(clipped: Sequence[Clipped | None], values: Reals) -> Reals:
    """The same of several features, which are the rows of `values`; 0 for a feature that is not clipped."""
    lows, highs, scales = np.array([_bounds(one) for one in clipped]).T[:, :, np.newaxis]
    above: Reals = np.fmin(np.fmax(values, lows), highs)
    above -= lows
    above *= scales
    return np.rint(above, out=above)


def _bounds(clipped: Clipped | None) -> tuple[float, float, float]:
    return (clipped.low, clipped.high, _STEPS / clipped.unit) if clipped else (0.0, 0.0, 0.0)


def _power_of_two_at_or_above(span: float) -> float:
    """1 for no span; not so small that a term's scale would overflow.

    >>> _power_of_two_at_or_above(3.0), _power_of_two_at_or_above(4.0), _power_of_two_at_or_above(0.0)
    (4.0, 4.0, 1.0)
    """
    if not span:
        return 1.0
    mantissa, exponent = frexp(span)
    return ldexp(1.0, max(exponent - (mantissa == 0.5), -900))  # noqa: PLR2004 - a power of two itself
