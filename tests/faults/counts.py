"""Every count of every bucket against the ledger, computed from its columns alone, by no fold of the product."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from schemas.deployment import MINUTE_MS
from schemas.observation import Kind
from tests.faults.horizon import is_given_up, met_by
from tests.faults.scene import CALLERS, CHALLENGED, CUSTOM, FEATURES, SERVED, caller

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitors.folds import SummaryKey
    from monitors.summary import Summary
    from tests.faults.findings import Findings
    from tests.faults.fresh import Buckets
    from tests.faults.horizon import Matched
    from tests.faults.ledger import Ledger
    from tests.faults.scene import Scene


def check_counts(scene: Scene, ledger: Ledger, net: Matched, stored: Buckets, findings: Findings) -> None:
    """Every count of every bucket is the ledger's, computed from its columns; of raced rows the outcomes say which."""
    where, times, _, asked, _ = ledger.columns()
    starts = times // MINUTE_MS * MINUTE_MS
    champion = scene.packages[0].digest
    for index, name in enumerate(SERVED):
        mine = where == index
        models = [package.digest for package in scene.packages] if name in CHALLENGED else [None]
        for model in models:
            every = _by_bucket(starts[mine], asked[mine])
            once = _by_bucket(starts[mine], np.minimum(asked[mine], 1))
            met = _by_bucket(starts[mine], met_by(ledger, net, model or champion)[mine].astype(np.int64))
            given_up = _by_bucket(starts[mine], is_given_up(ledger, net, model or champion)[mine].astype(np.int64))
            wanted = [
                (Kind.PREDICTIONS, "rows", every),
                (Kind.ACCURACY, "expected", once),
                (Kind.ACCURACY, "matched", met),
                (Kind.ACCURACY, "expired", given_up),
            ]
            if model in (None, champion):
                wanted.append((Kind.FEATURES, "rows", every))
                wanted += [(Kind.FEATURES, f"feature:{feature}", every) for feature in FEATURES]
            for kind, what, expected in wanted:
                found = _counts(stored.get(name, {}), kind, model, what)
                findings.same_rows(f"{kind} {what} of {name}", found, expected)
    _check_everything(scene, ledger, stored["main"], findings)


def _check_everything(scene: Scene, ledger: Ledger, stored: dict[SummaryKey, Summary], findings: Findings) -> None:
    """What is counted where a deployment asks for everything: by caller, in pairs, row by row, and what is reported."""
    where, times, answers, asked, _ = ledger.columns()
    mine = where == 0
    starts, known, asked = times[mine] // MINUTE_MS * MINUTE_MS, answers[mine] >= 0, asked[mine]
    app = np.array([caller(number) == CALLERS[0] for number in np.flatnonzero(mine).tolist()], np.bool_)
    champion, *challengers = [package.digest for package in scene.packages]
    for segment, rows in ((f"consumer={CALLERS[0]}", app), ("consumer=other", ~app)):
        found = _counts(stored, Kind.FEATURES, champion, "rows", segment)
        findings.same_rows(f"rows of {segment}", found, _by_bucket(starts[rows], asked[rows]))
    met = _by_bucket(starts, known.astype(np.int64))
    for challenger in challengers:
        found = _counts(stored, Kind.PAIRS, challenger, "pairs", champion)
        findings.same_rows("pairs", found, met)
    losses = {
        start_ms: len(summary.losses.in_order()[0])
        for (kind, model, _, start_ms), summary in stored.items()
        if kind is Kind.LOSSES and model == champion and summary.losses is not None
    }
    forgotten = np.isin(np.flatnonzero(mine), ledger.forgotten)
    kept = _by_bucket(starts, (known & ~forgotten).astype(np.int64))
    findings.same_rows("losses of the champion", {start_ms: count for start_ms, count in losses.items() if count}, kept)
    told = Counter(time_ms // MINUTE_MS * MINUTE_MS for time_ms in ledger.reports_ms)
    for metric in CUSTOM:
        names = {start_ms: _reports(summary, metric.name) for start_ms, summary in _of_kind(stored, Kind.CUSTOM)}
        findings.same_rows(f"reports of {metric.name}", names, told)
    by_outcome = sum(_counts(stored, Kind.OUTCOMES, champion, "matched").values())
    findings.same("actuals met by the time of the outcome", by_outcome, int(known.sum()))


def _of_kind(stored: dict[SummaryKey, Summary], wanted: Kind) -> Iterator[tuple[int, Summary]]:
    return ((start_ms, summary) for (kind, _, _, start_ms), summary in stored.items() if kind is wanted)


def _reports(summary: Summary, name: str) -> int:
    """Of a sum or mean under one name, of a gauge under one for each of its slots."""
    slots = [found for found in summary.counts if found.startswith(f"gauge:{name}:")]
    return summary.count(f"reports:{name}") + sum(map(summary.count, slots))


def _by_bucket(
    starts: np.ndarray[tuple[int], np.dtype[np.int64]], counts: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> dict[int, int]:
    distinct, codes = np.unique(starts, return_inverse=True)
    totals = np.bincount(codes, counts, minlength=len(distinct)).astype(np.int64)
    return {start: total for start, total in zip(distinct.tolist(), totals.tolist(), strict=True) if total}


def _counts(
    buckets: dict[SummaryKey, Summary], kind: Kind, model: str | None, what: str, segment: str = ""
) -> dict[int, int]:
    found: Counter[int] = Counter()
    for (its_kind, digest, its_segment, start), summary in buckets.items():
        if its_kind is kind and model in (None, digest) and its_segment == segment:
            found[start] += summary.count(what)
    return {start: count for start, count in found.items() if count}
