"""From which age on the outcomes of predictions are in: what verdicts and detectors take for resolved.

It is learned from the champion's own delays (`monitors.resolved`) once in each accuracy window of the watermark, and
kept until the next, so that a restart goes on with the same. Where no cohort is old and large enough, the horizon of
the join is the age: then nothing is pending; and it is looked for again on the next day. A setting goes before both.
"""

from __future__ import annotations

import msgspec

from monitors.base_buckets import BaseBuckets
from monitors.delays_by_age import AGE_RESTS_ON
from monitors.resolved import resolved_age_ms
from monitors.table import TablePartition, key_of, opened, sealed
from monitors.windows import Series, window_of
from schemas.deployment import DAY_MS, Deployment
from schemas.observation import Kind

AGE = b"h"
_EVER = -(1 << 62), 1 << 62


class _Learned(msgspec.Struct, frozen=True, array_like=True):
    """What was learned in the accuracy window that starts then, and on which day of the watermark.

    None: nothing is old and large enough.
    """

    window_ms: int
    age_ms: int | None
    day_ms: int = 0


class ResolvedAge:
    """The age of one deployment, over its part of the table."""

    def __init__(self, table: TablePartition, deployment: str) -> None:
        self._table, self._key = table, key_of(AGE, deployment)
        stored = table.get(self._key)
        self._learned = None if stored is None else msgspec.msgpack.decode(opened(stored), type=_Learned)
        self._changed = False

    def of(self, buckets: BaseBuckets, deployment: Deployment, watermark: int) -> int:
        """The age in ms, as of the watermark."""
        settings = deployment.settings
        if settings.resolved_after_ms:
            return settings.resolved_after_ms
        now = window_of(watermark, settings.accuracy_window)[0], watermark - watermark % DAY_MS
        if self._is_due(*now):
            series = Series(Kind.ACCURACY, deployment.champion.digest, "")
            rows = buckets.counts(series, buckets.starts(series, *_EVER), AGE_RESTS_ON)
            self._learned = _Learned(now[0], resolved_age_ms(rows, settings.bucket, watermark), now[1])
            self._changed = True
        age_ms = None if self._learned is None else self._learned.age_ms
        return settings.horizon_ms if age_ms is None else age_ms

    def _is_due(self, window_ms: int, day_ms: int) -> bool:
        learned = self._learned
        if learned is None or learned.window_ms != window_ms:
            return True
        return learned.age_ms is None and learned.day_ms != day_ms

    def flush(self) -> None:
        """Write what changed to the table."""
        if self._changed and self._learned is not None:
            self._table.set(self._key, sealed(msgspec.msgpack.encode(self._learned)))
        self._changed = False
