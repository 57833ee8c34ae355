"""One alert from the episodes of the rules that share it.

Rules:
- It fires with the first rule that fires, is pending while rules are pending and none fires, and is over when none
  fires any more. When a firing becomes graver, the alert fires again, graver.
- A new firing within the cooldown of a recovery re-opens the alert; a new pending one is then not mentioned. A rule's
  cooldown counts in its own windows, from its own recovery.
- No two alerts begin at the same time: one that begins before the end of the one before is dated from that end.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from monitors.alerts import GRAVITY, OPEN, Episode, Path, Step

_BEGINNING_MS = -(1 << 62)


def life(members: Sequence[Sequence[Episode]]) -> list[Episode]:
    """The alerts of one feature and segment in time order, from the episodes of each rule.

    >>> from monitors.alerts import Fold, Point
    >>> from schemas.deployment import AlertRule
    >>> slow = Fold(AlertRule("slow", "response_ms_p99", 100, cooldown=2))
    >>> for hour, value in enumerate((120, 70, 130, 70)):  # fires, is over, and again within the cooldown
    ...     slow.push(Point(hour, hour + 1, value, n=10))
    >>> len(slow.episodes), [step.path.value for step in life([slow.episodes])[0].steps]
    (2, ['firing', 'recovered', 'firing', 'recovered'])
    """
    alert = _Life()
    steps: list[tuple[int, int, int, Step, Episode]] = []
    for member, episodes in enumerate(members):
        if episodes and episodes[0].carried:
            alert.carry(member, episodes[0])
        flat = [(step, episode) for episode in episodes for step in episode.steps]
        steps += [(step.at.end_ms, member, at, step, episode) for at, (step, episode) in enumerate(flat)]
    for _, member, _, step, episode in sorted(steps, key=lambda found: found[:3]):
        alert.take(member, step, episode)
    for member in alert.open:
        alert.reach(members[member][-1].last_ms)
    return alert.episodes


class _Life:
    """What has become of the alert so far; `open`: the rules that are pending or fire."""

    def __init__(self) -> None:
        self.episodes: list[Episode] = []
        self.open: dict[int, Path] = {}
        self._cool_ms = _BEGINNING_MS

    def carry(self, member: int, episode: Episode) -> None:
        """An episode of a rule was open when the windows before expired, and so was the alert."""
        self.note(member, episode.carried)
        path = Path.FIRING if Path.FIRING in self.open.values() else Path.PENDING
        self.episodes = [Episode(episode.first_ms, episode.last_ms, path, carried=path)]

    def note(self, member: int, path: Path) -> None:
        """How a rule stands now."""
        if path in OPEN:
            self.open[member] = path
        else:
            self.open.pop(member, None)

    def reach(self, last_ms: int) -> None:
        """The newest window that an open alert has seen."""
        if self.episodes and self.episodes[-1].path in OPEN:
            self.episodes[-1].last_ms = max(self.episodes[-1].last_ms, last_ms)

    def take(self, member: int, step: Step, episode: Episode) -> None:
        """The next step of a rule."""
        self.note(member, step.path)
        last = self.episodes[-1] if self.episodes else None
        current = last if last is not None and last.path in OPEN else None
        cooling = last is not None and last.path is Path.RECOVERED and step.at.end_ms <= self._cool_ms
        if step.path is Path.RECOVERED:
            length_ms = step.at.end_ms - step.at.start_ms
            self._cool_ms = max(self._cool_ms, step.at.end_ms + step.rule.cooldown * length_ms)
        if step.path in OPEN:
            if current is None and cooling and step.path is Path.FIRING:
                current = last
            elif current is None and not cooling:
                current = self._begin(episode)
            if current is not None and _goes_on(current, step):
                _add(current, step.path, step)
        elif current is not None:
            goal = _end(current.path, self.open.values())
            if goal is not None:
                _add(current, goal, step)
        self.reach(step.at.start_ms)

    def _begin(self, episode: Episode) -> Episode:
        first_ms = episode.first_ms
        if self.episodes and self.episodes[-1].steps:
            first_ms = max(first_ms, self.episodes[-1].steps[-1].at.end_ms)
        self.episodes.append(Episode(first_ms, episode.last_ms))
        return self.episodes[-1]


def _goes_on(current: Episode, step: Step) -> bool:
    """Whether an alert that is open changes by a rule that is pending or fires."""
    if current.path is not Path.FIRING:
        return step.path is Path.FIRING or current.path is Path.NONE
    before = current.severity
    return step.path is Path.FIRING and before is not None and GRAVITY[step.severity] > GRAVITY[before]


def _end(path: Path, left: Collection[Path]) -> Path | None:
    """How an open alert ends when a rule is over; None while it goes on for the others."""
    if path is Path.FIRING:
        return None if Path.FIRING in left else Path.RECOVERED
    return None if left else Path.LAPSED


def _add(current: Episode, path: Path, step: Step) -> None:
    current.path = path
    current.last_ms = max(current.last_ms, step.at.start_ms)
    current.steps.append(Step(path, step.at, step.windows, step.rule, step.severity, step.level))
