"""The statistics of the measurements: pure, so that they are tested like the rest."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence


def slope(points: Sequence[tuple[float, float]]) -> float:
    """The least-squares slope of (time, value) points; 0 for fewer than two times.

    >>> slope([(0.0, 5.0), (1.0, 7.0), (2.0, 9.0)])
    2.0
    """
    if not points:
        return 0.0
    times, values = np.array(points, np.float64).T
    centred = times - times.mean()
    spread = float(centred @ centred)
    return float(centred @ (values - values.mean())) / spread if spread else 0.0


def since(points: Sequence[tuple[float, float]], start: float) -> list[tuple[float, float]]:
    """The points from a time on.

    >>> since([(0.0, 1.0), (2.0, 3.0)], 1.0)
    [(2.0, 3.0)]
    """
    return list(points[bisect_left(points, start, key=lambda point: point[0]) :])


def rate(points: Sequence[tuple[float, float]]) -> float:
    """Growth per second of a count between its first and last point; 0 where no time passed.

    >>> rate([(0.0, 0.0), (1.0, 50.0), (2.0, 120.0)])
    60.0
    """
    if not points or points[-1][0] <= points[0][0]:
        return 0.0
    (began, first), (ended, last) = points[0], points[-1]
    return (last - first) / (ended - began)


def backlog_rate(points: Sequence[tuple[float, float]], rows: int, skip: float = 0.0) -> float:
    """Rows per second of one who works off a backlog of `rows`, from (time, rows that are out).

    From the first output that was seen (so that starting up does not count), or the first beyond a share `skip` of all
    (so that what was fetched while starting up does not count), to the first moment when all were out.
    ValueError where that was not seen.

    >>> backlog_rate([(0.0, 0), (1.0, 0), (2.0, 100), (3.0, 300), (4.0, 500), (9.0, 500)], 500)
    200.0
    >>> backlog_rate([(0.0, 0), (1.0, 0), (2.0, 300), (3.0, 400), (4.0, 500)], 500, skip=0.5)
    100.0
    """
    first = next((index for index, (_, out) in enumerate(points) if out > skip * rows), None)
    last = next((index for index, (_, out) in enumerate(points) if out >= rows), None)
    if first is None or last is None or first >= last:
        message = f"the backlog of {rows} rows was not seen to be worked off"
        raise ValueError(message)
    return rate([points[first], points[last]])


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of all values does not exceed.

    >>> percentile([4.0, 1.0, 3.0, 2.0], 0.5), percentile([1.0, 2.0, 3.0], 0.99)
    (2.0, 3.0)
    """
    return float(np.quantile(np.asarray(values, np.float64), share, method="inverted_cdf"))
