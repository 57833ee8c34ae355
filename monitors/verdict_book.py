"""The verdicts on one deployment's challengers: what is resolved, what was decided, what there is to tell.

Rules (STATISTICS section 10):
- A verdict reads whole buckets of pairs in order of prediction time, once they are so old that their outcomes are in,
  by age alone. In order of label arrival a model that is right about early outcomes would win (simulated: always).
- The first bucket after which a verdict can be given decides. It stands on its own rows: when these are revised and no
  longer carry it, it is retracted, and the rows known by then are looked at anew.
- Sums are kept here, not read again: of what is resolved, of what was decided on, of all that is known. A delta is
  added to those that it is in. So nothing is lost when buckets expire.
- Where a deployment declares clusters, a verdict rests on the rows that came with one (`monitors.clusters`); what was
  decided on rows before stands on rows.
- Something is told when a verdict is given or retracted, and once in each accuracy window of the watermark.
- A pair ends when its challenger is removed or its champion replaced: it is told on until all of its rows are resolved,
  then only what corrections change, and it is forgotten when its last bucket expires.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import msgspec
import numpy as np

from monitors.base_buckets import BaseBuckets
from monitors.betting import WIDTH
from monitors.clusters import Clusters
from monitors.fixed_point import as_float
from monitors.folds.losses import NAMES
from monitors.folds.pairs import pair_scale, pair_unit
from monitors.spans import span_end
from monitors.summary import Summary
from monitors.table import TablePartition, key_of, opened, parts_of, sealed
from monitors.verdict import ALPHA, Judged, Pairs, judge, stands
from monitors.windows import Series, window_of
from schemas.deployment import Deployment
from schemas.observation import Decision, Entry, Finding, Kind, Verdict
from schemas.package import Package

VERDICT = b"v"
_BEGINNING_MS, _END_MS = -(1 << 62), 1 << 62

_NOTHING = Summary()
Packages = Callable[[str], Package | None]


class _Stored(msgspec.Struct, frozen=True, array_like=True):
    resolved_ms: int
    said_ms: int
    sequence: int
    decision: Decision | None
    retracted: bool
    known: bytes
    resolved: bytes
    decided: bytes
    rivals: int = 1
    counted_ms: int | None = None
    left_out: tuple[int, int, int] = (0, 0, 0)


class _Beside:
    """A challenger beside a champion: buckets before `resolved_ms` are resolved.

    `rivals`: how many challengers, this one too, were beside the champion at most at one time. `left_out`: of the
    champion's predictions in resolved buckets from `counted_ms` on (the first with pairs) those expected, those
    expired, those matched that are in no pair; None before the first, and where an older version resolved all so far.
    """

    __slots__ = (
        "counted_ms",
        "decided",
        "decision",
        "known",
        "left_out",
        "resolved",
        "resolved_ms",
        "retracted",
        "revised",
        "rivals",
        "said_ms",
        "sequence",
    )

    def __init__(self) -> None:
        self.resolved_ms = self.said_ms = _BEGINNING_MS
        self.sequence = 0
        self.rivals = 1
        self.counted_ms: int | None = None
        self.left_out = (0, 0, 0)
        self.decision: Decision | None = None
        self.retracted = self.revised = False
        self.known, self.resolved, self.decided = Summary(), Summary(), Summary()

    @classmethod
    def opened(cls, body: bytes) -> _Beside:
        stored = msgspec.msgpack.decode(body, type=_Stored)
        beside = cls()
        beside.resolved_ms, beside.said_ms, beside.sequence = stored.resolved_ms, stored.said_ms, stored.sequence
        beside.decision, beside.retracted, beside.rivals = stored.decision, stored.retracted, stored.rivals
        beside.counted_ms, beside.left_out = stored.counted_ms, stored.left_out
        beside.known, beside.resolved, beside.decided = map(
            Summary.decode, (stored.known, stored.resolved, stored.decided)
        )
        return beside

    def encode(self) -> bytes:
        sums = (self.known.encode(), self.resolved.encode(), self.decided.encode())
        told = (self.resolved_ms, self.said_ms, self.sequence, self.decision, self.retracted)
        return msgspec.msgpack.encode(_Stored(*told, *sums, self.rivals, self.counted_ms, self.left_out))

    def add(self, bucket_ms: int, delta: Summary) -> None:
        self.known.add(delta)
        if bucket_ms < self.resolved_ms:
            self.resolved.add(delta)
            self.revised = True
            if self.counts(bucket_ms):
                self.leave_out(paired=delta)
        if self.decision is not None and bucket_ms < self.decision.until_ms:
            self.decided.add(delta)

    def counts(self, bucket_ms: int) -> bool:
        """Whether what is left out of a bucket is counted."""
        return self.counted_ms is not None and self.counted_ms <= bucket_ms < self.resolved_ms

    def leave_out(self, served: Summary = _NOTHING, paired: Summary = _NOTHING) -> None:
        """Count what is left out of a bucket, by a delta of the champion's outcomes, or of pairs."""
        expected, expired, unpaired = self.left_out
        unpaired += served.count("matched") - paired.count("pairs")
        self.left_out = expected + served.count("expected"), expired + served.count("expired"), unpaired


class VerdictBook:
    """All pairs of one deployment, over its part of the table."""

    def __init__(self, table: TablePartition, deployment: str) -> None:
        self._table, self._deployment = table, deployment
        self._pairs: dict[Series, _Beside] = {}
        for key, value in table.scan(key_of(VERDICT, deployment)):
            _, challenger, champion = parts_of(key)
            self._pairs[Series(Kind.PAIRS, str(challenger), str(champion))] = _Beside.opened(opened(value))
        self._changed: set[Series] = set()

    def add(self, entry: Entry) -> None:
        """Take in one delta of pairs, or of outcomes; the windows take it too."""
        if entry.kind is Kind.ACCURACY:
            self._add_served(entry)
            return
        series = Series(entry.kind, entry.model, entry.segment)
        self._pairs.setdefault(series, _Beside()).add(entry.bucket_ms, Summary.decode(entry.body))
        self._changed.add(series)

    def _add_served(self, entry: Entry) -> None:
        if entry.segment:
            return
        of = [
            series
            for series, beside in self._pairs.items()
            if series.segment == entry.model and beside.counts(entry.bucket_ms)
        ]
        delta = Summary.decode(entry.body) if of else _NOTHING
        for series in of:
            self._pairs[series].leave_out(served=delta)
            self._changed.add(series)

    def evaluate(
        self, buckets: BaseBuckets, deployment: Deployment, packages: Packages, watermark: int, age_ms: int
    ) -> Iterator[Verdict]:
        """What there is to tell, with everything older than `age_ms` resolved."""
        cut_ms = window_of(watermark - age_ms, deployment.settings.bucket)[0]
        window_ms = window_of(watermark, deployment.settings.accuracy_window)
        self._count_rivals(deployment)
        for series in sorted(self._pairs):
            beside = self._pairs[series]
            serves = _serves(series, deployment)
            if not (serves or buckets.starts(series, _BEGINNING_MS, _END_MS)):
                del self._pairs[series]
                self._changed.add(series)
                continue
            goes_on = serves or bool(buckets.starts(series, beside.resolved_ms, _END_MS))
            if not (beside.revised or (goes_on and (cut_ms > beside.resolved_ms or window_ms[0] > beside.said_ms))):
                continue
            champion, challenger = packages(series.segment), packages(series.model)
            if champion is None or challenger is None:
                continue
            look = _Look(beside, deployment, pair_scale(champion, challenger))
            news = look.go_on(buckets, series, max(cut_ms, beside.resolved_ms))
            self._changed.add(series)
            ends = goes_on and not (serves or buckets.starts(series, beside.resolved_ms, _END_MS))
            if news or ends or (goes_on and window_ms[0] > beside.said_ms):
                beside.said_ms, beside.sequence = window_ms[0], beside.sequence + 1
                yield look.said(series, window_ms, NAMES[champion.target.type])

    def _count_rivals(self, deployment: Deployment) -> None:
        """Each pair of the champion keeps how many challengers there were, and tells those that come later."""
        champion = deployment.champion.digest
        pairs = [series for series in self._pairs if series.segment == champion]
        most = max([len(deployment.challengers), *(self._pairs[series].rivals for series in pairs)])
        for series in pairs:
            if self._pairs[series].rivals < most:
                self._pairs[series].rivals = most
                self._changed.add(series)

    def flush(self) -> None:
        """Write what changed to the table."""
        for series in sorted(self._changed):
            key, known = key_of(VERDICT, self._deployment, series.model, series.segment), self._pairs.get(series)
            self._table.set(key, None if known is None else sealed(known.encode()))
        self._changed.clear()


def _serves(pair: Series, deployment: Deployment) -> bool:
    """Whether the two still work side by side."""
    return pair.segment == deployment.champion.digest and pair.model in {one.digest for one in deployment.challengers}


class _Look:
    """One look at a pair."""

    def __init__(self, beside: _Beside, deployment: Deployment, scale: float) -> None:
        self._beside, self._deployment, self._scale = beside, deployment, scale
        self._alpha = ALPHA / beside.rivals
        self._margin = deployment.settings.challenger_margin

    def go_on(self, buckets: BaseBuckets, series: Series, until_ms: int) -> bool:
        """Take in what was revised and what is newly resolved; whether a verdict was given or retracted."""
        beside, news = self._beside, False
        if beside.revised and beside.resolved_ms > _BEGINNING_MS:
            news = self._retract() | self._decide(beside.resolved_ms)
        beside.revised = False
        for start_ms in buckets.starts(series, beside.resolved_ms, until_ms):
            beside.resolved.add(buckets.bucket(series, start_ms))
            if beside.counted_ms is None:
                beside.counted_ms = start_ms
            beside.leave_out(paired=buckets.bucket(series, start_ms))
            news = self._decide(span_end(start_ms, self._deployment.settings.bucket)) or news
        if beside.counted_ms is not None:
            served = Series(Kind.ACCURACY, series.segment, "")
            for start_ms in buckets.starts(served, max(beside.resolved_ms, beside.counted_ms), until_ms):
                beside.leave_out(served=buckets.bucket(served, start_ms))
        beside.resolved_ms = until_ms
        return news

    def _decide(self, until_ms: int) -> bool:
        beside = self._beside
        if beside.decision is not None and not beside.retracted:
            return False
        found = self._judged()
        if found.finding is Finding.UNDECIDED or found.mean is None or found.radius is None:
            return False
        pairs = self._resolved()
        beside.decision = Decision(
            found.finding, until_ms, pairs.n, found.mean, found.radius, self._alpha, self._margin, _effective(pairs)
        )
        beside.decided, beside.retracted = beside.resolved.copy(), False
        return True

    def _retract(self) -> bool:
        decision = self._beside.decision
        if decision is None or self._beside.retracted:
            return False
        pairs = pairs_of(self._beside.decided, self._scale, by_cluster=decision.clusters is not None)
        if stands(decision.finding, pairs, margin=decision.margin, alpha=decision.alpha):
            return False
        self._beside.retracted = True
        return True

    def _judged(self) -> Judged:
        return judge(self._resolved(), margin=self._margin, alpha=self._alpha)

    def _resolved(self) -> Pairs:
        by_cluster = bool(self._deployment.settings.cluster)
        return pairs_of(self._beside.resolved, self._scale, by_cluster=by_cluster)

    def said(self, series: Series, window_ms: tuple[int, int], loss: str) -> Verdict:
        beside, found, pairs = self._beside, self._judged(), self._resolved()
        expected, expired, unpaired = (max(count, 0) for count in beside.left_out)
        decision = beside.decision
        stands_now = decision is not None and not beside.retracted
        known = pairs_of(beside.known, self._scale)
        return Verdict(
            deployment=self._deployment.name,
            champion=series.segment,
            challenger=series.model,
            window_start_ms=window_ms[0],
            window_end_ms=window_ms[1],
            until_ms=beside.resolved_ms,
            loss=loss,
            finding=decision.finding if decision is not None and stands_now else Finding.UNDECIDED,
            n=pairs.n,
            mean=found.mean,
            radius=found.radius,
            log_for=found.log_for,
            log_against=found.log_against,
            alpha=self._alpha,
            margin=self._margin,
            scale=self._scale,
            clipped=beside.resolved.count("clipped"),
            unusable=beside.known.count("unusable"),
            known_n=known.n,
            known_mean=known.d / known.n if known.n > 0 else None,
            decision=decision,
            retracted=beside.retracted,
            sequence=beside.sequence,
            expected=expected,
            expired=expired,
            unpaired=unpaired,
            cluster=self._deployment.settings.cluster,
            clusters=_effective(pairs),
            unclustered=beside.resolved.count("pairs") - pairs.n,
        )


def pairs_of(summary: Summary, scale: float, *, by_cluster: bool = False) -> Pairs:
    """What a summary of pairs holds, for `monitors.verdict`; by cluster only of the rows that came with one."""
    unit = pair_unit(scale)
    pairs = Pairs(
        summary.count("pairs"),
        as_float(summary.sums.get("d", 0), unit),
        as_float(summary.sums.get("d2", 0), unit * unit),
        summary.vector("bets", WIDTH).astype(np.int64),
        summary.count("clipped"),
        scale,
    )
    if not by_cluster:
        return pairs
    clusters = Clusters.of(summary)
    n = int(clusters.n)
    share = n / pairs.n if pairs.n > 0 else 0.0  # of the squares: no sum of these is kept by cell
    return replace(pairs, n=n, d=float(clusters.total) * scale, d2=pairs.d2 * share, clusters=clusters)


def _effective(pairs: Pairs) -> float | None:
    return None if pairs.clusters is None else round(float(pairs.clusters.effective), 1)
