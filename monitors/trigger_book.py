"""The triggers of one deployment: its rules in force (`monitors.trigger_state`), and what there is to tell.

Rules:
- At most one trigger of a rule in one look, with everything that waits.
- Labelled rows are counted by the deltas of accuracy of whoever was champion when their bucket began. A rule that a
  deployment begins with counts those, too, that came before anything could be evaluated: the order of arrival of what
  is read first says nothing.
- A rule that waits for something else than before begins anew. One that is gone says nothing any more, not even that
  what it asked for is overturned.
- Features of the data to train on are in the requests. Where the data begins so early that these have gone by default,
  as labels come late, the trigger says so: it is asked all the same, as a broker may keep them for longer.
- The id comes from the deployment, the rule, the revision that brought it, and how often it has triggered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b

import msgspec

from monitors.alert_state import Adopted
from monitors.alert_text import rfc3339
from monitors.summary import Summary
from monitors.table import TablePartition, key_of, opened, parts_of, sealed
from monitors.trigger_state import TriggerState, length_ms
from schemas.deployment import Deployment
from schemas.observation import AlertEvent, Entry, Verdict
from schemas.topics import DAY_MS, SPECS, Topic
from schemas.trigger import Ground, Trigger, TriggerAction, TriggerEvent, TriggerPhase, TriggerRule

TRIGGER = b"r"
_KEPT = 20
_BEGINNING_MS = -(1 << 62)
_FEATURES_KEPT_MS = SPECS[Topic.REQUESTS].retention_ms

_encode = msgspec.msgpack.Encoder().encode


class TriggerBook:
    """The trigger rules of one deployment, over its part of the table."""

    def __init__(self, table: TablePartition, deployment: str) -> None:
        self._table, self._deployment = table, deployment
        self._states: dict[str, TriggerState] = {}
        for key, value in table.scan(key_of(TRIGGER, deployment)):
            self._states[str(parts_of(key)[1])] = msgspec.msgpack.decode(opened(value), type=TriggerState)
        self._changed: set[str] = set()

    def add(self, entry: Entry, champions: Adopted) -> None:
        """Take in one delta of accuracy; the windows take it too. `champions`: who served when."""
        counting = [name for name, state in self._states.items() if state.rule.new_labels]
        if not counting or entry.segment or champions.at(entry.bucket_ms) != entry.model:
            return
        if matched := Summary.decode(entry.body).count("matched"):
            for name in counting:
                self._states[name].labels += matched
                self._changed.add(name)

    def evaluate(
        self,
        deployment: Deployment,
        watermark: int,
        tick_ms: int,
        resolved_ms: int,
        champions: Adopted,
        alerts: Sequence[AlertEvent],
        verdicts: Sequence[Verdict],
        labelled: Callable[[], int] = lambda: 0,
    ) -> Iterator[TriggerEvent]:
        """What there is to tell, by this step's alerts and verdicts. Predictions before `resolved_ms` are resolved.

        `labelled` counts the labelled rows of whoever was champion that are known already.
        """
        self._adopt(deployment, watermark, resolved_ms, labelled)
        for name in sorted(self._states):
            state = self._states[name]
            if not (alerts or verdicts or state.is_due(watermark, tick_ms)):
                continue
            before = _encode(state)
            overturned = state.read_alerts(alerts) | state.read_verdicts(verdicts, deployment.champion.digest)
            yield from map(_event, state.retract(overturned))
            state.read_time(watermark)
            state.read_labels()
            if state.waiting and state.is_free(watermark, tick_ms):
                trigger = _trigger(state, deployment, watermark, resolved_ms, champions)
                state.tell(trigger, tick_ms, _KEPT)
                yield _event(trigger)
            if _encode(state) != before:
                self._changed.add(name)

    def flush(self) -> None:
        """Write what changed to the table."""
        for name in sorted(self._changed):
            state = self._states.get(name)
            key = key_of(TRIGGER, self._deployment, name)
            self._table.set(key, None if state is None else sealed(_encode(state)))
        self._changed.clear()

    def _adopt(self, deployment: Deployment, watermark: int, resolved_ms: int, labelled: Callable[[], int]) -> None:
        """Take over the rules in effect."""
        wanted = {rule.name: rule for rule in deployment.settings.triggers}
        for name in sorted(self._states.keys() - wanted.keys()):
            del self._states[name]
            self._changed.add(name)
        for name, rule in wanted.items():
            state = self._states.get(name)
            if state is not None and state.rule == rule:
                continue
            if state is not None and state.waits_for_the_same(rule):
                state.rule = rule
            else:
                self._states[name] = _begun(rule, deployment.revision, watermark, resolved_ms, state)
                if rule.new_labels and deployment.revision == 1:
                    self._states[name].labels = labelled()
                    self._states[name].labels_ms = min(deployment.created_ms, watermark)
            self._changed.add(name)


def _begun(
    rule: TriggerRule, revision: int, watermark: int, resolved_ms: int, before: TriggerState | None
) -> TriggerState:
    """A rule that comes into force; of a deployment that begins with it nothing is past."""
    slot = watermark // length_ms(rule.every) if rule.every else 0
    state = TriggerState(rule, revision, resolved_ms if revision > 1 else _BEGINNING_MS, slot, watermark)
    if before is not None:
        state.count, state.last_ms, state.told = before.count, before.last_ms, before.told
        state.last_tick_ms = before.last_tick_ms
    return state


def _trigger(
    state: TriggerState, deployment: Deployment, watermark: int, resolved_ms: int, champions: Adopted
) -> Trigger:
    rule, grounds = state.rule, tuple(ground for _, ground in sorted(state.waiting.items()))
    from_ms = until_ms = None
    if rule.action is TriggerAction.RETRAIN:
        until_ms = resolved_ms if rule.resolved else watermark
        from_ms = until_ms - length_ms(rule.train_on)
    state.count += 1
    named = key_of(TRIGGER, deployment.name, rule.name, state.revision, state.count)
    return Trigger(
        id=blake2b(named, digest_size=16).hexdigest(),
        deployment=deployment.name,
        name=rule.name,
        action=rule.action,
        phase=TriggerPhase.REQUESTED,
        sequence=1,
        at_ms=watermark,
        model=deployment.champion.digest,
        revision=deployment.revision,
        grounds=grounds,
        text=_text(deployment.name, rule, grounds) + _without_features(watermark, from_ms, until_ms),
        previous=_previous(champions, deployment.champion.digest),
        train_from_ms=from_ms,
        train_until_ms=until_ms,
    )


def _previous(champions: Adopted, current: str) -> str:
    """The champion before the current one."""
    earlier = [digest for digest, _ in champions.champions if digest != current]
    return earlier[-1] if earlier else ""


def _text(deployment: str, rule: TriggerRule, grounds: Sequence[Ground]) -> str:
    first = grounds[0].text.removeprefix(f"{deployment}: ").removesuffix(".")
    others = f", and {len(grounds) - 1} more" if len(grounds) > 1 else ""
    return f"{deployment}: {rule.name} asks to {rule.action}, as {first}{others}"


def _without_features(at_ms: int, from_ms: int | None, until_ms: int | None) -> str:
    """What is said where requests of the data to train on have gone, as long as these are kept by default.

    >>> _without_features(500 * DAY_MS, 90 * DAY_MS, 180 * DAY_MS)
    '; requests before 1970-04-11T00:00:00.000Z have gone where `requests` is kept for 400 d, so part has no features'
    """
    gone_ms = at_ms - _FEATURES_KEPT_MS
    if from_ms is None or until_ms is None or from_ms >= gone_ms:
        return ""
    part = "none of it has features" if until_ms <= gone_ms else "part has no features"
    kept = f"{_FEATURES_KEPT_MS // DAY_MS} d"
    return f"; requests before {rfc3339(gone_ms)} have gone where `requests` is kept for {kept}, so {part}"


def _event(trigger: Trigger) -> TriggerEvent:
    what = trigger.phase if trigger.phase is TriggerPhase.RETRACTED else trigger.action
    return TriggerEvent(
        id=f"{trigger.id}-{trigger.sequence}",
        source=f"/deployments/{trigger.deployment}",
        type=f"watchkeeper.trigger.{what.value}",
        subject=trigger.name,
        time=rfc3339(trigger.at_ms),
        data=trigger,
    )
