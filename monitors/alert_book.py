"""What is kept of the alerts of one deployment: its rules in force, who was champion, and how far each fold has come.

A fold goes on from where it was while windows close in order. A revised or late window takes it back to a state saved
before that window; the expiry of windows, and a restart, to the first window that is kept. All three say the same.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping

import msgspec

from monitors.alert_events import Announcer, RuleState, carried, means_the_same
from monitors.alerts import Fold, Point
from monitors.table import TablePartition, key_of, opened, parts_of, sealed
from monitors.windows import Window, WindowId, window_span
from schemas.deployment import AlertRule, Deployment
from schemas.observation import AlertEvent, Kind

BOOK = b"d"
_ALERT = b"a"
_EACH_FEATURE = "*"

_encoder = msgspec.msgpack.Encoder()
_state_decoder = msgspec.msgpack.Decoder(RuleState)

RuleKey = tuple[str, str]  # rule, feature


class Adopted(msgspec.Struct, array_like=True):
    """The revision by which the rules are set; every champion so far and the watermark from which on, newest last."""

    revision: int = 0
    champions: list[tuple[str, int]] = []

    def at(self, start_ms: int) -> str | None:
        """Who was champion at an event time; before the first of all, the first."""
        found = [digest for digest, since_ms in self.champions if since_ms <= start_ms]
        return found[-1] if found else (self.champions[0][0] if self.champions else None)


class AlertBook:
    """The alert folds of one deployment. `kinds`: the stage that each metric is of."""

    def __init__(self, table: TablePartition, deployment: str, kinds: Mapping[str, Kind]) -> None:
        self._table = table
        self._deployment = deployment
        self._kinds = kinds
        stored = table.get(key_of(BOOK, deployment))
        self._adopted = Adopted() if stored is None else msgspec.msgpack.decode(opened(stored), type=Adopted)
        self._states: dict[RuleKey, RuleState] = {}
        for key, value in table.scan(key_of(_ALERT, deployment)):
            _, rule, feature = parts_of(key)
            self._states[str(rule), str(feature)] = _state_decoder.decode(opened(value))
        self._folds: dict[RuleKey, Fold] = {}
        self._closed: dict[Kind, dict[int, set[WindowId]]] | None = None
        self._changed: set[RuleKey] = set()
        self._adopted_changed = False

    def adopt(self, deployment: Deployment, watermark: int | None) -> list[AlertEvent]:
        """Take over the rules and the champion of the revision in effect; ends what a rule that is gone had open."""
        if deployment.revision == self._adopted.revision:
            return []
        is_first = not self._adopted.revision
        since = None if is_first or watermark is None else watermark - deployment.settings.grace_ms
        champion = deployment.champion.digest
        champions = self._adopted.champions
        if not champions or champions[-1][0] != champion:
            champions = [*champions, (champion, 0 if is_first or watermark is None else watermark)]
        self._adopted = Adopted(deployment.revision, champions)
        self._adopted_changed = True
        self._folds.clear()
        wanted = {
            key: RuleState(rule, window_span(deployment.settings, kind))
            for rule in deployment.settings.alert_rules
            if (kind := self._kinds.get(rule.metric)) is not None
            for key in _keys(rule, deployment)
        }
        events: list[AlertEvent] = []
        for key in sorted(self._states.keys() | wanted.keys()):
            old, new = self._states.get(key), wanted.get(key)
            if old is not None and new is not None and means_the_same(old, new):
                old.rule = new.rule
            else:
                if old is not None:
                    events += Announcer(self._deployment, old.rule, key[1]).withdraw(old, watermark or 0)
                    del self._states[key]
                if new is not None:
                    new.since_ms = new.since_ms if since is None else since
                    self._states[key] = new
            self._changed.add(key)
        return events

    def evaluate(self, windows: Mapping[WindowId, Window], told: Iterable[WindowId]) -> list[AlertEvent]:
        """What changes by the closed windows that were just emitted."""
        touched: dict[Kind, set[int]] = {}
        for window_id in told:
            if not window_id.series.segment:
                touched.setdefault(window_id.series.kind, set()).add(window_id.start_ms)
        if not touched:
            return []
        index = self._index(windows, told)
        ordered = {kind: sorted(index[kind]) for kind in touched}
        events: list[AlertEvent] = []
        for key in sorted(self._states):
            state = self._states[key]
            kind = self._kinds.get(state.rule.metric)
            if kind is None or kind not in touched:
                continue
            oldest_ms = ordered[kind][0]
            fold, from_ms = self._fold(key, state, first_ms=min(touched[kind]), oldest_ms=oldest_ms)
            for start_ms in ordered[kind][bisect_left(ordered[kind], from_ms) :]:
                point = self._point(index[kind][start_ms], windows, state, key[1])
                if point is not None:
                    fold.push(point)
            events += Announcer(self._deployment, state.rule, key[1]).announce(state, fold, oldest_ms=oldest_ms)
            self._changed.add(key)
        return events

    def refold(self) -> None:
        """Windows expired: compute every fold anew from those that are left."""
        self._folds.clear()
        self._closed = None

    def flush(self) -> None:
        """Write what changed to the table."""
        for key in sorted(self._changed):
            state = self._states.get(key)
            value = None if state is None else sealed(_encoder.encode(state))
            self._table.set(key_of(_ALERT, self._deployment, *key), value)
        if self._adopted_changed:
            self._table.set(key_of(BOOK, self._deployment), sealed(_encoder.encode(self._adopted)))
        self._changed.clear()
        self._adopted_changed = False

    def _fold(self, key: RuleKey, state: RuleState, *, first_ms: int, oldest_ms: int) -> tuple[Fold, int]:
        """The fold as it was before the first window that changed, or earlier, and the start from which to push."""
        fold = self._folds.get(key)
        if fold is not None and (fold.last_ms is None or first_ms > fold.last_ms):
            return fold, first_ms
        from_ms = fold.rewind(first_ms) if fold is not None else None
        if fold is None or from_ms is None:
            self._folds[key] = fold = Fold(state.rule, carried(state, oldest_ms))
            return fold, oldest_ms
        return fold, from_ms

    def _index(
        self, windows: Mapping[WindowId, Window], told: Iterable[WindowId]
    ) -> dict[Kind, dict[int, set[WindowId]]]:
        if self._closed is None:
            self._closed = {}
            told = [window_id for window_id, window in windows.items() if window.closed]
        for window_id in told:
            if not window_id.series.segment:
                starts = self._closed.setdefault(window_id.series.kind, {})
                starts.setdefault(window_id.start_ms, set()).add(window_id)
        return self._closed

    def _point(
        self, candidates: Iterable[WindowId], windows: Mapping[WindowId, Window], state: RuleState, feature: str
    ) -> Point | None:
        """The window of who was champion at its start; of the one with the most rows, if that has under half of them.

        A model that was a challenger before has windows of that time too, of as many rows: they are not the champion's.
        """
        name = f"{state.rule.metric}/{feature}"
        champions = dict(self._adopted.champions)
        found: dict[str, Point] = {}
        for window_id in candidates:
            window, model = windows[window_id], window_id.series.model
            reading = window.readings.get(name)
            if reading is None or model not in champions or not state.covers(window_id):
                continue
            found[model] = Point(
                window_id.start_ms,
                window_id.end_ms,
                reading.value,
                reading.n,
                low=reading.low,
                baseline=reading.baseline,
                revision=window.revision,
                model=model,
            )
        if not found:
            return None
        most = max(found.values(), key=lambda point: (point.n, champions[point.model]))
        serving = found.get(self._adopted.at(most.start_ms) or "")
        return serving if serving is not None and 2 * serving.n >= most.n else most


def _keys(rule: AlertRule, deployment: Deployment) -> list[RuleKey]:
    watched = [feature.name for feature in deployment.features if feature.name not in deployment.settings.excluded]
    if rule.feature == _EACH_FEATURE:
        return [(rule.name, name) for name in watched]
    return [(rule.name, rule.feature)] if not rule.feature or rule.feature in watched else []
