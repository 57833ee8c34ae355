"""Which segment explains why a mean changed between two periods (STATISTICS section 5).

With a segment's share of the rows and its mean before (share, m_s) and after (share', m_s'), and the mean m of all rows
before, its contribution is

    mix      (share' - share) (m_s - m)    more or fewer rows from where the mean is unusual
    effect   share' (m_s' - m_s)           the segment itself has changed

and the contributions of all segments of one dimension sum to the change of the mean: nothing is left over and nothing
is told twice. A segment that is new has no mean before; it is measured from m, so that all of it is effect. One that is
gone has no mean after; all of it is mix.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import fsum

Part = tuple[int, float]  # rows, mean over them
Parts = Mapping[str, Part]


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one segment adds to the change. `mean_before`, `mean_after` are None where it had no rows then."""

    segment: str
    mix: float
    effect: float
    rows_before: int
    rows_after: int
    mean_before: float | None
    mean_after: float | None

    @property
    def total(self) -> float:
        """Its part of the change, in the unit of the mean."""
        return self.mix + self.effect


def rank_segments(before: Parts, after: Parts) -> list[Contribution]:
    """The segments of one dimension, the one that explains most of the change first (by size, then by name).

    Both periods are (rows, mean) by segment; a segment with no rows is as if it were not named. Nothing where a period
    has no rows at all: there is no change to explain.

    >>> before, after = {"web": (900, 0.10), "app": (100, 0.30)}, {"web": (800, 0.10), "app": (200, 0.35)}
    >>> for one in rank_segments(before, after):
    ...     print(f"{one.segment} mix {one.mix:+.4f} effect {one.effect:+.4f}")
    app mix +0.0180 effect +0.0100
    web mix +0.0020 effect +0.0000
    >>> f"{overall(after) - overall(before):+.4f}"
    '+0.0300'
    """
    was, now = overall(before), overall(after)
    if was is None or now is None:
        return []
    rows_was, rows_now = (sum(rows for rows, _ in parts.values()) for parts in (before, after))
    found = []
    for segment in before.keys() | after.keys():
        (rows_before, mean_before), (rows_after, mean_after) = (part.get(segment, (0, 0.0)) for part in (before, after))
        if not rows_before + rows_after:
            continue
        share_before, share_after = rows_before / rows_was, rows_after / rows_now
        usual = mean_before if rows_before else was
        found.append(
            Contribution(
                segment,
                (share_after - share_before) * (usual - was),
                share_after * (mean_after - usual),
                rows_before,
                rows_after,
                mean_before if rows_before else None,
                mean_after if rows_after else None,
            )
        )
    return sorted(found, key=lambda one: (-abs(one.total), one.segment))


def overall(parts: Parts) -> float | None:
    """The mean over all rows; None where there are none.

    >>> overall({"web": (900, 0.10), "app": (100, 0.30)})
    0.12
    """
    rows = sum(count for count, _ in parts.values())
    return fsum(count * mean for count, mean in parts.values()) / rows if rows else None
