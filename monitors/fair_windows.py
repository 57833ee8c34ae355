"""The windows of protected groups: what each is compared with, and when that has changed.

Rules:
- A group's ratio rests on the other groups of its feature in the same window. So a change of one makes the windows of
  all of them due.
- Outcomes of a window are taken to be in when its predictions are as old as `monitors.resolved_age` asks, or when none
  of any group is pending. A window that was told without becomes due again when it has come of age.
- Where nothing is protected, nothing here is done.

All of it is derived from the buckets and the windows' records.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from monitors.fair_holdout import holdout_tallies
from monitors.metrics.parity import Groups
from monitors.metrics.tallies import Tally, tally
from monitors.window_book import WindowBook
from monitors.windows import Series, WindowId, window_at
from schemas.deployment import Settings
from schemas.fairness import Fairness
from schemas.observation import Kind
from schemas.package import Package

COMPARED = frozenset({Kind.PREDICTIONS, Kind.ACCURACY})
_MOST_TALLIES = 4096


def protected_feature(segment: str, fairness: Fairness) -> str:
    """The protected feature whose group a segment is; "" where it is none.

    >>> protected_feature("sex=f", Fairness(("sex",))), protected_feature("plan=free", Fairness(("sex",)))
    ('sex', '')
    """
    name, equals, _ = segment.partition("=")
    return name if equals and name in fairness.protected else ""


def reference_of(feature: str, fairness: Fairness) -> str:
    """The segment that a protected feature's groups are measured by; "" where none is declared."""
    value = fairness.reference.get(feature)
    return "" if value is None else f"{feature}={value}"


class FairWindows:
    """Over the windows of one deployment."""

    def __init__(self, windows: WindowBook) -> None:
        self._windows = windows
        self._unresolved = {window_id for window_id, one in windows.windows.items() if one.resolved is False}
        self._fairness = Fairness()
        self._tallies: dict[WindowId, Tally] = {}
        self._holdout: dict[tuple[str, str], Mapping[str, Tally] | None] = {}

    def touch(self, changed: Iterable[tuple[Series, int]], settings: Settings, old_ms: int | None) -> None:
        """Mark as due the windows that rest on a bucket that changed, and those that have come of age.

        `old_ms`: predictions from before have their outcomes, as far as they ever will; None: none has.
        """
        if settings.fairness != self._fairness:
            self._fairness = settings.fairness
            self._tallies.clear()
            self._holdout.clear()
        if not self._fairness.protected:
            return
        if len(self._tallies) > _MOST_TALLIES:
            self._tallies.clear()
        touched: set[WindowId] = set()
        for series, bucket_ms in changed:
            if series.kind in COMPARED and protected_feature(series.segment, self._fairness):
                window_id = WindowId(*window_at(bucket_ms, settings, series.kind), series)
                self._tallies.pop(window_id, None)
                touched.add(window_id)
        beside = {other for window_id in touched for other in self._beside(window_id)}
        of_age = {one for one in self._unresolved if old_ms is not None and one.end_ms <= old_ms}
        self._unresolved -= of_age
        for window_id in sorted(beside | of_age):
            window = self._windows.windows.get(window_id)
            holds_rows = self._windows.buckets.starts(window_id.series, window_id.start_ms, window_id.end_ms)
            if window is not None and holds_rows and not window.dirty:
                window.dirty = True
                self._windows.change(window_id)

    def groups(self, window_id: WindowId, package: Package, old_ms: int | None) -> Groups | None:
        """What a window is compared with; None where it is of no protected group. Notes whether it is resolved."""
        series = window_id.series
        feature = protected_feature(series.segment, self._fairness) if series.kind in COMPARED else ""
        if not feature:
            return None
        tallies = {other.series.segment: self._tally(other, package) for other in self._beside(window_id)}
        resolved = series.kind is not Kind.ACCURACY or (
            (old_ms is not None and window_id.end_ms <= old_ms) or not any(one.pending for one in tallies.values())
        )
        if resolved:
            self._unresolved.discard(window_id)
        else:
            self._unresolved.add(window_id)
        place = package.digest, feature
        if place not in self._holdout:
            self._holdout[place] = holdout_tallies(package, feature, self._fairness)
        reference = reference_of(feature, self._fairness)
        return Groups(series.segment, tallies, reference, self._holdout[place], resolved)

    def _beside(self, window_id: WindowId) -> list[WindowId]:
        """The windows of all groups of the feature that have rows, that one included."""
        feature = protected_feature(window_id.series.segment, self._fairness)
        return [
            window_id._replace(series=series)
            for series in self._windows.buckets.beside(window_id.series)
            if protected_feature(series.segment, self._fairness) == feature
            and self._windows.buckets.starts(series, window_id.start_ms, window_id.end_ms)
        ]

    def _tally(self, window_id: WindowId, package: Package) -> Tally:
        known = self._tallies.get(window_id)
        if known is None:
            summary = self._windows.summary(window_id)
            known = tally(window_id.series.kind, summary, package, self._fairness)
            self._tallies[window_id] = known
        return known
