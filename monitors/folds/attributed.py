"""What moved the predictions: rows with explanations, and by feature the sums of attributions, sizes and squares.

A row counts where it says something of every feature of its model: of rows that name only the greatest, as another
producer's may, shares would be too large. Where no row is explained this costs nothing.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from monitors.attribution import EXPLAINED, LEFT_OUT, MOST_UNITS, SIGNED, SIZE, SQUARE, SQUARE_UNIT, UNIT
from monitors.fixed_point import fixed_terms
from monitors.folds.groups import Groups
from monitors.summary import Counts
from schemas.explanations import COLUMN
from schemas.package import Package


def attributed(frame: pl.DataFrame, package: Package, groups: Groups) -> tuple[dict[str, Counts], dict[str, list[int]]]:
    """Counts and sums by name."""
    names = [feature.name for feature in package.features]
    if COLUMN not in frame.columns or not set(frame[COLUMN].struct.fields).issuperset(names):
        return {}, {}
    columns = frame[COLUMN].struct.unnest()
    numbers = {name: columns[name].to_numpy() for name in names}
    unit = package.baseline.units.get(UNIT, 1.0)
    said, usable = np.ones(frame.height, np.bool_), np.ones(frame.height, np.bool_)
    for number in numbers.values():
        said &= ~np.isnan(number)
        usable &= np.abs(number) < MOST_UNITS * unit  # not of NaN
    counts = {EXPLAINED: groups.tally(usable)}
    if not usable.all():
        counts[LEFT_OUT] = groups.tally(said & ~usable)
        numbers = {name: np.where(usable, number, 0.0) for name, number in numbers.items()}
    sums, square_unit = {}, package.baseline.units.get(SQUARE_UNIT, 1.0)
    for name, number in numbers.items():
        sizes = fixed_terms(np.abs(number), unit)
        sums[SIGNED.format(name)] = groups.totals(sizes, np.where(number < 0, -1, 1))
        sums[SIZE.format(name)] = groups.totals(sizes)
        sums[SQUARE.format(name)] = groups.totals(fixed_terms(number * number, square_unit))
    return counts, sums
