"""What of a deployment's alerts is in the table: the revision adopted, each alert's rules, and what was told.

Older state (one record for a rule and feature, of format 1) is read too and moves to the new places.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from monitors.alert_events import AlertKey, Told
from monitors.alerts import OPEN
from monitors.table import TablePartition, key_of, opened, parts_of, sealed
from schemas.deployment import AlertRule, Span

BOOK = b"d"
_OF_RULE = b"a"  # format 1
_STATE = b"g"
_FOLDED = b"f"
_TOLD = b"t"
_BEGINNING_MS = -(1 << 62)

_encoder = msgspec.msgpack.Encoder()


class Adopted(msgspec.Struct, array_like=True):
    """The revision by which the rules are set; every champion so far and the watermark from which on, newest last."""

    revision: int = 0
    champions: list[tuple[str, int]] = []

    def at(self, start_ms: int) -> str | None:
        """Who was champion at an event time; before the first of all, the first."""
        found = [digest for digest, since_ms in self.champions if since_ms <= start_ms]
        return found[-1] if found else (self.champions[0][0] if self.champions else None)

    def serving(self, start_ms: int, rows: Mapping[str, int]) -> str | None:
        """Whose window is read: of the champion at its start; of the one with the most rows, if it has under half.

        `rows`: of each model that has a window then. A model that was a challenger before has windows of that time too,
        of as many rows: they are not the champion's. What is of the deployment as a whole has the model "".
        """
        if "" in rows:
            return ""
        since = dict(self.champions)
        known = {model: count for model, count in rows.items() if model in since}
        if not known:
            return None
        most = max(known, key=lambda model: (known[model], since[model]))
        served = self.at(start_ms)
        return served if served in known and 2 * known[served] >= known[most] else most


class AlertState(msgspec.Struct, array_like=True):
    """The rules that share an alert, and the length of what each reads; in force for windows that end after `since_ms`.

    `watched`: the features; `resumed`: those that were excluded for a time, and since when they no longer are.
    """

    rules: list[AlertRule] = []
    spans: list[Span] = []
    since_ms: int = _BEGINNING_MS
    watched: list[str] = []
    resumed: dict[str, int] = {}

    def since(self, feature: str) -> int:
        """From when on the rules look at a feature."""
        return self.resumed.get(feature, self.since_ms)

    def means_the_same(self, new: AlertState) -> bool:
        """Whether windows judged by these rules are evidence for the new ones: only severities may differ."""
        plain = [
            [(msgspec.structs.replace(rule, severity=AlertRule.severity), span) for rule, span in pairs]
            for pairs in (zip(self.rules, self.spans, strict=True), zip(new.rules, new.spans, strict=True))
        ]
        return plain[0] == plain[1]

    def go_on(self, new: AlertState) -> None:
        """Take over severities and features."""
        kept = {name: since_ms for name, since_ms in self.resumed.items() if name in new.watched}
        self.resumed = kept | {name: new.since_ms for name in new.watched if name not in self.watched}
        self.rules, self.watched = new.rules, new.watched


class _OfRule(msgspec.Struct, array_like=True):
    """Format 1: a rule and a feature."""

    rule: AlertRule
    span: Span
    since_ms: int = _BEGINNING_MS
    folded_ms: int = _BEGINNING_MS
    told: list[Told] = []


@dataclass(slots=True)
class Stored:
    """Everything, as read. `moved`: alerts that older state was moved to, to be written; `stale`: where it was."""

    adopted: Adopted
    states: dict[str, AlertState] = field(default_factory=dict)
    folded: dict[str, int] = field(default_factory=dict)
    told: dict[AlertKey, list[Told]] = field(default_factory=dict)
    moved: list[AlertKey] = field(default_factory=list)
    stale: list[bytes] = field(default_factory=list)


def load(table: TablePartition, deployment: str) -> Stored:
    """Read what is kept of a deployment's alerts."""
    book, states, folded = (table.get(key_of(kind, deployment)) for kind in (BOOK, _STATE, _FOLDED))
    stored = Stored(Adopted() if book is None else msgspec.msgpack.decode(opened(book), type=Adopted))
    if states is not None:
        stored.states = msgspec.msgpack.decode(opened(states), type=dict[str, AlertState])
    if folded is not None:
        stored.folded = msgspec.msgpack.decode(opened(folded), type=dict[str, int])
    decode = msgspec.msgpack.Decoder(list[Told]).decode
    for key, value in table.scan(key_of(_TOLD, deployment)):
        _, alert, segment, feature = parts_of(key)
        stored.told[AlertKey(str(alert), str(segment), str(feature))] = decode(opened(value))
    _move(table, deployment, stored)
    return stored


def store(
    table: TablePartition,
    deployment: str,
    *,
    adopted: Adopted | None,
    states: Mapping[str, AlertState] | None,
    folded: Mapping[str, int] | None,
    told: Mapping[AlertKey, list[Told]],
) -> None:
    """Write what changed; None: as it was, an empty list: nothing told any more."""
    if adopted is not None:
        table.set(key_of(BOOK, deployment), sealed(_encoder.encode(adopted)))
    for kind, found in ((_STATE, states), (_FOLDED, folded)):
        if found is not None:
            table.set(key_of(kind, deployment), sealed(_encoder.encode(dict(sorted(found.items())))))
    for key, each in told.items():
        table.set(key_of(_TOLD, deployment, *key), sealed(_encoder.encode(each)) if each else None)


def _move(table: TablePartition, deployment: str, stored: Stored) -> None:
    """Read state of format 1: then a rule had an alert of its own, and no segment."""
    decode = msgspec.msgpack.Decoder(_OfRule).decode
    for key, value in sorted(table.scan(key_of(_OF_RULE, deployment))):
        _, name, feature = parts_of(key)
        found = decode(opened(value))
        state = stored.states.setdefault(str(name), AlertState([found.rule], [found.span], found.since_ms))
        if feature:
            state.watched.append(str(feature))
        for told in found.told:
            told.rule, told.severity = str(name), found.rule.severity
            told.open = {str(name): told.path} if told.path in OPEN else {}
        place = AlertKey(str(name), "", str(feature))
        if found.told:
            stored.told[place] = found.told
        stored.folded[str(name)] = max(stored.folded.get(str(name), _BEGINNING_MS), found.folded_ms)
        stored.moved.append(place)
        stored.stale.append(key)
