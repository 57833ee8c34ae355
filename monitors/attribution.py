"""What moves a model's predictions: the share of each feature in the size of all attributions (STATISTICS section 5).

The share of feature j is `m_j / M`, m_j the mean size of its attributions over rows and M the sum of these means. It
tells of data and model together: a feature may drift and matter no more than before, or gain weight while it alone
looks as ever. Attributions change where inputs do; unlike accuracy they are there before any label.

Variances by the delta method from means and variances of the sizes, those of different features taken as independent:

    var(s_j) = (v_j (1 - 2 s_j) + s_j^2 sum v) / (M^2 n)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from monitors.fixed_point import as_float, unit_near
from monitors.summary import Summary
from schemas.deployment import Settings
from schemas.explanations import Explanations
from schemas.package import Attributions, Baseline, Package

Floats = NDArray[np.float64]

EXPLAINED = "explained"
"""In summaries of predictions: rows with an attribution of every feature."""
LEFT_OUT = "overflow:attribution"
"""Rows whose attributions are too large for the sums, or not finite."""
SIGNED, SIZE, SQUARE = "attribution:{}", "attribution_size:{}", "attribution_square:{}"
"""Sums over these rows by feature: of attributions, of their sizes and of their squares."""

UNIT, SQUARE_UNIT = "attribution", "attribution_square"
MOST_UNITS = float(1 << 18)
"""Sizes from so many units on are left out: their squares would not fit."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Of each of some features the mean and the variance of its attributions' size, over `n` rows."""

    n: int
    means: Floats
    variances: Floats

    @property
    def shares(self) -> Floats:
        """Of each feature, summing to 1; the sum of the means is above 0."""
        return np.asarray(self.means / self.means.sum(), np.float64)

    @property
    def share_variances(self) -> Floats:
        """Sampling variances of the shares."""
        shares = self.shares
        each = self.variances * (1 - 2 * shares) + shares * shares * self.variances.sum()
        return np.asarray(np.maximum(each, 0.0) / (self.means.sum() ** 2 * self.n), np.float64)

    def variance(self, derivatives: Floats) -> float:
        """Sampling variance of a function with these derivatives by the shares."""
        by_mean = (derivatives - (derivatives * self.shares).sum()) / self.means.sum()
        return float((by_mean * by_mean * self.variances).sum() / self.n)


def sizes_in(summary: Summary, package: Package, names: Sequence[str]) -> Sizes:
    """Of a window; at least one row is explained."""
    n, sums, units = summary.count(EXPLAINED), summary.sums, package.baseline.units
    means, squares = (
        np.array([sums.get(key, 0) for key in keys], np.float64) * as_float(1, units.get(unit, 1.0)) / n
        for keys, unit in zip(_keys(tuple(names)), (UNIT, SQUARE_UNIT), strict=True)
    )
    return Sizes(n, np.maximum(means, 0.0), np.maximum(squares - means * means, 0.0))


@lru_cache(maxsize=1024)
def _keys(names: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """The sums of sizes and of squares by name; a window asks for those of all features once for each of them."""
    return [SIZE.format(name) for name in names], [SQUARE.format(name) for name in names]


def sizes_before(known: Attributions, names: Sequence[str]) -> Sizes:
    """Of holdout."""
    means = np.array([known.absolute.get(name, 0.0) for name in names])
    squares = np.array([known.squares.get(name, 0.0) for name in names])
    return Sizes(known.rows, means, np.maximum(squares - means * means, 0.0))


def summed(summary: Summary, package: Package, kind: str, name: str) -> float:
    """One of the sums as the number it stands for."""
    unit = package.baseline.units.get(SQUARE_UNIT if kind == SQUARE else UNIT, 1.0)
    return as_float(summary.sums.get(kind.format(name), 0), unit)


def are_wanted(settings: Settings) -> bool:
    """Whether a deployment's predictions are explained."""
    return settings.explanations


def with_attributions(baseline: Baseline, said: Explanations, centres: dict[str, tuple[float, ...]]) -> Baseline:
    """The baseline with what was said of holdout rows; as it was where no row has finite attributions."""
    rows = said.attributions[np.isfinite(said.attributions).all(axis=1)]
    unit = unit_near(rows)
    rows = rows[(np.abs(rows) < MOST_UNITS * unit).all(axis=1)]
    if not rows.size:
        return baseline
    signed, absolute, squares = (
        dict(zip(said.features, each.mean(axis=0).tolist(), strict=True)) for each in (rows, np.abs(rows), rows * rows)
    )
    known = Attributions(len(rows), centres, signed, absolute, squares)
    units = baseline.units | {UNIT: unit, SQUARE_UNIT: unit * unit}
    return replace(baseline, attributions=known, units=units)
