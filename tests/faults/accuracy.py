"""Confusion and log loss of every bucket, and what outcomes say of who acted and what was forgotten.

Computed from the ledger and from the predictions on the topics alone, by no join, fold or metric of the product.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from schemas.deployment import MINUTE_MS
from schemas.observation import Kind
from schemas.outcome import OutcomeKind
from tests.faults.horizon import met_by
from tests.faults.ledger import is_acted_on
from tests.faults.scene import SERVED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from schemas.package import Package
    from tests.faults.findings import Findings
    from tests.faults.fresh import Buckets, Partition
    from tests.faults.horizon import Matched
    from tests.faults.ledger import Ledger

STEP = 2.0**-32
"""Sums of losses are kept in steps of this, in units of the package: of each loss half a step is lost at most."""

_LABELLED = [OutcomeKind.MATCHED.value, OutcomeKind.CORRECTED.value]
_KEY = ("deployment", "association_id", "model")

Place = tuple[str, str, int]


@dataclass(slots=True)
class Answered:
    """Of each partition: the predictions on its topics, served and shadows', and what its outcomes say."""

    predictions: list[pl.DataFrame] = field(default_factory=list)
    outcomes: list[pl.DataFrame] = field(default_factory=list)

    def add(self, partition: Partition) -> None:
        """Take the columns that are looked at."""
        for frame in (partition.predictions, partition.shadows):
            texts = [pl.col(name).cast(pl.String) for name in _KEY]
            self.predictions.append(frame.select(*texts, "value", "source_offset"))
        self.outcomes.append(
            partition.outcomes.select(
                pl.col("association_id").cast(pl.String).cast(pl.Int64), pl.col("kind").cast(pl.String), "was_acted_on"
            )
        )


def check_accuracy(
    packages: Iterable[Package],
    ledger: Ledger,
    net: Matched,
    answered: Answered,
    stored: Buckets,
    findings: Findings,
) -> None:
    """Every bucket of every model has the confusion and the log loss of its first answers beside the last actuals."""
    first = pl.concat(answered.predictions).sort("source_offset").unique(_KEY, keep="first", maintain_order=True)
    units = {package.digest: package.baseline.units.get("log_loss", 1.0) for package in packages}
    where, times, answers, *_ = ledger.columns()
    number = first["association_id"].cast(pl.Int64).to_numpy()
    matched = first.select("deployment", "model", p="value").with_columns(
        asked_of=pl.Series(np.array(SERVED)[where[number]]),
        start_ms=pl.Series(times[number] // MINUTE_MS * MINUTE_MS),
        yes=pl.Series(answers[number]),
        met=_met(first["model"], number, {digest: met_by(ledger, net, digest) for digest in units}),
    )
    odd = matched.filter(pl.col("deployment") != pl.col("asked_of"))
    findings.none("predictions of another deployment", odd.rows())
    matched = matched.filter("met")
    said = pl.col("p") >= 0.5  # the threshold of a deployment that names none
    loss = -pl.when(pl.col("yes") == 1).then(pl.col("p")).otherwise(1.0 - pl.col("p")).log()
    cell = 2 * pl.col("yes") + said.cast(pl.Int64)
    cells = [(cell == place).sum().cast(pl.Int64).alias(str(place)) for place in range(4)]
    buckets = matched.group_by("deployment", "model", "start_ms").agg(*cells, loss=loss.sum(), n=pl.len())
    confusion: dict[Place, list[int]] = {}
    losses: dict[Place, tuple[float, int]] = {}
    for name, model, start_ms, *found, total, n in buckets.iter_rows():
        confusion[name, model, start_ms] = found
        losses[name, model, start_ms] = total, n
    kept = {
        (name, model, start_ms): summary
        for name, known in stored.items()
        for (kind, model, segment, start_ms), summary in known.items()
        if kind is Kind.ACCURACY and not segment and summary.count("matched")
    }
    tables = {place: summary.vector("confusion", 4).tolist() for place, summary in kept.items()}
    findings.same_rows("confusion", tables, confusion)
    far = []
    for place in kept.keys() & losses.keys():
        step, (total, n) = units[place[1]] * STEP, losses[place]
        if abs((summed := kept[place].sums.get("log_loss", 0) * step) - total) > n * step:
            far.append((place, summed, total, n))
    findings.none("log losses of buckets that are another", far)
    findings.numbers["log losses of buckets"] += len(losses)
    _check_outcomes(ledger, pl.concat(answered.outcomes), findings)


def _met(models: pl.Series, numbers: NDArray[np.int64], by_model: Mapping[str, NDArray[np.bool_]]) -> pl.Series:
    """Of each prediction whether its actual in effect meets it."""
    found = np.zeros(len(numbers), np.bool_)
    for model, met in by_model.items():
        theirs = (models == model).to_numpy()
        found[theirs] = met[numbers[theirs]]
    return pl.Series(found)


def _check_outcomes(ledger: Ledger, outcomes: pl.DataFrame, findings: Findings) -> None:
    """What is said of an actual goes with it; what is to be forgotten is so, once."""
    labelled = outcomes.filter(pl.col("kind").is_in(_LABELLED))
    odd = [row for row in labelled.iter_rows() if row[2] is not (True if is_acted_on(row[0]) else None)]
    findings.none("outcomes that say something else of who acted", odd)
    findings.numbers["outcomes on which somebody acted"] += int(labelled["was_acted_on"].sum())
    gone = outcomes.filter(pl.col("kind") == OutcomeKind.FORGOTTEN.value)["association_id"].to_list()
    findings.same_rows("forgotten", Counter(gone), dict.fromkeys(ledger.forgotten, 1))
    findings.same("whether anything was forgotten", bool(ledger.forgotten), expected=True)
