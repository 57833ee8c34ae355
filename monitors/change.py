"""Evidence that a bucket is not from the baseline: e-values of the change detector (STATISTICS section 4).

With `L(c, a) = lnG(A) - lnG(n + A) + sum lnG(c_k + a_k) - lnG(a_k)`, `A = sum a_k` (Dirichlet-multinomial, lnG the log
of the gamma function): `ln e = L(c, k1 p) - L(c, k0 p)`, k1 = 100, `k0 = 1 / (1 / k_w + 1 / N)`. Without drift
E[e] <= 1, so that e is evidence as it stands, whatever the number of rows. k0 is the tolerance: windows may wander as
Dirichlet(k0 p), and the baseline's own sampling error is in it, so the test is never infinitely sensitive with n.

p is smoothed as everywhere: half a count per bin. All features of a package are one vector of bins, as a deployment may
have hundreds. A feature without rows, without a baseline, or whose baseline is too unstable, has no evidence (NaN; this
never leaves the alert rules, it is no metric).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from monitors.summary import Counts, Summary
from schemas.package import Baseline

Reals = NDArray[np.float64]

ALTERNATIVE = 100.0
DEFAULT_TOLERANCE = 2_000.0
LEAST_ROWS = 20
_SHIFT = 10
# B_2k / (2k (2k - 1)): Stirling's series for ln Gamma, beyond 10 exact to 1e-15
_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360)


def log_gamma(x: ArrayLike) -> Reals:
    """ln Gamma of numbers above 0, to 1e-14 of its size.

    >>> log_gamma([0.5, 5.0, 1e6]).round(6).tolist()  # ln sqrt(pi), ln 24, ...
    [0.572365, 3.178054, 12815504.569148]
    """
    given = np.asarray(x, np.float64)
    is_small = given < _SHIFT
    far = np.where(is_small, given + _SHIFT, given)
    inverse = 1 / far
    square = inverse * inverse
    series = np.zeros_like(far)
    for term in reversed(_STIRLING):
        series = series * square + term
    found: Reals = (far - 0.5) * np.log(far) - far + math.log(2 * math.pi) / 2 + series * inverse
    small = given[is_small]
    rising = small.copy()
    for step in range(1, _SHIFT):
        rising *= small + step
    found[is_small] -= np.log(rising)
    return found


class Reference:
    """What the buckets of one package are measured against, its features side by side.

    `features`: bins and tolerance (k_w) by name; `names` gives the order of what is answered, one number each, and may
    name others, which have no evidence.

    The example of STATISTICS section 2, k0 = 1,429:

    >>> training = {"age": ([1000] * 5 + [0], 2000.0)}
    >>> reference = Reference(["age", "unknown"], training)
    >>> bucket = reference.stacked(Summary({"feature:age": np.array([80, 90, 100, 110, 110, 10])}))
    >>> reference.log_e(bucket).round(3).tolist()
    [7.813, nan]
    """

    def __init__(self, names: Sequence[str], features: Mapping[str, tuple[Iterable[int], float]]) -> None:
        self._width = len(names)
        self._slices: list[tuple[str, int, int]] = []
        self._places = np.array([place for place, name in enumerate(names) if name in features], np.intp)
        priors: list[Reals] = []
        shares: list[Reals] = []
        totals: list[float] = []
        at = 0
        for name in (names[place] for place in self._places):
            counts, tolerance = features[name]
            before = np.array(tuple(counts), np.float64)
            rows, half = before.sum(), before.size / 2
            priors.append((before + 0.5) / (rows + half))
            shares.append(before / rows)
            totals.append(1 / (1 / tolerance + 1 / rows))
            self._slices.append((f"feature:{name}", at, at + before.size))
            at += before.size
        self._starts = np.array([start for _, start, _ in self._slices], np.intp)
        self._bins = at
        p = np.concatenate(priors) if priors else np.zeros(0)
        self._shares = np.concatenate(shares) if shares else np.zeros(0)
        null = np.array(totals)
        self._sizes = np.diff([*self._starts.tolist(), at])
        self._prior = np.stack([p * np.repeat(null, self._sizes), p * ALTERNATIVE])
        self._total = np.stack([null, np.full(null.size, ALTERNATIVE)])
        self._constant = log_gamma(self._total) - self._sums(log_gamma(self._prior))

    def stacked(self, summary: Summary) -> Counts:
        """The counts of a summary of inputs, all bins of all features behind each other; below zero counts as none."""
        found = np.zeros(self._bins, np.int64)
        for name, start, end in self._slices:
            vector = summary.counts.get(name)
            if vector is not None:
                found[start : min(end, start + vector.size)] = vector[: end - start]
        return np.maximum(found, 0)

    def log_e(self, counts: Counts | Reals) -> Reals:
        """ln e of stacked counts, one for each name; NaN where there is no evidence."""
        found = np.full(self._width, np.nan)
        if not self._starts.size:
            return found
        rows = np.add.reduceat(counts, self._starts)
        likelihood = self._constant - log_gamma(self._total + rows) + self._sums(log_gamma(self._prior + counts))
        found[self._places] = np.where(rows > 0, likelihood[1] - likelihood[0], np.nan)
        return found

    def least(self, counts: Counts) -> Reals:
        """The least that ln e could be with as many rows: when they fall exactly as in training."""
        if not self._starts.size:
            return np.full(self._width, np.nan)
        rows = np.add.reduceat(counts, self._starts)
        return self.log_e(np.repeat(rows, self._sizes) * self._shares)

    def _sums(self, values: Reals) -> Reals:
        """Over the bins of each feature."""
        if not self._starts.size:
            return np.zeros((len(values), 0))
        totals: Reals = np.add.reduceat(values, self._starts, axis=1)
        return totals


def reference_of(baseline: Baseline, names: Sequence[str]) -> Reference:
    """Of a package's baseline. One without a table of tolerances (an older package) gets the default for all.

    An older package has no noise tables either; where there are some, an empty table says that all are unstable.
    """
    usual = {} if baseline.noise else dict.fromkeys(baseline.features, DEFAULT_TOLERANCE)
    tolerances = baseline.tolerance or usual
    known = {
        name: (bins.counts, tolerances[name])
        for name, bins in baseline.features.items()
        if name in tolerances and tolerances[name] > 0 and any(bins.counts)
    }
    return Reference(names, known)
