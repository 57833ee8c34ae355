"""What outcomes that are pending can still make of what is known, so that a delay of labels is not taken for drift.

Where delay depends on the outcome, as it mostly does, those known so far are no fair part of all: cancellations come
before stays. So what is seen in them is believed only where no outcome of the pending could undo it. Rules:
- A pending row may come true as anything its prediction allows, or never come. Each function here answers for the
  outcomes that undo most: a bound, no guess.
- One that has expired, or whose actual was none of the target's, is not pending: nothing will come of it. It is left
  out, as it was left out of holdout.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monitors.summary import Counts, Summary

Floats = NDArray[np.float64]

WELL_COVERED = 0.9
"""The share of outcomes below which what is known may be biased by which of them come first (STATISTICS section 7)."""


def pending(summary: Summary) -> int:
    """Rows of a window (`Kind.ACCURACY`) whose outcome may still come."""
    expected, *over = (summary.count(name) for name in ("expected", "matched", "expired", "invalid_actual"))
    return max(expected - sum(over), 0)


def left_of_share(value: float, reference: float, n: int, waiting: int) -> float:
    """What is left of the difference of a share of n rows, or a mean of losses from 0 to 1, to its reference.

    >>> round(left_of_share(0.5, 0.3, 800, 200), 9), left_of_share(0.5, 0.45, 800, 200)
    (0.1, 0.0)
    """
    total = max(n + waiting, 1)
    lowest, highest = value * n / total, (value * n + waiting) / total
    return max(lowest - reference, reference - highest, 0.0)


def left_of_sum(excess: float, n: float, effects: tuple[Floats, Floats], room: Floats, waiting: int) -> float:
    """What is left of a mean excess (the sum `excess` over n rows), in either direction, at least 0.

    `effects`: what a row of each bin adds where it comes true one way or the other; `room`: rows of each bin without an
    outcome. Of these, some of which may have expired, those pending are taken that undo most; pending rows beyond them,
    of which no bin is known, undo as much as any.

    >>> effects = np.array([0.5, 0.9]), np.array([-0.5, -0.1])
    >>> round(left_of_sum(30.0, 100, effects, np.array([20.0, 20.0]), 30), 6)
    0.146154
    """
    undone = np.maximum(np.maximum(*(-np.sign(excess) * each for each in effects)), 0.0)
    order = np.argsort(-undone)
    taken = np.diff(np.minimum(np.cumsum(room[order]), waiting), prepend=0.0)
    unknown = max(waiting - float(room.sum()), 0.0)
    most = float((taken * undone[order]).sum()) + unknown * float(undone.max(initial=0.0))
    return max(abs(excess) - most, 0.0) / max(n + waiting, 1.0)


def left_of_distance(before: Counts, now: Counts, room: Counts, waiting: int) -> float:
    """A Kolmogorov-Smirnov distance that stays between rows by ordered bins, whatever pending ones are added to `now`.

    At each cut the share below it is least where all the pending above are added, and greatest with all those below.

    >>> round(left_of_distance(np.array([50, 50]), np.array([80, 20]), np.array([0, 20]), 10), 6)
    0.227273
    """
    below, free = np.cumsum(now), np.cumsum(room)
    under, over = np.minimum(free, waiting), np.minimum(room.sum() - free, waiting)
    usual = np.cumsum(before) / before.sum()
    lowest, highest = below / (now.sum() + over), (below + under) / (now.sum() + under)
    return float(np.maximum(np.maximum(lowest - usual, usual - highest), 0.0).max())


def nearest(before: Counts, now: Counts, waiting: int) -> Floats:
    """`now` with the pending put where they bring it nearest to `before`: where it has least of it, up to one level.

    Of all counts with so many rows more, or fewer, these have the least of a divergence that is convex in the shares
    (population stability index, total variation): a row more is best where the ratio of the shares is least.

    >>> nearest(np.array([50, 30, 20]), np.array([90, 3, 7]), 50).tolist()
    [90.0, 36.0, 24.0]
    """
    there = np.flatnonzero(before > 0)
    order = there[np.argsort(now[there] / before[there], kind="stable")]
    level = ((waiting + np.cumsum(now[order])) / np.cumsum(before[order])).min(initial=np.inf)
    return np.maximum(now.astype(np.float64), np.where(before > 0, level * before, 0.0) if there.size else 0.0)
