"""Alert rules as a fold over the windows of one rule and feature, in time order.

Rules:
- A window is bad, clear or between. One without a value, or with fewer than `min_rows` rows, is left out as if it were
  not there: it neither counts nor interrupts.
- An episode starts with the first bad window (pending), fires when `windows` of the last `of` are bad, and is over when
  `clear_windows` in a row are clear. A pending episode lapses when none of the last `of` windows is bad. After a
  recovery the count starts from nothing. What may follow what is `STEPS`.
- The margin between bad and clear is what keeps a value that swings about its limit from ringing twice.
- An episode that fires becomes graver when a bad window is graver than those before; it never becomes less grave.

`monitors.alert_life` makes alerts of the episodes of one or several rules.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from enum import Enum, StrEnum

from monitors.periods import Range
from monitors.valuation import DRIFT_METRICS
from schemas.deployment import AlertRule, Compare, Severity
from schemas.observation import Status

CLEAR_SHARE = 0.8
_SAVE_EVERY = 64


class Verdict(Enum):
    """What a rule thinks of one window."""

    BAD = "bad"
    BETWEEN = "between"
    CLEAR = "clear"


class Signal(Enum):
    """What the last windows say together."""

    QUIET = "none of the last windows is bad"
    SOME = "some are bad, not enough"
    ENOUGH = "enough are bad"
    CLEARED = "enough in a row are clear"


class Path(StrEnum):
    """How an episode has gone so far."""

    NONE = ""
    PENDING = "pending"
    LAPSED = "lapsed"
    FIRING = "firing"
    RECOVERED = "recovered"


STEPS: dict[tuple[Path, Signal], Path] = {
    (Path.NONE, Signal.SOME): Path.PENDING,
    (Path.NONE, Signal.ENOUGH): Path.FIRING,
    (Path.PENDING, Signal.ENOUGH): Path.FIRING,
    (Path.PENDING, Signal.QUIET): Path.LAPSED,
    (Path.FIRING, Signal.CLEARED): Path.RECOVERED,
}
OPEN = frozenset({Path.PENDING, Path.FIRING})
NOTHING = Range(-(1 << 62), -(1 << 62))
"""Before all windows: the newest one of a fold that has seen none."""
GRAVITY = {severity: rank for rank, severity in enumerate(Severity)}


@dataclass(frozen=True, slots=True)
class Point:
    """A closed window as a rule sees it; `reference` is what it compares with, `baseline` the value on holdout.

    `at_risk`: of a drift statistic that is judged by its own thresholds, the first of them.
    """

    start_ms: int
    end_ms: int
    value: float | None
    n: int
    low: float | None = None
    baseline: float | None = None
    revision: int = 0
    model: str = ""
    reference: float | None = None
    status: Status | None = None
    borderline: bool = False
    at_risk: float | None = None

    def compared(self, reference: float | None) -> Point:
        """The same, with what it is compared with."""
        return replace(self, reference=reference)


@dataclass(frozen=True, slots=True)
class Step:
    """An episode took this path at `at` because of `windows`, by `rule`. `level` is what the value was held against."""

    path: Path
    at: Point
    windows: tuple[Point, ...]
    rule: AlertRule
    severity: Severity
    level: float


@dataclass(slots=True)
class Episode:
    """One crossing. `first_ms`, `last_ms`: starts of its first bad window and of its newest.

    `carried`: the path that it had come when the windows before the first one expired; its steps are those after.
    """

    first_ms: int
    last_ms: int
    path: Path = Path.NONE
    steps: list[Step] = field(default_factory=list)
    carried: Path = Path.NONE

    @property
    def severity(self) -> Severity | None:
        """The gravest of its firing; None before."""
        fired = [step.severity for step in self.steps if step.path is Path.FIRING]
        return max(fired, key=GRAVITY.__getitem__, default=None)


def clear_level(rule: AlertRule) -> float:
    """The value beyond which a window is clear: `clear`, else 0.8 of the limit where that is the good side.

    Where it is not (accuracy below 0.9), it is the limit itself: what a good margin is, only the metric's owner knows.
    Of a ratio it is 0.8 of what the limit is away from 1.

    >>> clear_level(AlertRule("drift", "psi", 0.1)), clear_level(AlertRule("acc", "accuracy", 0.9, above=False))
    (0.08000000000000002, 0.9)
    >>> clear_level(AlertRule("slow", "response_ms_p99", 1.5, compare=Compare.WEEK_AGO, ratio=True))
    1.4
    """
    if rule.clear is not None:
        return rule.clear
    if rule.ratio:
        return 1 + (rule.limit - 1) * CLEAR_SHARE
    shrinks = rule.limit > 0 if rule.above else rule.limit < 0
    return rule.limit * CLEAR_SHARE if shrinks else rule.limit


def level_of(rule: AlertRule, point: Point) -> float:
    """What a window is held against: the rule's limit, or the metric's own threshold where the rule goes by that."""
    return rule.limit if rule.compare is not Compare.STATUS or point.at_risk is None else point.at_risk


def judge(rule: AlertRule, point: Point) -> Verdict | None:
    """The verdict on one window; None where the rule has none.

    A drift statistic is bad where even the lower end of its interval is at the limit (STATISTICS section 4).

    >>> judge(AlertRule("drift", "psi", 0.1), Point(0, 1, value=0.15, low=0.08, n=500))
    <Verdict.BETWEEN: 'between'>
    >>> by_its_own = AlertRule("drift", "psi", 0.1, compare=Compare.STATUS)
    >>> judge(by_its_own, Point(0, 1, value=0.3, low=0.25, n=500, status=Status.PASSING, at_risk=0.4))
    <Verdict.CLEAR: 'clear'>
    """
    if point.value is None or point.n < rule.min_rows:
        return None
    if rule.compare is Compare.STATUS:
        if point.at_risk is None:
            return _by_status(point)
        return _by_threshold(point.value, point.value if point.low is None else point.low, point.at_risk, point.status)
    value = effect(rule, point.value, point.reference)
    if value is None:
        return None
    sign = 1 if rule.above else -1
    limit = sign * rule.limit
    if rule.metric in DRIFT_METRICS and rule.above:
        surely = effect(rule, point.value if point.low is None else point.low, point.reference)
        is_bad = surely is not None and surely >= limit
    else:
        is_bad = sign * value > limit
    if is_bad:
        return Verdict.BAD
    return Verdict.CLEAR if sign * value < sign * clear_level(rule) else Verdict.BETWEEN


def effect(rule: AlertRule, value: float, reference: float | None) -> float | None:
    """What is held against the limit: the value, its difference from the reference, or its ratio to it.

    >>> rule = AlertRule("slow", "response_ms_p99", 1.5, compare=Compare.WEEK_AGO, ratio=True)
    >>> effect(rule, 90.0, 60.0), effect(rule, 90.0, 0.0), effect(rule, 90.0, None)
    (1.5, None, None)
    """
    if rule.compare is Compare.ABSOLUTE:
        return value
    if reference is None:
        return None
    if rule.ratio:
        return value / reference if reference > 0 else None
    return value - reference


def _by_threshold(value: float, low: float, at_risk: float, status: Status | None) -> Verdict:
    """Bad where drift is surely at risk; a window with too few rows for a status may be clear, never bad."""
    if low >= at_risk and status is not Status.UNKNOWN:
        return Verdict.BAD
    return Verdict.CLEAR if value < CLEAR_SHARE * at_risk else Verdict.BETWEEN


def _by_status(point: Point) -> Verdict | None:
    """Bad where the status is surely at risk: not while unknown, nor while a few rows more might change it."""
    if point.status is None or point.status is Status.UNKNOWN:
        return None
    if point.status is Status.FAILING or (point.status is Status.AT_RISK and not point.borderline):
        return Verdict.BAD
    return Verdict.CLEAR if point.status is Status.PASSING and not point.borderline else Verdict.BETWEEN


def _severity(rule: AlertRule, point: Point) -> Severity:
    return Severity.CRITICAL if rule.by_status and point.status is Status.FAILING else rule.severity


@dataclass(frozen=True, slots=True)
class _Saved:
    """A fold as it was before the window that starts at `next_ms`. Of its episodes only the last can still change."""

    next_ms: int
    closed: int
    last: Episode | None
    recent: tuple[tuple[Verdict, Point], ...]
    clear: tuple[Point, ...]


class Fold:
    """The episodes of one rule and feature; `push` the windows in time order.

    `carried` is an episode that was open when the windows before the first one expired.

    >>> fold = Fold(AlertRule("slow", "latency_p95", 100))
    >>> for hour, value in enumerate((90, 120, 95, 70)):
    ...     fold.push(Point(hour, hour + 1, value, n=10))
    >>> [step.path.value for step in fold.episodes[0].steps]
    ['firing', 'recovered']
    """

    def __init__(self, rule: AlertRule, carried: Episode | None = None) -> None:
        self._rule = rule
        self.episodes: list[Episode] = [carried] if carried else []
        self.newest = NOTHING
        self._recent: deque[tuple[Verdict, Point]] = deque(maxlen=max(rule.of, 1))
        self._clear: deque[Point] = deque(maxlen=max(rule.clear_windows, 1))
        self._pushed = 0
        self._saved: list[_Saved] = []

    def push(self, point: Point) -> None:
        """Take in the next window."""
        if self._pushed % _SAVE_EVERY == 0:
            self._save(point.start_ms)
        self._pushed += 1
        self.newest = Range(point.start_ms, point.end_ms)
        verdict = judge(self._rule, point)
        if verdict is None:
            return
        self._recent.append((verdict, point))
        if verdict is Verdict.CLEAR:
            self._clear.append(point)
        else:
            self._clear.clear()
        episode = self.episodes[-1] if self.episodes and self.episodes[-1].path in OPEN else None
        path = episode.path if episode else Path.NONE
        bad = tuple(seen for kind, seen in self._recent if kind is Verdict.BAD)
        goal = STEPS.get((path, self._signal(path, bad)), path)
        if episode is None and goal is not Path.NONE:
            episode = Episode(bad[0].start_ms, point.start_ms)
            self.episodes.append(episode)
        if episode is not None:
            episode.last_ms = point.start_ms
            graver = goal is Path.FIRING and verdict is Verdict.BAD and self._is_graver(episode, point)
            if goal is not path or graver:
                self._take(episode, goal, point, bad)

    def _take(self, episode: Episode, goal: Path, point: Point, bad: tuple[Point, ...]) -> None:
        evidence = tuple(self._clear) if goal in {Path.RECOVERED, Path.LAPSED} else bad
        episode.path = goal
        gravest = max(
            (_severity(self._rule, each) for each in bad), key=GRAVITY.__getitem__, default=self._rule.severity
        )
        episode.steps.append(Step(goal, point, evidence, self._rule, gravest, level_of(self._rule, point)))
        if goal is Path.RECOVERED:
            self._recent.clear()

    def _is_graver(self, episode: Episode, point: Point) -> bool:
        before = episode.severity
        return before is not None and GRAVITY[_severity(self._rule, point)] > GRAVITY[before]

    def rewind(self, to_ms: int) -> int | None:
        """Forget the windows from `to_ms` on; the start from which to push again, None: from the first one kept.

        Most revisions are of new windows, so a fold over thousands is not worth repeating for them.
        """
        while self._saved and self._saved[-1].next_ms > to_ms:
            self._saved.pop()
        if not self._saved:
            return None
        saved = self._saved.pop()
        self._pushed = len(self._saved) * _SAVE_EVERY
        self.episodes[saved.closed :] = [] if saved.last is None else [saved.last]
        self._recent.clear()
        self._recent.extend(saved.recent)
        self._clear.clear()
        self._clear.extend(saved.clear)
        return saved.next_ms

    def _save(self, next_ms: int) -> None:
        last = self.episodes[-1] if self.episodes else None
        copied = replace(last, steps=list(last.steps)) if last else None
        closed = max(len(self.episodes) - 1, 0)
        self._saved.append(_Saved(next_ms, closed, copied, tuple(self._recent), tuple(self._clear)))

    def _signal(self, path: Path, bad: tuple[Point, ...]) -> Signal:
        if path is Path.FIRING and len(self._clear) >= max(self._rule.clear_windows, 1):
            return Signal.CLEARED
        if len(bad) >= self._rule.windows:
            return Signal.ENOUGH
        return Signal.SOME if bad else Signal.QUIET
