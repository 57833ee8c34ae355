"""The folds of one deployment's alert rules: over the closed windows, and over the base buckets for change rules.

Rules:
- A fold goes on from where it was while windows close in order. A revised or late window takes it back to a state saved
  before that window; the expiry of windows, and a restart, to the first window that is kept. All three say the same.
- Windows are those of the model that served: see `Adopted.serving`.
- A rule that compares with an earlier window knows only those windows whose earlier one is kept as well.
- A longer window that a rule reads may be bad only where most of the shorter ones in it have no status
  (`monitors.roll_ups`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from monitors.alert_events import AlertKey, Told, carried
from monitors.alert_state import Adopted, AlertState
from monitors.alerts import NOTHING, Episode, Fold, Point, Verdict, judge
from monitors.change_fold import ChangeFold
from monitors.change_log import ChangeLog
from monitors.multiplicity import decider_of
from monitors.periods import Ago, Range, before
from monitors.roll_ups import shorter
from monitors.spans import span_end
from monitors.timeliness import ARRIVALS
from monitors.windows import Window, WindowId, window_of
from schemas.deployment import CHANGE, EARLIER, AlertRule, Compare, Deployment, Span
from schemas.expectations import CUSTOM
from schemas.observation import Kind, Status

_EACH = "*"
_BEGINNING_MS = -(1 << 62)
_AGO = {
    Compare.PREVIOUS: Ago.PREVIOUS,
    Compare.DAY_AGO: Ago.DAY,
    Compare.WEEK_AGO: Ago.WEEK,
    Compare.MONTH_AGO: Ago.MONTH,
    Compare.YEAR_AGO: Ago.YEAR,
}
_Place = tuple[Kind, str]  # kind and segment


@dataclass(frozen=True, slots=True)
class Look:
    """What there is to look at: `touched`, the first window that closed or changed; `news`, the first bucket."""

    deployment: Deployment
    adopted: Adopted
    windows: Mapping[WindowId, Window]
    told: Mapping[AlertKey, list[Told]]
    touched: Mapping[_Place, int]
    news: Mapping[str, int]

    @property
    def names(self) -> list[str]:
        """The deployment's features, for ever in this order."""
        return [feature.name for feature in self.deployment.features]


class Folds:
    """`kinds`: the stage that each metric is of."""

    def __init__(self, kinds: Mapping[str, Kind], log: ChangeLog) -> None:
        self._kinds = kinds
        self._log = log
        self._folds: dict[tuple[str, AlertKey], Fold] = {}
        self._changes: dict[str, ChangeFold] = {}
        self._closed: dict[_Place, dict[int, set[WindowId]]] | None = None
        self._ordered: dict[_Place, dict[Span, list[int]]] = {}

    def forget(self) -> None:
        """Compute every fold anew: rules changed."""
        self._folds.clear()
        self._changes.clear()

    def forget_windows(self) -> None:
        """Windows expired."""
        self.forget()
        self._closed = None

    def note(self, windows: Mapping[WindowId, Window], told: Collection[WindowId]) -> dict[_Place, int]:
        """Take in the windows that were just emitted as closed; the first of each kind and segment."""
        touched: dict[_Place, int] = {}
        for window_id in told:
            place = window_id.series.kind, window_id.series.segment
            touched[place] = min(touched.get(place, window_id.start_ms), window_id.start_ms)
        if self._closed is None:
            self._closed = {}
            told = [window_id for window_id, window in windows.items() if window.closed]
            self._ordered.clear()
        for window_id in told:
            place = window_id.series.kind, window_id.series.segment
            self._closed.setdefault(place, {}).setdefault(window_id.start_ms, set()).add(window_id)
            self._ordered.pop(place, None)
        return touched

    def advance(self, rule: AlertRule, span: Span, state: AlertState, look: Look) -> tuple[set[AlertKey], Range]:
        """Push what is new to a rule: the alerts that may be touched, and the newest window it has seen."""
        if rule.metric != CHANGE:
            return self._advance_windows(rule, span, state, look)
        if rule.segment not in look.news:
            return set(), NOTHING
        change = self._change(rule, state, look, look.news[rule.segment])
        return {AlertKey(rule.alert_name, rule.segment, look.names[place]) for place in change.places}, change.newest

    def episodes(self, rule: AlertRule, span: Span, state: AlertState, key: AlertKey, look: Look) -> list[Episode]:
        """What a rule says of an alert, up to date."""
        if rule.metric == CHANGE:
            if rule.segment != key.segment or rule.feature not in {_EACH, key.feature}:
                return []
            return self._change(rule, state, look, None).episodes(look.names.index(key.feature))
        fits = _is_of(key.segment, rule) and key.feature in _features(rule, state)
        return self._fold(rule, span, state, key, look, None).episodes if fits else []

    def oldest_ms(self, rule: AlertRule, span: Span, segment: str) -> int:
        """From which window on a rule knows everything."""
        if rule.metric == CHANGE:
            oldest = self._log.oldest_ms(segment)
            return _BEGINNING_MS if oldest is None else oldest
        ordered = self._starts(rule, span, segment)
        if rule.compare not in EARLIER or not ordered:
            return ordered[0] if ordered else _BEGINNING_MS
        at = bisect_left(ordered, ordered[0], key=lambda start_ms: _earlier(rule, start_ms, span))
        return ordered[at] if at < len(ordered) else span_end(ordered[-1], span)

    def _advance_windows(
        self, rule: AlertRule, span: Span, state: AlertState, look: Look
    ) -> tuple[set[AlertKey], Range]:
        kind = self._kinds.get(rule.metric)
        keys: set[AlertKey] = set()
        newest = NOTHING
        for (found, segment), first_ms in look.touched.items():
            if found is not kind or not _is_of(segment, rule):
                continue
            for feature in _features(rule, state):
                key = AlertKey(rule.alert_name, segment, feature)
                fold = self._fold(rule, span, state, key, look, _first(rule, span, first_ms))
                if fold.episodes:
                    keys.add(key)
                newest = max(newest, fold.newest)
        return keys, newest

    def _change(self, rule: AlertRule, state: AlertState, look: Look, first_ms: int | None) -> ChangeFold:
        """The change fold with all buckets; `first_ms`: the first that is news, None: none is."""
        names, bucket_span = look.names, look.deployment.settings.bucket
        fold, from_ms = self._changes.get(rule.name), first_ms
        if fold is not None and first_ms is None:
            return fold
        if fold is not None and first_ms is not None and first_ms <= fold.newest.start_ms:
            from_ms = fold.rewind(first_ms)
        if fold is None or from_ms is None:
            oldest_ms = self.oldest_ms(rule, bucket_span, rule.segment)
            keys = [AlertKey(rule.alert_name, rule.segment, name) for name in names]
            seeds = {place: carried(look.told.get(key, []), rule.name, oldest_ms) for place, key in enumerate(keys)}
            decider = decider_of(rule, len(names), bucket_span)
            open_ones = {place: seed for place, seed in seeds.items() if seed is not None}
            self._changes[rule.name] = fold = ChangeFold(rule, len(names), decider, open_ones)
            from_ms = _BEGINNING_MS
        watched = {name for name in state.watched if rule.feature in {_EACH, name}}
        never = np.iinfo(np.int64).max
        since = np.array([state.since(name) if name in watched else never for name in names], np.int64)
        for bucket in self._log.buckets(look.deployment.settings, rule.segment, from_ms):
            fold.push(bucket.only(since < bucket.end_ms))
        return fold

    def _fold(
        self, rule: AlertRule, span: Span, state: AlertState, key: AlertKey, look: Look, first_ms: int | None
    ) -> Fold:
        """A fold with all windows; `first_ms`: the first that is new or changed, None: none is."""
        fold, from_ms = self._folds.get((rule.name, key)), first_ms
        if fold is not None and first_ms is None:
            return fold
        if fold is not None and first_ms is not None and first_ms <= fold.newest.start_ms:
            from_ms = fold.rewind(first_ms)
        if fold is None or from_ms is None:
            seed = carried(look.told.get(key, []), rule.name, self.oldest_ms(rule, span, key.segment))
            self._folds[rule.name, key] = fold = Fold(rule, seed)
            from_ms = _BEGINNING_MS
        ordered = self._starts(rule, span, key.segment)
        for start_ms in ordered[bisect_left(ordered, from_ms) :]:
            point = self._point(rule, span, key, look, start_ms)
            if point is not None and point.end_ms > state.since(key.feature):
                fold.push(point)
        return fold

    def _starts(self, rule: AlertRule, span: Span, segment: str) -> list[int]:
        """Where the closed windows begin that a rule reads; of arrivals, of any length."""
        kind = self._kinds.get(rule.metric)
        if kind is None or self._closed is None:
            return []
        by_span = self._ordered.setdefault((kind, segment), {})
        if span not in by_span:
            by_span[span] = sorted(
                start_ms
                for start_ms, found in self._closed.get((kind, segment), {}).items()
                if kind in ARRIVALS or any(each.end_ms == span_end(start_ms, span) for each in found)
            )
        return by_span[span]

    def _point(self, rule: AlertRule, span: Span, key: AlertKey, look: Look, start_ms: int) -> Point | None:
        found = self._reading(rule, span, key, look, start_ms)
        if found is None or rule.compare is Compare.ABSOLUTE or rule.compare is Compare.STATUS:
            is_left_out = found is not None and judge(rule, found) is not Verdict.CLEAR
            return None if is_left_out and self._is_told_by_parts(rule, span, key, look, start_ms) else found
        if rule.compare is Compare.BASELINE:
            return found.compared(found.baseline)
        earlier = self._reading(rule, span, key, look, _earlier(rule, start_ms, span))
        usable = earlier is not None and earlier.n >= rule.min_rows
        return found.compared(earlier.value if earlier is not None and usable else None)

    def _is_told_by_parts(self, rule: AlertRule, span: Span, key: AlertKey, look: Look, start_ms: int) -> bool:
        """Whether most of the shorter windows in a roll-up have a status of their own."""
        kind = self._kinds.get(rule.metric)
        part = None if kind is None or not rule.roll_up else shorter(look.deployment.settings, kind, span)
        if part is None:
            return False
        ordered = self._starts(rule, part, key.segment)
        starts = ordered[bisect_left(ordered, start_ms) : bisect_left(ordered, span_end(start_ms, span))]
        parts = [one for at_ms in starts if (one := self._reading(rule, part, key, look, at_ms)) is not None]
        known = sum(one.status not in {None, Status.UNKNOWN} for one in parts)
        return 2 * known > len(parts)

    def _reading(self, rule: AlertRule, span: Span, key: AlertKey, look: Look, start_ms: int) -> Point | None:
        """What was said of the window of the model that served it."""
        kind = self._kinds.get(rule.metric)
        if kind is None or self._closed is None:
            return None
        name = f"{rule.metric}/{key.feature}"
        found: dict[str, Point] = {}
        for window_id in self._closed.get((kind, key.segment), {}).get(start_ms, ()):
            window = look.windows[window_id]
            reading = window.readings.get(name)
            if reading is None or (kind not in ARRIVALS and span_end(start_ms, span) != window_id.end_ms):
                continue
            found[window_id.series.model] = Point(
                start_ms,
                window_id.end_ms,
                reading.value,
                reading.n,
                low=reading.low,
                baseline=reading.baseline,
                revision=window.revision,
                model=window_id.series.model,
                status=reading.status,
                borderline=reading.borderline,
                at_risk=reading.at_risk,
            )
        if "" in found:  # of the deployment as a whole
            return found[""]
        served = look.adopted.serving(start_ms, {model: point.n for model, point in found.items()})
        return None if served is None else found[served]


def _first(rule: AlertRule, span: Span, touched_ms: int) -> int:
    """The first window of a length to look at again when one that begins then was touched."""
    return window_of(touched_ms, span)[0] if rule.roll_up else touched_ms


def _earlier(rule: AlertRule, start_ms: int, span: Span) -> int:
    """The start of the window to compare with."""
    earlier = before(Range(start_ms, span_end(start_ms, span)), _AGO[rule.compare])
    return window_of(earlier.start_ms, span)[0]


def _is_of(segment: str, rule: AlertRule) -> bool:
    return bool(segment) if rule.segment == _EACH else segment == rule.segment


def _features(rule: AlertRule, state: AlertState) -> list[str]:
    """The features that a rule looks at; "" for what is of none."""
    if rule.feature == _EACH:
        return state.watched
    is_named = not rule.feature or rule.metric == CUSTOM or rule.feature in state.watched
    return [rule.feature] if is_named else []
