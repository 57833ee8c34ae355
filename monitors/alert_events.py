"""What subscribers are told when the fold over a rule's windows has changed, as CloudEvents.

The fold is recomputed when a closed window is revised, so history can change; what was told cannot be unsaid. `CHANGES`
says what to tell when an episode's path was one thing at the last look and is another now: a crossing that vanished is
`retracted`, one that appeared fires with its window's time and `late`. An episode whose first bad window moves by a
correction keeps its alert. The alert's id is derived from the deployment, the rule, the feature and the first bad
window as first seen; an event's id from the alert's and the sequence. So the same log gives the same ids.
"""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import blake2b

import msgspec

from monitors.alerts import OPEN, Episode, Fold, Path, Point, Step, clear_level
from monitors.spans import span_end
from monitors.table import key_of
from monitors.windows import WindowId
from schemas.deployment import AlertRule, Compare, Span
from schemas.observation import Alert, AlertEvent, AlertPhase, Evidence

_P, _F, _R, _X = AlertPhase.PENDING, AlertPhase.FIRING, AlertPhase.RESOLVED, AlertPhase.RETRACTED

CHANGES: dict[tuple[Path, Path], tuple[AlertPhase, ...]] = {
    (Path.NONE, Path.PENDING): (_P,),
    (Path.NONE, Path.LAPSED): (),  # came and went between two looks, nobody was told
    (Path.NONE, Path.FIRING): (_F,),
    (Path.NONE, Path.RECOVERED): (_F, _R),
    (Path.PENDING, Path.NONE): (_X,),
    (Path.PENDING, Path.LAPSED): (_R,),
    (Path.PENDING, Path.FIRING): (_F,),
    (Path.PENDING, Path.RECOVERED): (_F, _R),
    (Path.LAPSED, Path.NONE): (_X,),
    (Path.LAPSED, Path.PENDING): (_P,),
    (Path.LAPSED, Path.FIRING): (_F,),
    (Path.LAPSED, Path.RECOVERED): (_F, _R),
    (Path.FIRING, Path.NONE): (_X,),
    (Path.FIRING, Path.PENDING): (_X,),
    (Path.FIRING, Path.LAPSED): (_X,),
    (Path.FIRING, Path.RECOVERED): (_R,),
    (Path.RECOVERED, Path.NONE): (_X,),
    (Path.RECOVERED, Path.PENDING): (_X,),
    (Path.RECOVERED, Path.LAPSED): (_X,),
    (Path.RECOVERED, Path.FIRING): (_F,),
}
_BEGINNING_MS = -(1 << 62)


class Told(msgspec.Struct, array_like=True):
    """What was said of one episode: `sequence` events, the last when its path was `path`.

    Once `retracted` it is as if it were not there, until it fires again.
    """

    first_ms: int
    last_ms: int
    path: Path = Path.NONE
    sequence: int = 0
    model: str = ""
    retracted: bool = False


class RuleState(msgspec.Struct, array_like=True):
    """What is kept of a rule and feature: the definition it is folded by, from when on, up to where, what was told."""

    rule: AlertRule
    span: Span
    since_ms: int = _BEGINNING_MS
    folded_ms: int = _BEGINNING_MS
    told: list[Told] = []

    def covers(self, window_id: WindowId) -> bool:
        """Whether a window is of the rule's length and closed after the rule came into force."""
        fits = span_end(window_id.start_ms, self.span) == window_id.end_ms
        return fits and window_id.end_ms > self.since_ms


def means_the_same(old: RuleState, new: RuleState) -> bool:
    """Whether windows that were judged by the old rule are evidence for the new one: only the severity may differ."""
    return old.span is new.span and msgspec.structs.replace(old.rule, severity=new.rule.severity) == new.rule


def alert_id(deployment: str, rule: str, feature: str, first_ms: int) -> str:
    """The identity of an alert, 32 hexadecimal digits."""
    return blake2b(key_of(b"a", deployment, rule, feature, first_ms), digest_size=16).hexdigest()


def carried(state: RuleState, oldest_ms: int) -> Episode | None:
    """The episode that was open when the windows before `oldest_ms` expired."""
    for told in state.told:
        if told.first_ms < oldest_ms and told.path in OPEN:
            return Episode(told.first_ms, told.last_ms, told.path)
    return None


class Announcer:
    """Says for one deployment, rule and feature what the newest fold changes."""

    def __init__(self, deployment: str, rule: AlertRule, feature: str) -> None:
        self._deployment = deployment
        self._rule = rule
        self._feature = feature

    def announce(self, state: RuleState, fold: Fold, *, oldest_ms: int) -> list[AlertEvent]:
        """The events that bring subscribers from what they were told to what `fold` says; updates `state`."""
        events: list[AlertEvent] = []
        for told, episode in _matched(state, fold.episodes):
            path = episode.path if episode else Path.NONE
            if episode is None and told.first_ms < oldest_ms:
                continue  # its windows expired; that takes nothing back
            if told.retracted and path in {Path.PENDING, Path.LAPSED}:
                path = Path.NONE
            for phase in CHANGES.get((told.path, path), ()):
                step = _step_of(phase, episode)
                late = step is not None and step.at.start_ms <= state.folded_ms
                events.append(self._event(told, phase, step, late=late, newest_ms=fold.last_end_ms or told.last_ms))
            told.path = Path.NONE if told.retracted else path
            told.last_ms = episode.last_ms if episode else told.last_ms
        state.told = [told for told in state.told if told.sequence and (told.path in OPEN or told.last_ms >= oldest_ms)]
        state.folded_ms = max(state.folded_ms, fold.last_ms if fold.last_ms is not None else state.folded_ms)
        return events

    def withdraw(self, state: RuleState, at_ms: int) -> list[AlertEvent]:
        """End what is open, because the rule was changed or removed."""
        events = []
        for told in state.told:
            if told.path in OPEN:
                text = f"{self._subject()}: over, because the rule was changed or removed."
                events.append(self._event(told, _R, None, late=False, newest_ms=at_ms, text=text))
        state.told = []
        return events

    def _event(
        self, told: Told, phase: AlertPhase, step: Step | None, *, late: bool, newest_ms: int, text: str = ""
    ) -> AlertEvent:
        told.sequence += 1
        told.retracted = phase is _X
        told.model = step.at.model if step else told.model
        changed_ms = step.at.end_ms if step else newest_ms
        identity = alert_id(self._deployment, self._rule.name, self._feature, told.first_ms)
        data = Alert(
            id=identity,
            deployment=self._deployment,
            rule=self._rule.name,
            metric=self._rule.metric,
            feature=self._feature,
            segment="",
            model=told.model,
            severity=self._rule.severity,
            phase=phase,
            sequence=told.sequence,
            since_ms=told.first_ms,
            changed_ms=changed_ms,
            limit=self._rule.limit,
            windows=tuple(_evidence(point) for point in step.windows) if step else (),
            late=late,
            text=text or self._text(phase, step, late=late),
        )
        return AlertEvent(
            id=f"{identity}-{told.sequence}",
            source=f"/deployments/{self._deployment}",
            type=f"watchkeeper.alert.{phase.value}",
            subject=f"{self._rule.name}/{self._feature}" if self._feature else self._rule.name,
            time=rfc3339(changed_ms),
            data=data,
        )

    def _subject(self) -> str:
        of_feature = f" of {self._feature}" if self._feature else ""
        return f"{self._deployment}: {self._rule.metric}{of_feature} ({self._rule.name})"

    def _text(self, phase: AlertPhase, step: Step | None, *, late: bool) -> str:
        rule, subject = self._rule, self._subject()
        if phase is _X:
            return f"{subject}: retracted, later data changed the windows that this alert rested on."
        against = " against the baseline" if rule.compare is Compare.BASELINE else ""
        side = "above" if rule.above else "below"
        if step is None or step.at.value is None:
            return f"{subject}: {phase.value}."
        now = f"{step.at.value:.4g} in the window from {rfc3339(step.at.start_ms)} ({step.at.n:,} rows)"
        if phase is _R and step.path is Path.LAPSED:
            return f"{subject}: {now}, the limit was passed but not often enough to fire."
        if phase is _R:
            level = f"{'below' if rule.above else 'above'} {clear_level(rule):.4g}"
            return f"{subject}: recovered, {level}{against} in {rule.clear_windows} window(s) in a row; {now}."
        often = f"in {len(step.windows)} of the last {rule.of} window(s), fires at {rule.windows}"
        found = " Found late, by a correction or late rows." if late else ""
        return f"{subject}: {side} {rule.limit:.4g}{against} {often}; {now}.{found}"


def rfc3339(time_ms: int) -> str:
    """An instant as RFC 3339 in UTC.

    >>> rfc3339(1_709_210_096_000)
    '2024-02-29T12:34:56.000Z'
    """
    return datetime.fromtimestamp(time_ms / 1000, tz=UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _matched(state: RuleState, episodes: list[Episode]) -> list[tuple[Told, Episode | None]]:
    """Each alert with its episode, if any is left, and new alerts for episodes that have none, in time order."""
    free = {episode.first_ms: episode for episode in episodes}
    pairs: list[tuple[Told, Episode | None]] = [(told, free.pop(told.first_ms, None)) for told in state.told]
    for index, (told, episode) in enumerate(pairs):
        if episode is None and told.path is not Path.NONE:
            moved = next((e for e in free.values() if e.first_ms <= told.last_ms and told.first_ms <= e.last_ms), None)
            if moved is not None:
                pairs[index] = told, free.pop(moved.first_ms)
    for episode in free.values():
        told = Told(episode.first_ms, episode.last_ms)
        state.told.append(told)
        pairs.append((told, episode))
    return sorted(pairs, key=lambda pair: pair[0].first_ms)


def _step_of(phase: AlertPhase, episode: Episode | None) -> Step | None:
    wanted = {_P: (Path.PENDING,), _F: (Path.FIRING,), _R: (Path.LAPSED, Path.RECOVERED)}.get(phase, ())
    return next((step for step in episode.steps if step.path in wanted), None) if episode else None


def _evidence(point: Point) -> Evidence:
    return Evidence(
        window_start_ms=point.start_ms,
        window_end_ms=point.end_ms,
        value=0.0 if point.value is None else point.value,
        n=point.n,
        low=point.low,
        baseline=point.baseline,
        revision=point.revision,
    )
