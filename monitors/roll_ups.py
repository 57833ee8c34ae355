"""The longer windows that a drift rule reads where the windows of a deployment have too few rows for a status.

Rules (STATISTICS sections 3 and 4):
- A rule with `roll_up` reads hours, days and weeks that are longer than its windows, each length as a rule of its own,
  named "material-drift/day", in the same alert. They are disjoint, so n of m counts no row twice.
- A longer window may be bad only where most of the next shorter ones in it have no status. Otherwise these are what
  the rule goes by, and the longer one can only be clear, so that what it fired for ends when rows become many.
- It is judged when it closes, and again when it changes. Nothing of it is told but alerts: for people, metrics are
  rolled up on read (`monitors.rollup`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from monitors.spans import span_end
from monitors.windows import Series, WindowId, window_at, window_span
from schemas.deployment import AlertRule, Settings, Span
from schemas.observation import Kind

LENGTHS = (Span.HOUR, Span.DAY, Span.WEEK)
_EACH = "*"


def longer(rule: AlertRule, span: Span) -> tuple[tuple[AlertRule, Span], ...]:
    """The rules on longer windows that a rule on windows of this length stands for, the shortest first.

    >>> from schemas.deployment import MATERIAL_DRIFT
    >>> [(each.name, length.value) for each, length in longer(MATERIAL_DRIFT, Span.HOUR)]
    [('material-drift/day', 'day'), ('material-drift/week', 'week')]
    """
    if not rule.roll_up:
        return ()
    lengths = [length for length in LENGTHS if span_end(0, length) > span_end(0, span)]
    return tuple((msgspec.structs.replace(rule, name=f"{rule.name}/{length}"), length) for length in lengths)


def shorter(settings: Settings, kind: Kind, span: Span) -> Span | None:
    """What a roll-up of this length is made of: the next shorter one; None where it is no roll-up."""
    base = window_span(settings, kind)
    between = [base, *(length for length in LENGTHS if span_end(0, length) > span_end(0, base))]
    return between[between.index(span) - 1] if span in between[1:] else None


def roll_ups(settings: Settings, kinds: Mapping[str, Kind]) -> Callable[[Series], tuple[Span, ...]]:
    """By series the lengths that some rule reads; `kinds`: the stage that each metric is of."""
    wanted: dict[tuple[Kind, str], tuple[Span, ...]] = {}
    for rule in settings.alert_rules:
        kind = kinds.get(rule.metric)
        if kind is not None and rule.roll_up:
            wanted[kind, rule.segment] = tuple(length for _, length in longer(rule, window_span(settings, kind)))

    def of(series: Series) -> tuple[Span, ...]:
        found = wanted.get((series.kind, series.segment), ())
        return found or (wanted.get((series.kind, _EACH), ()) if series.segment else ())

    return of


def is_roll_up(window_id: WindowId, settings: Settings) -> bool:
    """Whether a window is longer than those that are told of."""
    own = window_at(window_id.start_ms, settings, window_id.series.kind)
    return window_id.end_ms - window_id.start_ms > own[1] - own[0]
