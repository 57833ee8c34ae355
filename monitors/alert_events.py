"""What subscribers are told when the folds over an alert's windows have changed, as CloudEvents.

The folds are recomputed when a closed window is revised, so history can change; what was told cannot be unsaid.
`CHANGES` says what to tell when an alert's path was one thing at the last look and is another now: a crossing that
vanished is `retracted`, one that appeared fires with its window's time and `late`. One that has become graver fires
again. An alert whose first bad window moves by a correction keeps its identity. Its id is derived from the deployment,
the alert's name, the segment, the feature and the first bad window as first seen; an event's id from the alert's and
the sequence. So the same log gives the same ids.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import NamedTuple

import msgspec

from monitors.alert_text import acknowledged_text, phase_text, rfc3339, withdrawn_text
from monitors.alerts import GRAVITY, OPEN, Episode, Path, Point, Step
from monitors.table import key_of
from schemas.deployment import Acknowledgement, AlertRule, Severity
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


class AlertKey(NamedTuple):
    """Which alert of a deployment: its name, the segment ("": all rows), the feature ("": none)."""

    alert: str
    segment: str
    feature: str


class Told(msgspec.Struct, array_like=True):
    """What was said of one alert: `sequence` events, the last when its path was `path`, by `rule`.

    Once `retracted` it is as if it were not there, until it fires again. `fired_ms`: the window for which it last
    fired, with this `severity`. `open`: which rules of it were pending or fired at the last look. `changed_ms`: the
    time of the last event.
    """

    first_ms: int
    last_ms: int
    path: Path = Path.NONE
    sequence: int = 0
    model: str = ""
    retracted: bool = False
    acknowledged: bool = False
    severity: Severity = Severity.INFO
    fired_ms: int = _BEGINNING_MS
    rule: str = ""
    open: dict[str, Path] = {}
    changed_ms: int = _BEGINNING_MS


def alert_id(deployment: str, key: AlertKey, first_ms: int) -> str:
    """The identity of an alert, 32 hexadecimal digits."""
    segment = (key.segment,) if key.segment else ()
    named = key_of(b"a", deployment, key.alert, key.feature, first_ms, *segment)
    return blake2b(named, digest_size=16).hexdigest()


def carried(told: Sequence[Told], rule: str, oldest_ms: int) -> Episode | None:
    """A rule's episode that was open when the windows before `oldest_ms` expired."""
    for each in told:
        path = each.open.get(rule, Path.NONE)
        if each.first_ms < oldest_ms and each.path in OPEN and path in OPEN:
            return Episode(each.first_ms, each.last_ms, path, carried=path)
    return None


class Announcer:
    """Says for one alert of a deployment what the newest folds change. `rules` are those that share it."""

    def __init__(self, deployment: str, key: AlertKey, rules: Sequence[AlertRule]) -> None:
        self._deployment = deployment
        self._key = key
        self._rules = {rule.name: rule for rule in rules}
        self._first = rules[0].name

    def announce(
        self,
        told: list[Told],
        episodes: Sequence[Episode],
        *,
        folded_ms: Mapping[str, int],
        newest_ms: int,
        oldest_ms: tuple[int, int],
        open_rules: dict[str, Path],
    ) -> tuple[list[Told], list[AlertEvent]]:
        """The events that bring subscribers from what they were told to what `episodes` say, and what they then know.

        `folded_ms`: the newest window of each rule at the last look; `newest_ms`: the end of the newest one now;
        `oldest_ms`: from which windows on the rules know everything, the first of them and the last.
        """
        events: list[AlertEvent] = []
        for each, episode in _matched(told, episodes):
            path = episode.path if episode else Path.NONE
            if episode is None and each.first_ms < oldest_ms[1]:
                continue  # its windows expired; that takes nothing back
            if each.retracted and path in {Path.PENDING, Path.LAPSED}:
                path = Path.NONE
            phases = CHANGES.get((each.path, path), ())
            if not phases and path is Path.FIRING and _is_graver(each, episode):
                phases = (_F,)
            for phase in phases:
                step = _step_of(phase, episode)
                late = step is not None and step.at.start_ms <= folded_ms.get(step.rule.name, _BEGINNING_MS)
                events.append(self._event(each, phase, step, late=late, newest_ms=newest_ms))
            each.path = Path.NONE if each.retracted else path
            each.last_ms = episode.last_ms if episode else each.last_ms
            each.open = dict(open_rules) if each.path in OPEN else {}
        kept = [each for each in told if each.sequence and (each.path in OPEN or each.last_ms >= oldest_ms[0])]
        return kept, events

    def withdraw(self, told: Sequence[Told], at_ms: int) -> list[AlertEvent]:
        """End what is open, because a rule was changed or removed."""
        text = withdrawn_text(self._deployment, self._key)
        return [
            self._event(each, _R, None, late=False, newest_ms=at_ms, text=text) for each in told if each.path in OPEN
        ]

    def acknowledge(self, told: Sequence[Told], given: Sequence[Acknowledgement], at_ms: int) -> list[AlertEvent]:
        """Say which open alerts somebody has taken note of; what is over, or unknown, stays as it is."""
        by_id = {each.alert: each for each in given}
        events = []
        for each in told:
            found = by_id.get(alert_id(self._deployment, self._key, each.first_ms))
            if found is not None and each.path in OPEN and not each.acknowledged:
                text = acknowledged_text(self._deployment, self._key, found)
                events.append(self._event(each, AlertPhase.ACKNOWLEDGED, None, late=False, newest_ms=at_ms, text=text))
        return events

    def _event(
        self, told: Told, phase: AlertPhase, step: Step | None, *, late: bool, newest_ms: int, text: str = ""
    ) -> AlertEvent:
        told.sequence += 1
        told.retracted = phase is _X
        told.acknowledged = phase is AlertPhase.ACKNOWLEDGED
        if step is not None:
            told.model, told.rule = step.at.model, step.rule.name
        rule = self._rules.get(told.rule, self._rules[self._first])
        if phase is _F and step is not None:
            told.severity, told.fired_ms = step.severity, step.at.start_ms
        elif phase is _P:
            told.severity = rule.severity
        told.changed_ms = changed_ms = step.at.end_ms if step else max(newest_ms, told.changed_ms)
        identity = alert_id(self._deployment, self._key, told.first_ms)
        data = Alert(
            id=identity,
            deployment=self._deployment,
            rule=rule.name,
            metric=rule.metric,
            feature=self._key.feature,
            segment=self._key.segment,
            model=told.model,
            severity=self._severity(told, rule),
            phase=phase,
            sequence=told.sequence,
            since_ms=told.first_ms,
            changed_ms=changed_ms,
            limit=step.level if step else rule.limit,
            windows=tuple(_evidence(point) for point in step.windows) if step else (),
            late=late,
            text=text or phase_text(self._deployment, self._key, phase, step, since_ms=told.first_ms, late=late),
            alert=self._key.alert,
        )
        return AlertEvent(
            id=f"{identity}-{told.sequence}",
            source=f"/deployments/{self._deployment}",
            type=f"watchkeeper.alert.{phase.value}",
            subject="/".join(filter(None, self._key)),
            time=rfc3339(changed_ms),
            data=data,
        )

    def _severity(self, told: Told, rule: AlertRule) -> Severity:
        """As it fired; of a rule without severities by status, as the rule is now."""
        return told.severity if rule.by_status or len(self._rules) > 1 else rule.severity


def _is_graver(told: Told, episode: Episode | None) -> bool:
    """Whether a firing alert has a newer firing step than the one told, of a greater severity."""
    step = _step_of(_F, episode)
    return step is not None and step.at.start_ms > told.fired_ms and GRAVITY[step.severity] > GRAVITY[told.severity]


def _matched(told: list[Told], episodes: Sequence[Episode]) -> list[tuple[Told, Episode | None]]:
    """Each alert with its episode, if any is left, and new alerts for episodes that have none, in time order."""
    free = {episode.first_ms: episode for episode in episodes}
    pairs: list[tuple[Told, Episode | None]] = [(each, free.pop(each.first_ms, None)) for each in told]
    for index, (each, episode) in enumerate(pairs):
        if episode is None and each.path is not Path.NONE:
            moved = next((e for e in free.values() if e.first_ms <= each.last_ms and each.first_ms <= e.last_ms), None)
            if moved is not None:
                pairs[index] = each, free.pop(moved.first_ms)
    for episode in free.values():
        new = Told(episode.first_ms, episode.last_ms)
        told.append(new)
        pairs.append((new, episode))
    return sorted(pairs, key=lambda pair: pair[0].first_ms)


def _step_of(phase: AlertPhase, episode: Episode | None) -> Step | None:
    """The newest step of an episode that a phase speaks of."""
    wanted = {_P: (Path.PENDING,), _F: (Path.FIRING,), _R: (Path.LAPSED, Path.RECOVERED)}.get(phase, ())
    return next((step for step in reversed(episode.steps) if step.path in wanted), None) if episode else None


def _evidence(point: Point) -> Evidence:
    return Evidence(
        window_start_ms=point.start_ms,
        window_end_ms=point.end_ms,
        value=0.0 if point.value is None else point.value,
        n=point.n,
        low=point.low,
        baseline=point.baseline,
        revision=point.revision,
        reference=point.reference,
    )
