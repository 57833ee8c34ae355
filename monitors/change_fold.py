"""The change detector as a fold over the base buckets of one segment, all features of a deployment side by side.

Rules (STATISTICS section 4):
- It fires where the decider finds the evidence enough. The change is dated by the start of the run of buckets whose
  evidence together is greatest (the maximum-likelihood date, as CUSUM has it; Page, Biometrika 1954).
- It stays until at least six buckets have passed, the last six all speak against a change (ln e < 0), and so do their
  pooled counts: ln e <= -ln 10 or, for features of few bins, half of the least that it could be with as many rows (with
  two bins it is never below -1.45, and an alert would never end). Then the statistic begins anew.
- Order matters here, so a revised bucket takes the fold back to a state saved before it. The same buckets give the same
  fold, whatever was pushed and taken back in between.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from monitors.alerts import NOTHING, OPEN, Episode, Path, Point, Step
from monitors.change import Reals
from monitors.multiplicity import Decider, Flags
from monitors.periods import Range
from schemas.deployment import CHANGE_CLEAR_WINDOWS, AlertRule

_SAVE_EVERY = 64


@dataclass(frozen=True, slots=True)
class Bucket:
    """A closed base bucket with enough rows.

    `log_e`: ln e of each feature (NaN: none); `cleared`: where the last six, pooled, speak against a change.
    """

    start_ms: int
    end_ms: int
    n: int
    model: str
    log_e: Reals
    cleared: Flags

    def only(self, where: Flags) -> Bucket:
        """The same, with the evidence of some features."""
        return replace(self, log_e=np.where(where, self.log_e, np.nan))


@dataclass(frozen=True, slots=True)
class _State:
    cusum: Reals
    since_ms: NDArray[np.int64]
    firing: Flags
    passed: NDArray[np.int64]
    against: NDArray[np.int64]
    decider: object


class ChangeFold:
    """The episodes of one change rule and segment; `push` the buckets in time order, `rewind` to before a revised one.

    `carried`: episodes, by feature's place, that were open when the buckets before the first one expired.
    """

    def __init__(
        self, rule: AlertRule, width: int, decider: Decider, carried: dict[int, Episode] | None = None
    ) -> None:
        self._rule = rule
        self._decider = decider
        self._carried = carried or {}
        self._steps: dict[int, list[tuple[int, Step]]] = {}
        self._cusum: Reals = np.zeros(width)
        self._since_ms = np.zeros(width, np.int64)
        self._firing = np.zeros(width, np.bool_)
        self._firing[list(self._carried)] = True
        self._passed = np.zeros(width, np.int64)
        self._against = np.zeros(width, np.int64)
        self._pushed = 0
        self._saved: list[tuple[int, _State]] = []
        self.newest = NOTHING

    def push(self, bucket: Bucket) -> None:
        """Take in the next bucket."""
        if self._pushed % _SAVE_EVERY == 0:
            self._saved.append((bucket.start_ms, self._state()))
        self._pushed += 1
        self.newest = Range(bucket.start_ms, bucket.end_ms)
        seen = ~np.isnan(bucket.log_e)
        self._since_ms = np.where(seen & (self._cusum <= 0), bucket.start_ms, self._since_ms)
        self._cusum = np.where(seen, np.maximum(self._cusum, 0) + bucket.log_e, self._cusum)
        statistic, level, enough = self._decider.judge(bucket.log_e)
        self._passed = self._passed + (seen & self._firing)
        self._against = np.where(seen, np.where(bucket.log_e < 0, self._against + 1, 0), self._against)
        long_enough = np.minimum(self._passed, self._against) >= CHANGE_CLEAR_WINDOWS
        over = seen & self._firing & long_enough & bucket.cleared
        fires = enough & ~self._firing
        for place in np.flatnonzero(fires | over).tolist():
            self._step(place, bucket, float(statistic[place]), float(level[place]), fires=bool(fires[place]))
        self._passed = np.where(fires, 0, self._passed)
        self._firing = (self._firing | fires) & ~over
        self._cusum = np.where(over, 0.0, self._cusum)
        self._decider.clear(over)

    def rewind(self, to_ms: int) -> int | None:
        """Forget the buckets from `to_ms` on; the start from which to push again, None: from the first one kept."""
        while self._saved and self._saved[-1][0] > to_ms:
            self._saved.pop()
        if not self._saved:
            return None
        next_ms, state = self._saved.pop()
        self._pushed = len(self._saved) * _SAVE_EVERY
        self._cusum, self._since_ms, self._firing = state.cusum, state.since_ms, state.firing
        self._passed, self._against = state.passed, state.against
        self._decider.restore(state.decider)
        kept = {
            place: [each for each in steps if each[1].at.start_ms < next_ms] for place, steps in self._steps.items()
        }
        self._steps = {place: steps for place, steps in kept.items() if steps}
        return next_ms

    def episodes(self, place: int) -> list[Episode]:
        """What became of one feature, in time order."""
        carried = self._carried.get(place)
        found = [replace(carried, steps=[])] if carried else []
        for since_ms, step in self._steps.get(place, ()):
            if step.path is Path.FIRING:
                found.append(Episode(since_ms, step.at.start_ms))
            found[-1].path, found[-1].last_ms = step.path, step.at.start_ms
            found[-1].steps.append(step)
        if found and found[-1].path in OPEN:
            found[-1].last_ms = max(found[-1].last_ms, self.newest.start_ms)
        return found

    @property
    def places(self) -> set[int]:
        """The features that have episodes."""
        return self._steps.keys() | self._carried.keys()

    def _step(self, place: int, bucket: Bucket, value: float, level: float, *, fires: bool) -> None:
        point = Point(bucket.start_ms, bucket.end_ms, value, bucket.n, model=bucket.model)
        path = Path.FIRING if fires else Path.RECOVERED
        step = Step(path, point, (point,), self._rule, self._rule.severity, level)
        self._steps.setdefault(place, []).append((int(self._since_ms[place]), step))

    def _state(self) -> _State:
        return _State(self._cusum, self._since_ms, self._firing, self._passed, self._against, self._decider.saved())
