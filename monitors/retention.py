"""How long what is kept, in event time of the watermark: the state of a deployment is bounded, however long it lives.

| what | kept | at most, a series |
|---|---|---|
| buckets of inputs, answers, flow, reported numbers | 400 days, and they age (`monitors.ageing`) | 13,000 of minutes |
| buckets of outcomes | as long as the join waits, and an accuracy window | horizon / bucket: 550,000 and a window |
| arrivals, and windows shorter than an hour | 14 days | 30,000 of a minute |
| windows of accuracy | for the longer of 400 days and as long as their buckets | 10,300 of an hour |
| all other windows | 400 days | 10,300 of an hour |
| notes of verdicts, diagnoses, detections | as windows of accuracy | one for each that was told |
| evidence of the change detector | as long as buckets are as they were counted | 20,200 of minutes |

Rules:
- Where a rule compares with a month or a year ago, short windows are kept for 400 days too.
- What is over stays over: where settings change so that more is kept, more is kept from then on.
- Arrivals go by the time until which their topic was read, too: slots that were missed come with it, while the event
  time of a silent deployment stands still.
- What was told is deleted with what it was of: metrics, verdicts, diagnoses, detections. Alerts and triggers are not,
  as their topics are not compacted.
- Windows and evidence go by whole weeks where they are shorter than an hour, else by whole months, as all folds begin
  anew when their oldest go; alerts outlive that.
"""

from __future__ import annotations

from monitors.timeliness import ARRIVALS, slot_ms
from monitors.windows import window_of, window_span
from schemas.deployment import AGES_MS, DAY_MS, HOUR_MS, Compare, Settings, Span
from schemas.observation import Kind

KEPT_MS = 400 * DAY_MS
SHORT_KEPT_MS = 14 * DAY_MS

_OF_OUTCOMES = frozenset({Kind.ACCURACY, Kind.OUTCOMES, Kind.PAIRS, Kind.LOSSES})
_LONG_AGO = frozenset({Compare.MONTH_AGO, Compare.YEAR_AGO})


def buckets_before(kind: Kind, settings: Settings, watermark: int) -> int:
    """Before which start the buckets of a kind are over."""
    if kind in ARRIVALS:
        return window_of(watermark - _windows_kept_ms(kind, settings), Span.DAY)[0]
    kept_ms = _joined_ms(settings, watermark) if kind in _OF_OUTCOMES else KEPT_MS
    cut_ms, _ = window_of(watermark - kept_ms, window_span(settings, kind))
    return cut_ms if kind in _OF_OUTCOMES else window_of(cut_ms, Span.DAY)[0]  # what was added up goes as a whole


def windows_before(kind: Kind, settings: Settings, watermark: int) -> int:
    """Until when the records of a kind's windows are over: of those that end by then."""
    kept_ms = _windows_kept_ms(kind, settings)
    if kind in _OF_OUTCOMES:
        kept_ms = max(kept_ms, _joined_ms(settings, watermark))
    oldest_ms = _whole(watermark - kept_ms, short=kept_ms < KEPT_MS)
    return oldest_ms if kind in ARRIVALS else window_of(oldest_ms, window_span(settings, kind))[0]


def evidence_before(settings: Settings, watermark: int) -> int:
    """Before which start the evidence of the change detector is over: its buckets are added up, and not read again."""
    ages_ms = {Span.MINUTE: AGES_MS[Span.HOUR], Span.HOUR: AGES_MS[Span.DAY]}
    return _whole(watermark - ages_ms.get(settings.bucket, KEPT_MS), short=settings.bucket is Span.MINUTE)


def _windows_kept_ms(kind: Kind, settings: Settings) -> int:
    start_ms, end_ms = window_of(0, window_span(settings, kind))
    length_ms = slot_ms(settings, kind) or end_ms - start_ms
    looks_back = any(rule.compare in _LONG_AGO for rule in settings.alert_rules)
    return KEPT_MS if looks_back or length_ms >= HOUR_MS else SHORT_KEPT_MS


def _joined_ms(settings: Settings, watermark: int) -> int:
    start_ms, end_ms = window_of(watermark, settings.accuracy_window)
    return settings.horizon_ms + end_ms - start_ms


def _whole(at_ms: int, *, short: bool) -> int:
    return window_of(at_ms, Span.WEEK if short else Span.MONTH)[0]
