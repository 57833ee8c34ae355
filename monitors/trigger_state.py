"""One trigger rule in force: what it waits for, what stands, what was told.

Rules:
- Nothing is judged here a second time: alerts and verdicts are taken as they are told. Time is the watermark.
- A rule looks at what comes after it came into force, like an alert rule: an alert that fires already, a verdict on
  predictions that were resolved by then, the slot of the schedule that it begins in are no news.
- What triggers is latched: an alert that goes on firing, or grows graver, and a verdict that is told again trigger
  once. After an alert was resolved its next firing is news.
- A rule triggers once at one event time, also without a cooldown: a second trigger would ask for the same data again.
- Labels come without predictions, too: a backfill of outcomes moves no event time. So a rule on labels triggers again
  also when the ticks of progress have gone on for its cooldown, and for a minute at least. Ticks are in the log.
- In a cooldown grounds wait, and what is resolved meanwhile goes. A trigger that was retracted has its cooldown all the
  same: somebody may have acted on it.
- A trigger is retracted when each of its alerts is retracted and each of its verdicts overturned. Slots and counts of
  rows are facts of their time: they are never overturned.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

import msgspec

from monitors.alert_text import rfc3339
from schemas.iso_duration import duration_ms
from schemas.observation import AlertEvent, AlertPhase, Decision, Verdict
from schemas.trigger import Ground, Trigger, TriggerPhase, TriggerRule

_SLOT, _LABELS = "schedule", "labels"
_SHORT = 12
LEAST_TICKS_MS = 60_000

length_ms = lru_cache(maxsize=256)(duration_ms)


class Told(msgspec.Struct, array_like=True):
    """A trigger as it was told last, and those of its grounds that still stand."""

    trigger: Trigger
    standing: list[str]


class TriggerState(msgspec.Struct, array_like=True):
    """A rule, in force by `revision`.

    `resolved_ms`: predictions before were resolved then. `slot`: the newest of the schedule. `labels`: rows counted
    from `labels_ms` on. `waiting` has not triggered yet, `latched` has and still stands, both by the id of the ground.
    There were `count` triggers, the last at `last_ms`, in the ticks of progress at `last_tick_ms`; `told` are the
    newest of them.
    """

    rule: TriggerRule
    revision: int
    resolved_ms: int
    slot: int
    labels_ms: int
    labels: int = 0
    waiting: dict[str, Ground] = {}
    latched: list[str] = []
    count: int = 0
    last_ms: int | None = None
    told: list[Told] = []
    last_tick_ms: int | None = None

    def waits_for_the_same(self, rule: TriggerRule) -> bool:
        """Whether what is known here is of use to another form of the rule."""
        return all(
            getattr(self.rule, name) == getattr(rule, name) for name in ("alert", "every", "new_labels", "verdict")
        )

    def is_free(self, watermark: int, tick_ms: int) -> bool:
        """Whether no cooldown holds it back; without one the event time must have come further, or of labels time."""
        cooldown_ms = length_ms(self.rule.cooldown) if self.rule.cooldown else 0
        if self.last_ms is None or watermark >= self.last_ms + max(cooldown_ms, 1):
            return True
        by_labels = self.rule.new_labels > 0 and self.last_tick_ms is not None
        return by_labels and tick_ms >= (self.last_tick_ms or 0) + max(cooldown_ms, LEAST_TICKS_MS)

    def is_due(self, watermark: int, tick_ms: int) -> bool:
        """Whether there is something to do though nothing was told: by the time, by rows, by the end of a cooldown."""
        if self.rule.every and watermark // length_ms(self.rule.every) > self.slot:
            return True
        return (bool(self.waiting) or 0 < self.rule.new_labels <= self.labels) and self.is_free(watermark, tick_ms)

    def read_alerts(self, alerts: Iterable[AlertEvent]) -> set[str]:
        """Take alerts in their order; which are retracted."""
        retracted = set()
        for alert in (event.data for event in alerts):
            if alert.phase is AlertPhase.FIRING:
                if self.rule.alert and (alert.alert or alert.rule) == self.rule.alert:
                    self._stands(Ground(alert.id, alert.text, alert.since_ms))
            elif alert.phase in {AlertPhase.RESOLVED, AlertPhase.RETRACTED}:
                self._ends(alert.id)
                if alert.phase is AlertPhase.RETRACTED:
                    retracted.add(alert.id)
        return retracted

    def read_verdicts(self, verdicts: Iterable[Verdict], champion: str) -> set[str]:
        """Take verdicts; which decisions are overturned. Those beside another champion than this are not acted on."""
        overturned: set[str] = set()
        for verdict in verdicts:
            stands, decision = _decision_id(verdict), verdict.decision
            known = {*self.waiting, *self.latched, *(each for told in self.told for each in told.standing)}
            for gone in sorted(each for each in known if each.startswith(_pair(verdict)) and each != stands):
                self._ends(gone)
                overturned.add(gone)
            if decision is None or self.rule.verdict is None or verdict.finding != self.rule.verdict.value:
                continue
            if verdict.champion == champion and decision.until_ms > self.resolved_ms:
                text = _verdict_text(verdict, decision)
                self._stands(Ground(stands, text, decision.until_ms, decision.n, verdict.challenger))
        if self.rule.verdict is not None and self.waiting:
            ours = f"{champion[:_SHORT]}|"
            self.waiting = {key: ground for key, ground in self.waiting.items() if key.startswith(ours)}
        return overturned

    def read_time(self, watermark: int) -> None:
        """Take note of a new slot of the schedule."""
        if not self.rule.every:
            return
        slot_ms = length_ms(self.rule.every)
        if watermark // slot_ms > self.slot:
            self.slot = watermark // slot_ms
            start_ms = self.slot * slot_ms
            self._stands(Ground(_SLOT, f"another {self.rule.every} began at {rfc3339(start_ms)}", start_ms))

    def read_labels(self) -> None:
        """Take note of enough labelled rows; withdrawals may have taken away what was enough."""
        if not self.rule.new_labels:
            return
        self.waiting.clear()
        if self.labels >= self.rule.new_labels:
            # those that a deployment begins with count whatever came before: no event time says since when
            is_first = self.revision == 1 and not self.count
            since = "the deployment began" if is_first else rfc3339(self.labels_ms)
            text = f"{self.labels:,} rows were labelled since {since}"
            self._stands(Ground(_LABELS, text, self.labels_ms, self.labels))

    def tell(self, trigger: Trigger, tick_ms: int, most: int) -> None:
        """It triggers with all that waits; the newest `most` triggers are kept."""
        ids = [ground.id for ground in trigger.grounds]
        self.told = [*self.told, Told(trigger, ids)][-most:]
        self.latched += [each for each in ids if each not in {_SLOT, _LABELS}]
        self.waiting, self.last_ms, self.last_tick_ms = {}, trigger.at_ms, tick_ms
        self.labels, self.labels_ms = 0, trigger.at_ms

    def retract(self, overturned: set[str]) -> Iterator[Trigger]:
        """Take back what rests on nothing any more."""
        for told in self.told if overturned else ():
            if told.standing and overturned.issuperset(told.standing):
                told.trigger = _retracted(told.trigger)
                yield told.trigger
            told.standing = [each for each in told.standing if each not in overturned]

    def _stands(self, ground: Ground) -> None:
        if ground.id not in self.latched:
            self.waiting[ground.id] = ground

    def _ends(self, ground_id: str) -> None:
        self.waiting.pop(ground_id, None)
        if ground_id in self.latched:
            self.latched.remove(ground_id)


def _pair(verdict: Verdict) -> str:
    return f"{verdict.champion[:_SHORT]}|{verdict.challenger[:_SHORT]}|"


def _decision_id(verdict: Verdict) -> str:
    """What names a decision on a pair; "" where none stands. The same predictions, revised, may be decided anew."""
    decision = verdict.decision
    if decision is None or verdict.retracted:
        return ""
    return f"{_pair(verdict)}{decision.finding}|{decision.until_ms}|{decision.n}|{decision.mean}"


def _verdict_text(verdict: Verdict, decision: Decision) -> str:
    difference = f"{verdict.loss} saved {decision.mean:+.4g} ± {decision.radius:.2g} on {decision.n:,} rows"
    return f"challenger {verdict.challenger[:_SHORT]} is {decision.finding}: {difference}"


def _retracted(trigger: Trigger) -> Trigger:
    return msgspec.structs.replace(
        trigger,
        phase=TriggerPhase.RETRACTED,
        sequence=trigger.sequence + 1,
        text=f"{trigger.deployment}: {trigger.name} takes back to {trigger.action}: a revision overturned why",
    )
