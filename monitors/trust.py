"""Whether estimates may be believed: what came true of earlier windows beside what had been expected of them.

An estimate assumes that scores still mean what they meant on holdout. A window whose actuals are in says whether that
holds: its verdict is on all later windows of its series that have an estimate only, until a later one has a verdict.

Rules:
- A window has a verdict from 300 actuals and 90 % of its predictions on. What is pending may turn out either way: the
  verdict is "no" only if no outcome of it could bring the realised share back, so that delay is not taken for drift.
- "No" is a gap above 3 standard errors of the estimate (of labels and of holdout) and above one point, as a diagnosis
  asks (STATISTICS section 9): of binary targets in the share of positives or in accuracy, of others in accuracy, MAE.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from monitors.estimate import ESTIMATES
from monitors.metrics import METRICS
from monitors.summary import Summary
from monitors.windows import Series, Window, WindowId
from schemas.package import Package, TargetType

LEAST_ROWS = 300
LEAST_COVERAGE = 0.9

_ERRORS = 3.0
_LEAST_GAP = 0.01
_LOOKED_AT = {
    TargetType.BINARY: ("positive_rate", "accuracy"),
    TargetType.MULTICLASS: ("accuracy",),
    TargetType.REGRESSION: ("mae",),
}


def verdict(summary: Summary, package: Package) -> bool | None:
    """Whether a window came true as expected; None where too little of it is known, or nothing was expected."""
    matched, asked = summary.count("matched"), summary.count("expected")
    if matched < LEAST_ROWS or matched < LEAST_COVERAGE * asked:
        return None
    gaps = [gap for name in _LOOKED_AT[package.target.type] if (gap := _gap(name, summary, package)) is not None]
    return not any(gap > 0 for gap in gaps) if gaps else None


def _gap(name: str, summary: Summary, package: Package) -> float | None:
    """How far a metric is beyond what its estimate allows, whatever the pending rows will be; None: nothing to tell."""
    found, realised = ESTIMATES[name].compute(summary, package), METRICS[name].compute(summary, package, "")
    if found.value is None or found.error is None or realised.value is None:
        return None
    low = high = realised.value
    least = 0.0
    if package.target.type is not TargetType.REGRESSION:
        asked = max(summary.count("expected"), realised.n)
        low = realised.value * realised.n / asked
        high = low + (asked - realised.n) / asked
        least = _LEAST_GAP
    return max(low - found.value, found.value - high) - max(_ERRORS * found.error, least)


class Trust:
    """The verdicts of the windows of one deployment. They are part of the windows' records, here by series."""

    def __init__(self, windows: Mapping[WindowId, Window]) -> None:
        self._windows = windows
        self._judged: dict[Series, set[WindowId]] = {}
        for window_id, window in windows.items():
            if window.came_true is not None:
                self._judged.setdefault(window_id.series, set()).add(window_id)

    def holds(self, window_id: WindowId) -> bool:
        """Whether the last window before, of those that have a verdict, came true as expected; True without any."""
        judged = self._judged.get(window_id.series, ())
        earlier = [one for one in judged if one.start_ms < window_id.start_ms and one in self._windows]
        known = [one for one in earlier if self._windows[one].came_true is not None]
        return not known or bool(self._windows[max(known)].came_true)

    def judge(self, window_id: WindowId, came_true: bool | None) -> Iterator[WindowId]:  # noqa: FBT001  # a verdict
        """Take in a window's verdict; which later windows show an estimate that is now to be seen otherwise."""
        window = self._windows[window_id]
        if window.came_true == came_true:
            return
        window.came_true = came_true
        self._judged.setdefault(window_id.series, set()).add(window_id)
        for later, shown in self._windows.items():
            is_later = later.series == window_id.series and later.start_ms > window_id.start_ms
            if is_later and shown.trusted is not None and shown.trusted != self.holds(later):
                yield later
