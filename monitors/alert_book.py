"""The alerts of one deployment: rules in force, what was told of each alert, and what there is to tell now.

Rules:
- A rule looks at what closes after it came into force: a new or changed one does not ring for the past, and what was
  open by the old one is over. Rules that share an alert are one thing: changing one begins the alert anew.
- A feature that is excluded has no alerts; one that is watched again begins anew.
- An acknowledgement changes nothing but the alert's phase, and is taken once: by the revision that brought it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from monitors.alert_events import AlertKey, Announcer
from monitors.alert_folds import Folds, Look
from monitors.alert_life import life
from monitors.alert_state import BOOK, Adopted, AlertState, load, store
from monitors.alerts import NOTHING, OPEN
from monitors.base_buckets import BaseBuckets
from monitors.change_log import ChangeLog, Packages
from monitors.periods import Range
from monitors.roll_ups import longer
from monitors.table import TablePartition
from monitors.windows import Series, Window, WindowId, window_span
from schemas.deployment import CHANGE, AlertRule, Deployment, Span
from schemas.observation import AlertEvent, Kind

__all__ = ["BOOK", "AlertBook"]

_BEGINNING_MS = -(1 << 62)


class AlertBook:
    """The alerts of one deployment. `kinds`: the stage that each metric is of."""

    def __init__(self, table: TablePartition, deployment: str, kinds: Mapping[str, Kind]) -> None:
        self._table = table
        self._deployment = deployment
        self._kinds = kinds
        self._log = ChangeLog(table, deployment)
        self._folds = Folds(kinds, self._log)
        stored = load(table, deployment)
        self._adopted, self._states = stored.adopted, stored.states
        self._folded, self._told = stored.folded, stored.told
        self._changed: set[AlertKey] = set(stored.moved)
        self._stale = stored.stale
        self._rules_changed = self._folded_changed = bool(stored.moved)
        self._definition: Deployment | None = None

    def adopt(self, deployment: Deployment, watermark: int | None) -> list[AlertEvent]:
        """Take over the revision in effect: rules, champion, acknowledgements; end what a rule now gone had open."""
        self._definition = deployment
        earlier = self._adopted.revision
        if deployment.revision == earlier:
            return []
        is_first = not earlier or watermark is None
        champion, champions = deployment.champion.digest, self._adopted.champions
        if not champions or champions[-1][0] != champion:
            champions = [*champions, (champion, 0 if is_first or watermark is None else watermark)]
            self._folds.forget()
        self._adopted = Adopted(deployment.revision, champions)
        self._rules_changed = True
        since_ms = _BEGINNING_MS if is_first or watermark is None else watermark - deployment.settings.grace_ms
        events = self._adopt_rules(deployment, since_ms, watermark or 0)
        given = [each for each in deployment.acknowledged if each.revision > earlier]
        for key in sorted(self._told) if given else ():
            said = self._announcer(key).acknowledge(self._told[key], given, watermark or 0)
            if said:
                self._changed.add(key)
            events += said
        return events

    @property
    def adopted(self) -> Adopted:
        """The revision in effect, and who was champion when."""
        return self._adopted

    def judge_buckets(
        self, buckets: BaseBuckets, packages: Packages, watermark: int, changed: Iterable[tuple[Series, int]]
    ) -> dict[str, int]:
        """Find the evidence of base buckets that closed or changed; the first bucket that is news, by segment."""
        deployment = self._definition
        if deployment is None:
            return {}
        rules = (rule for state in self._states.values() for rule in state.rules)
        return self._log.update(
            buckets,
            deployment.settings,
            names=[feature.name for feature in deployment.features],
            segments={rule.segment for rule in rules if rule.metric == CHANGE},
            models={digest for digest, _ in self._adopted.champions},
            serving=self._adopted.serving,
            packages=packages,
            watermark=watermark,
            changed=changed,
        )

    def evaluate(
        self, windows: Mapping[WindowId, Window], told: Collection[WindowId], news: Mapping[str, int]
    ) -> list[AlertEvent]:
        """What changes by the closed windows that were just emitted, and by the `news` of base buckets."""
        if self._definition is None or not (told or news):
            return []
        touched = self._folds.note(windows, told)
        look = Look(self._definition, self._adopted, windows, self._told, touched, news)
        events: list[AlertEvent] = []
        for name in sorted(self._states):
            events += self._look(name, self._states[name], look)
        return events

    def expire(self, before_ms: int) -> None:
        """Delete the evidence of buckets that start before."""
        if self._log.expire(before_ms):
            self._folds.forget()

    def refold(self) -> None:
        """Windows expired: compute every fold anew from those that are left."""
        self._folds.forget_windows()

    def flush(self) -> None:
        """Write what changed to the table."""
        store(
            self._table,
            self._deployment,
            adopted=self._adopted if self._rules_changed else None,
            states=self._states if self._rules_changed else None,
            folded=self._folded if self._folded_changed else None,
            told={key: self._told.get(key, []) for key in sorted(self._changed)},
        )
        for key in self._stale:
            self._table.set(key, None)
        self._log.flush()
        self._stale = []
        self._changed.clear()
        self._rules_changed = self._folded_changed = False

    def _adopt_rules(self, deployment: Deployment, since_ms: int, now_ms: int) -> list[AlertEvent]:
        wanted = self._wanted(deployment, since_ms)
        events: list[AlertEvent] = []
        for name in sorted(self._states.keys() | wanted.keys()):
            old, new = self._states.get(name), wanted.get(name)
            stays = old is not None and new is not None and old.means_the_same(new)
            for key in [key for key in sorted(self._told) if key.alert == name]:
                if not stays or key.feature in deployment.settings.excluded:
                    events += self._announcer(key).withdraw(self._told.pop(key), now_ms)
                    self._changed.add(key)
            if stays and old is not None and new is not None:
                if (old.rules, old.watched) != (new.rules, new.watched):
                    self._folds.forget()
                old.go_on(new)
                continue
            self._folds.forget()
            for rule in old.rules if old is not None else ():
                self._folded_changed = self._folded.pop(rule.name, None) is not None or self._folded_changed
            if new is None:
                del self._states[name]
            else:
                self._states[name] = new
        return events

    def _wanted(self, deployment: Deployment, since_ms: int) -> dict[str, AlertState]:
        """The alerts that the settings ask for."""
        settings = deployment.settings
        watched = [each.name for each in deployment.features if each.name not in settings.excluded]
        wanted: dict[str, AlertState] = {}
        for rule in settings.alert_rules:
            span = self._span(rule, deployment)
            if span is not None:
                state = wanted.setdefault(rule.alert_name, AlertState(since_ms=since_ms, watched=watched))
                for each, length in ((rule, span), *longer(rule, span)):
                    state.rules.append(each)
                    state.spans.append(length)
        return wanted

    def _span(self, rule: AlertRule, deployment: Deployment) -> Span | None:
        """The length of what a rule reads; None where no metric has its name."""
        if rule.metric == CHANGE:
            return deployment.settings.bucket
        kind = self._kinds.get(rule.metric)
        return None if kind is None else window_span(deployment.settings, kind)

    def _announcer(self, key: AlertKey) -> Announcer:
        return Announcer(self._deployment, key, self._states[key.alert].rules)

    def _look(self, name: str, state: AlertState, look: Look) -> list[AlertEvent]:
        """What there is to tell of one alert, for all its features and segments."""
        pairs = list(zip(state.rules, state.spans, strict=True))
        keys: set[AlertKey] = set()
        reached: dict[str, Range] = {}
        for rule, span in pairs:
            found, reached[rule.name] = self._folds.advance(rule, span, state, look)
            keys |= found
        newest = max(reached.values())
        if newest == NOTHING:
            return []
        events: list[AlertEvent] = []
        for key in sorted(keys | {key for key in self._told if key.alert == name}):
            events += self._announce(key, state, pairs, look, newest.end_ms)
        for rule, _ in pairs:
            start_ms = reached[rule.name].start_ms
            if start_ms > self._folded.get(rule.name, _BEGINNING_MS):
                self._folded[rule.name] = start_ms
                self._folded_changed = True
        return events

    def _announce(
        self, key: AlertKey, state: AlertState, pairs: list[tuple[AlertRule, Span]], look: Look, newest_ms: int
    ) -> list[AlertEvent]:
        members = [self._folds.episodes(rule, span, state, key, look) for rule, span in pairs]
        oldest = [self._folds.oldest_ms(rule, span, key.segment) for rule, span in pairs]
        open_rules = {
            rule.name: episodes[-1].path
            for (rule, _), episodes in zip(pairs, members, strict=True)
            if episodes and episodes[-1].path in OPEN
        }
        known = self._told.get(key, [])
        was_known = bool(known)
        told, events = self._announcer(key).announce(
            known,
            life(members),
            folded_ms=self._folded,
            newest_ms=newest_ms,
            oldest_ms=(min(oldest), max(oldest)),
            open_rules=open_rules,
        )
        if told:
            self._told[key] = told
        else:
            self._told.pop(key, None)
        if told or was_known:
            self._changed.add(key)
        return events
