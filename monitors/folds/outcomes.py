"""What came true: each prediction with its actual; corrections and withdrawals take back what was added before.

For each prediction of an outcome the contribution under the previous actual is subtracted, if there is one, and that
under the current actual added, if there is one. The bucket is that of the prediction's time. Withdrawals as such are
not counted: how many a prediction sees depends on which of them came first, and what was predicted waits again anyway.
"delay" counts the matched by how long after their bucket the actual came (`monitors.delay`); corrections and
withdrawals carry the time of what they take back, so that it leaves the bin that it was put into.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from monitors.delay import DELAY, DELAY_BINS, delay_bins
from monitors.fixed_point import fixed_terms
from monitors.folds.answers import class_codes, present
from monitors.folds.beside import Beside, Said
from monitors.folds.groups import Groups, SummaryKey, group_rows, merge_into, summaries
from monitors.folds.losses import fold_losses
from monitors.folds.pairs import fold_pairs
from monitors.folds.scored import scored
from monitors.folds.terms import Terms, contributions
from monitors.spans import bucket_end
from monitors.summary import Counts, Summary
from schemas.deployment import Span
from schemas.observation import Kind
from schemas.package import Package

_KINDS = ("matched", "corrected", "withdrawn", "repeated", "expired")
_MATCHED, _CORRECTED, _WITHDRAWN, _REPEATED, _ = range(len(_KINDS))
_TRUTH = ("truth_value", "truth_label")

Rows = NDArray[np.intp]
Flags = NDArray[np.bool_]
Signs = NDArray[np.int64]


def fold_outcomes(
    frame: pl.DataFrame,
    packages: Mapping[str, Package],
    bucket: Span,
    *,
    row_losses: bool = False,
    by_outcome_time: bool = False,
    said: Said | None = None,
) -> dict[SummaryKey, Summary]:
    """Fold decoded outcomes of one deployment (columns as in the contract `outcome`), champion and challengers alike.

    `row_losses`: keep the loss of each row that was served, for detectors of concept drift, too.
    `by_outcome_time`: count them in the bucket of the actual's time, too (kind `outcomes`).
    `said`: the predictions of the frame, where they have been taken out of it already.
    KeyError where a prediction is of a package that `packages` (by digest) lacks.
    """
    outcomes = _Outcomes.of(frame)
    said = Said.of_outcomes(frame) if said is None else said
    beside = _beside(said, outcomes)
    kinds = outcomes.kinds[said.of]
    losses = np.full(beside.of.size, np.nan)
    total: dict[SummaryKey, Summary] = {}
    for code, (model, (at, truths)) in enumerate(zip(said.models, beside.parts, strict=True)):
        counted = np.flatnonzero((said.codes == code) & (kinds >= _REPEATED))
        merge_into(total, _bookkeeping(said.rows, counted, kinds[counted], packages[model], bucket).items())
        if truths.is_empty():
            continue
        terms = contributions(truths, packages[model])
        losses[at] = terms.losses
        told_ms = outcomes.times_ms[beside.of[at] % outcomes.kinds.size]
        signs = None if beside.signs is None else beside.signs[at]
        found = _accuracy(truths, terms, told_ms, signs, packages[model], bucket, by_outcome_time=by_outcome_time)
        merge_into(total, found.items())
    losses[~np.isfinite(losses)] = np.nan
    if said.rows["shadow"].any():
        clusters = None
        if frame["cluster"].null_count() < frame.height:
            clusters = frame["cluster"].fill_null(-1).to_numpy()[beside.of % outcomes.kinds.size]
        merge_into(total, fold_pairs(beside, losses, packages, bucket, clusters).items())
    if row_losses:
        names = frame["association_id"].cast(pl.Binary).to_list()
        ids = [names[thing] for thing in (beside.of % outcomes.kinds.size).tolist()]
        merge_into(total, fold_losses(beside, losses, ids, packages, bucket).items())
    return {key: summary for key, summary in total.items() if not summary.is_empty()}


@dataclass(frozen=True, slots=True)
class _Outcomes:
    """What the fold must know of each outcome: its kind, and the actuals that it adds and takes back, where any."""

    kinds: Rows
    adds: Flags
    takes_back: Flags
    current: pl.DataFrame
    previous: pl.DataFrame
    times_ms: NDArray[np.int64]

    @classmethod
    def of(cls, frame: pl.DataFrame) -> _Outcomes:
        kinds = class_codes(_KINDS, frame["kind"])
        current = _truth(frame["value"], frame["label"])
        previous = _truth(frame["previous_value"], frame["previous_label"])
        adds = (kinds == _MATCHED) | (kinds == _CORRECTED)
        takes_back = (kinds == _CORRECTED) | (kinds == _WITHDRAWN)
        times_ms = frame["timestamp_ms"].to_numpy()
        return cls(kinds, adds & _known(current), takes_back & _known(previous), current, previous, times_ms)


def _truth(values: pl.Series, labels: pl.Series) -> pl.DataFrame:
    return pl.DataFrame([values.alias(_TRUTH[0]), labels.alias(_TRUTH[1])])


def _known(truth: pl.DataFrame) -> Flags:
    value, label = (present(truth[name]) for name in _TRUTH)
    return value | label


def _bookkeeping(
    said: pl.DataFrame, counted: Rows, kinds: Rows, package: Package, bucket: Span
) -> dict[SummaryKey, Summary]:
    """A prediction asked for again was expected twice, and is "repeated"; one that no actual reached has expired.

    What estimates need of the repeated one (`monitors.folds.scored`) is taken back with "expected".
    """
    if not counted.size:
        return {}
    repeated = kinds == _REPEATED
    taken = said[counted]
    groups = group_rows(taken["timestamp_ms"].to_numpy(), taken["segments"], bucket)
    again = groups.tally(repeated)
    counts = {"expected": -again, "repeated": again, "expired": groups.tally(~repeated)}
    twice, sums = scored(taken, package, groups, repeated) if repeated.any() else ({}, {})
    counts |= {name: -table for name, table in twice.items()}
    taken_back = {name: [-total for total in totals] for name, totals in sums.items()}
    return summaries(Kind.ACCURACY, package.digest, groups, counts, taken_back)


def _beside(said: Said, outcomes: _Outcomes) -> Beside:
    """What is taken back is of things counted on from the last outcome."""
    of, count = said.of, outcomes.kinds.size
    added, taken_back = np.flatnonzero(outcomes.adds[of]), np.flatnonzero(outcomes.takes_back[of])
    if added.size == of.size and not taken_back.size:
        return Beside.of_rows(said.rows.hstack(outcomes.current[of]), of, None, said.models, said.codes)
    rows = np.concatenate([added, taken_back])
    truths = pl.concat([outcomes.current[of[added]], outcomes.previous[of[taken_back]]])
    things = np.concatenate([of[added], of[taken_back] + count])
    signs = np.repeat(np.array([1, -1]), (added.size, taken_back.size)) if taken_back.size else None
    return Beside.of_rows(said.rows[rows].hstack(truths), things, signs, said.models, said.codes[rows])


def _accuracy(
    truths: pl.DataFrame,
    terms: Terms,
    told_ms: NDArray[np.int64],
    signs: Signs | None,
    package: Package,
    bucket: Span,
    *,
    by_outcome_time: bool,
) -> dict[SummaryKey, Summary]:
    """What predictions of a model add and take back beside actuals that came at these times."""
    asked_ms = truths["timestamp_ms"].to_numpy()
    groups = group_rows(asked_ms, truths["segments"], bucket)
    counts, sums = _totals(terms, groups, signs, package)
    late = delay_bins(told_ms - bucket_end(asked_ms, bucket))
    counts[DELAY] = groups.histogram(late, DELAY_BINS, terms.valid, signs)
    found = summaries(Kind.ACCURACY, package.digest, groups, counts, sums)
    if by_outcome_time:
        groups = group_rows(told_ms, truths["segments"], bucket)
        found |= summaries(Kind.OUTCOMES, package.digest, groups, *_totals(terms, groups, signs, package))
    return found


def _totals(
    terms: Terms, groups: Groups, signs: Signs | None, package: Package
) -> tuple[dict[str, Counts], dict[str, list[int]]]:
    """Counts and sums of each group by name."""
    counts: dict[str, Counts] = {
        name: groups.histogram(positions, width, where, signs) for name, (positions, width, where) in terms.bins.items()
    }
    for name, (positions, width, where, weights) in terms.weights.items():
        signed = weights if signs is None else weights * signs
        counts[name] = groups.histogram(positions, width, where, signed)
    sums: dict[str, list[int]] = {}
    for name, (term, usable) in terms.sums.items():
        fixed = fixed_terms(np.where(usable, term, 0.0), package.baseline.units.get(name, 1.0))
        sums[name] = groups.totals(fixed, signs)
        if fixed.overflow.any():
            counts[f"overflow:{name}"] = groups.tally(fixed.overflow, signs)
    return counts, sums
