"""What a join that gives up must have said of each row, from its fate in the ledger; no code of the product is asked.

| fate | predictions, each model's | the actual |
|---|---|---|
| met | matched once, never expired | matched with them |
| unanswered | expired once | there is none |
| lapsed, unasked | expired once, where there was a request | unmatched once |
| raced | matched or expired, one of them, once | unmatched once if it was matched with none, else never |
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from schemas.outcome import OutcomeKind
from schemas.topics import Topic
from tests.faults.ledger import AGED, Fate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tests.faults.findings import Findings
    from tests.faults.fresh import Partition
    from tests.faults.ledger import Ledger

Matched = Counter[tuple[int, str]]
"""By request and model: how often it was matched, less how often that was taken back."""


@dataclass(slots=True)
class GivenUp:
    """What outcomes say of `brief`: how often each prediction expired and each actual was unmatched."""

    expired: Counter[tuple[int, str]] = field(default_factory=Counter)
    unmatched: Counter[int] = field(default_factory=Counter)
    others: list[tuple[object, ...]] = field(default_factory=list)  # given up for another reason, or of another name
    under_load: int = 0  # outcomes from before the load ended

    def add(self, partition: Partition, ended_ms: int) -> None:
        """Take a partition's."""
        kinds = [OutcomeKind.EXPIRED.value, OutcomeKind.UNMATCHED.value]
        texts = [pl.col(name).cast(pl.String) for name in ("deployment", "association_id", "kind", "reason")]
        frame = partition.outcomes.select(
            *texts,
            models=pl.col("predictions").list.eval(pl.element().struct.field("model").cast(pl.String)),
            at_ms=pl.Series(partition.records[Topic.OUTCOMES].timestamps_ms),
        ).filter(pl.col("kind").is_in(kinds) & (pl.col("reason") != "forgotten"))
        for name, number, kind, reason, models, at_ms in frame.iter_rows():
            if (name, reason) != ("brief", "horizon") or bool(models) != (kind == OutcomeKind.EXPIRED.value):
                self.others.append((name, number, kind, reason, models))
                continue
            self.expired.update((int(number), model) for model in models)
            self.unmatched.update([int(number)] if kind == OutcomeKind.UNMATCHED.value else [])
            self.under_load += at_ms < ended_ms


def check_horizon(
    models: Sequence[str], ledger: Ledger, matched: Matched, given_up: GivenUp, findings: Findings
) -> None:
    """Each row went the way that its fate allows, by the outcomes of all partitions."""
    lone = [*ledger.numbers(Fate.LAPSED), *ledger.numbers(Fate.UNASKED)]
    raced = dict.fromkeys(ledger.numbers(Fate.RACED))
    asked = ledger.columns().asked
    waited = [number for number in [*ledger.numbers(Fate.UNANSWERED), *lone] if asked[number]]
    expired = {(number, model): 1 for number in waited for model in models}
    sure = {key: count for key, count in given_up.expired.items() if key[0] not in raced}
    findings.same_rows("predictions that expired", sure, expired)
    left = {number: count for number, count in given_up.unmatched.items() if number not in raced}
    findings.same_rows("actuals that were unmatched", left, dict.fromkeys(lone, 1))
    findings.none("given up that should wait", given_up.others)
    odd: list[tuple[object, ...]] = []
    counts = Counter[str]()
    for number in raced:
        met = [matched[number, model] for model in models]
        gone = [given_up.expired[number, model] for model in models]
        if any(sorted(pair) != [0, 1] for pair in zip(met, gone, strict=True)):
            odd.append((number, met, gone))
        if given_up.unmatched[number] != (not any(met)):
            odd.append((number, met, given_up.unmatched[number]))
        counts["raced that met" if all(met) else "raced that met in part" if any(met) else "raced in vain"] += 1
    findings.none("raced that went no way or both", odd)
    findings.numbers.update(counts)
    findings.numbers["given up while the load ran"] += given_up.under_load
    if lone and not given_up.under_load:
        findings.faults.append("nothing was given up while the load ran: of that this run proved nothing")


def met_by(ledger: Ledger, matched: Matched, model: str) -> NDArray[np.bool_]:
    """Of each request whether its actual in effect meets this model: of raced ones as the outcomes say."""
    columns = ledger.columns()
    met: NDArray[np.bool_] = columns.answers >= 0
    for number in ledger.numbers(Fate.RACED):
        met[number] = matched[number, model] > 0
    return met


def is_given_up(ledger: Ledger, matched: Matched, model: str) -> NDArray[np.bool_]:
    """Of each request whether this model's prediction is given up: at the horizon, or as it is to be forgotten."""
    columns, met = ledger.columns(), met_by(ledger, matched, model)
    forgotten = np.isin(np.arange(met.size), ledger.forgotten)
    waited = np.isin(columns.fates, [Fate.UNANSWERED, *AGED])
    gone: NDArray[np.bool_] = ~met & (columns.asked > 0) & (waited | (forgotten & (columns.fates == Fate.USUAL)))
    return gone
