"""What came true: each prediction with its actual; corrections and withdrawals take back what was added before.

For each prediction of an outcome the contribution under the previous actual is subtracted, if there is one, and that
under the current actual added, if there is one. The bucket is that of the prediction's time. Withdrawals as such are
not counted: how many a prediction sees depends on which of them came first, and what was predicted waits again anyway.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from monitors.fixed_point import fixed_terms
from monitors.folds.groups import SummaryKey, group_rows, merge_into, summaries
from monitors.folds.terms import contributions
from monitors.summary import Counts, Summary
from schemas.deployment import Span
from schemas.observation import Kind
from schemas.package import Package

_ADDS = ("matched", "corrected")
_TAKES_BACK = ("corrected", "withdrawn")
_SAID = ("timestamp_ms", "value", "label", "probabilities", "segments")


def fold_outcomes(frame: pl.DataFrame, packages: Mapping[str, Package], bucket: Span) -> dict[SummaryKey, Summary]:
    """Fold decoded outcomes of one deployment (columns as in the contract `outcome`), champion and challengers alike.

    KeyError where a prediction is of a package that `packages` (by digest) lacks.
    """
    total: dict[SummaryKey, Summary] = {}
    said = _predictions(frame)
    for (model,), rows in said.partition_by("model", as_dict=True).items():
        package = packages[str(model)]
        merge_into(total, _bookkeeping(rows, package, bucket).items())
        merge_into(total, _accuracy(_truths(rows), package, bucket).items())
    return {key: summary for key, summary in total.items() if not summary.is_empty()}


def _predictions(frame: pl.DataFrame) -> pl.DataFrame:
    """One row per outcome and prediction."""
    outcomes = frame.select(
        pl.col("kind").cast(pl.String),
        "predictions",
        "previous_value",
        "previous_label",
        truth_value="value",
        truth_label="label",
    )
    said = outcomes.filter(pl.col("predictions").list.len() > 0).explode("predictions").unnest("predictions")
    return said.rename({"timestamp": "timestamp_ms"}, strict=False)


def _bookkeeping(rows: pl.DataFrame, package: Package, bucket: Span) -> dict[SummaryKey, Summary]:
    """A prediction asked for again was expected twice; one that no actual reached in time has expired."""
    counted = rows.filter(pl.col("kind").is_in(("repeated", "expired")))
    if counted.is_empty():
        return {}
    repeated = (counted["kind"] == "repeated").to_numpy()
    groups = group_rows(counted["timestamp_ms"].to_numpy(), counted["segments"], bucket)
    counts = {"expected": -groups.tally(repeated), "expired": groups.tally(~repeated)}
    return summaries(Kind.ACCURACY, package.digest, groups, counts)


def _truths(rows: pl.DataFrame) -> pl.DataFrame:
    """Predictions beside an actual, with sign 1 where it is the current and -1 where it is the previous one."""
    current = rows.filter(pl.col("kind").is_in(_ADDS)).select(
        *_SAID, "truth_value", "truth_label", sign=pl.lit(1, pl.Int64)
    )
    previous = rows.filter(pl.col("kind").is_in(_TAKES_BACK)).select(
        *_SAID, truth_value="previous_value", truth_label="previous_label", sign=pl.lit(-1, pl.Int64)
    )
    both = pl.concat([current, previous])
    return both.filter(pl.col("truth_value").is_not_null() | pl.col("truth_label").is_not_null())


def _accuracy(truths: pl.DataFrame, package: Package, bucket: Span) -> dict[SummaryKey, Summary]:
    if truths.is_empty():
        return {}
    groups = group_rows(truths["timestamp_ms"].to_numpy(), truths["segments"], bucket)
    signs = truths["sign"].to_numpy()
    terms = contributions(truths, package)
    counts: dict[str, Counts] = {
        name: groups.histogram(positions, width, where, signs) for name, (positions, width, where) in terms.bins.items()
    }
    sums: dict[str, list[int]] = {}
    for name, (term, usable) in terms.sums.items():
        fixed = fixed_terms(np.where(usable, term, 0.0), package.baseline.units.get(name, 1.0))
        sums[name] = groups.totals(fixed, signs)
        if fixed.overflow.any():
            counts[f"overflow:{name}"] = groups.tally(fixed.overflow, signs)
    return summaries(Kind.ACCURACY, package.digest, groups, counts, sums)
