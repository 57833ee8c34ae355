"""Losses of a regression that have a domain: relative error, squared log error, Poisson, Gamma and Tweedie deviance.

A row outside a loss's domain adds nothing to it. The rows inside are counted by domain (`IN` and its name), so a mean
is over the rows that were summed, and who reads it can say how many were not.

Deviances of the null model are summed against the frozen `centre`, row by row as small numbers; that of the window's
own mean m follows exactly: `sum d(y, m) = sum d(y, c) - n d(m, c)`. Sums of `y ln y` would lose what they are about
where actuals are far from zero. For the error of a ratio of the two (FVE) there are sums of products as well: of a
row's deviance, its null deviance and its actual (`PRODUCTS`). As d(y, m) - d(y, c) is linear in y, they are enough for
the mean of any window; `CROSSED` rows have them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monitors.fixed_point import natural_log
from schemas.package import NumericBins, Package

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

IN = "in:"
NONZERO, ABOVE_MINUS_ONE, NONNEGATIVE, POSITIVE = "nonzero", "above_minus_one", "nonnegative", "positive"
DOMAINS = {
    "ape": NONZERO,
    "sle": ABOVE_MINUS_ONE,
    "poisson": NONNEGATIVE,
    "tweedie": NONNEGATIVE,
    "poisson_null": NONNEGATIVE,
    "nonnegative_y": NONNEGATIVE,
    "gamma": POSITIVE,
    "gamma_null": POSITIVE,
}
"""The domain of each sum: y is not 0; y and f are above -1; y >= 0 and f > 0; both are above 0."""

CROSSED = "crossed"
PRODUCTS = ("{}_null2", "{}_both", "{}_y", "{}_null_y")
"""Of a family: null deviance squared; deviance by null deviance, and each by the actual, from its centre."""

for _family, _domain in (("poisson", NONNEGATIVE), ("gamma", POSITIVE)):
    DOMAINS |= {name.format(_family): _domain for name in PRODUCTS}
DOMAINS["nonnegative_y2"] = NONNEGATIVE

_SQUARED = ("ape", "sle", "poisson", "tweedie", "gamma")
DOMAINS |= {f"{name}2": DOMAINS[name] for name in _SQUARED}

Losses = tuple[dict[str, Flags], dict[str, Floats]]


def is_nonnegative(package: Package) -> bool:
    """Whether logarithms of the actuals make sense: none on holdout was below 0 (or nothing is known of them)."""
    bins = package.baseline.target
    return not isinstance(bins, NumericBins) or not bins.edges or bool(np.nextafter(bins.edges[0], np.inf) >= 0)


def null_centre(centre: float) -> float:
    """The mean that null deviances are summed against: the centre of the actuals, 1.0 where it is not above 0."""
    return centre if centre > 0 else 1.0


def losses(actual: Floats, predicted: Floats, usable: Flags, package: Package, centre: float) -> Losses:
    """The rows inside each domain, and each sum's terms (of any value outside the domain of the sum).

    `centre`: what actuals are measured from. Logarithms only where `is_nonnegative` says that they make sense.
    """
    relative = np.abs(predicted - actual) / np.abs(actual)
    domains = {NONZERO: usable & (actual != 0)}
    terms = {"ape": relative}
    if is_nonnegative(package):
        domains |= {
            ABOVE_MINUS_ONE: usable & (actual > -1) & (predicted > -1),
            NONNEGATIVE: usable & (actual >= 0) & (predicted > 0),
            POSITIVE: usable & (actual > 0) & (predicted > 0),
        }
        terms |= _logarithmic(actual, predicted, domains, centre)
    return domains, terms | {f"{name}2": terms[name] * terms[name] for name in _SQUARED if name in terms}


def _logarithmic(actual: Floats, predicted: Floats, domains: dict[str, Flags], centre: float) -> dict[str, Floats]:
    middle, positive = null_centre(centre), domains[POSITIVE]
    of_rows = natural_log(np.where(domains[ABOVE_MINUS_ONE], (1 + predicted) / (1 + actual), 1.0))
    of_ratio = natural_log(np.where(positive, actual / predicted, 1.0))
    of_null = natural_log(np.where(positive, actual / middle, 1.0))
    roots = np.sqrt(actual) - np.sqrt(predicted)
    offset = actual - centre
    found = {
        "sle": of_rows * of_rows,
        "poisson": 2 * (actual * of_ratio - actual + predicted),
        "poisson_null": 2 * (actual * of_null - actual + middle),
        "gamma": 2 * (actual / predicted - 1 - of_ratio),
        "gamma_null": 2 * (actual / middle - 1 - of_null),
        "tweedie": 4 * roots * roots / np.sqrt(predicted),
        "nonnegative_y": offset,
        "nonnegative_y2": offset * offset,
    }
    for family in ("poisson", "gamma"):
        of_model, of_mean = found[family], found[f"{family}_null"]
        products = (of_mean * of_mean, of_model * of_mean, of_model * offset, of_mean * offset)
        found |= {name.format(family): product for name, product in zip(PRODUCTS, products, strict=True)}
    return found
