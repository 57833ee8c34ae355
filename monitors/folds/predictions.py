"""What was answered: rows, errors, the distribution of predictions, how long answers took, load and consumers."""

from __future__ import annotations

import numpy as np
import polars as pl

from monitors.bins import LATENCY_BINS, bin_count, bin_rows, package_prediction_bins
from monitors.fixed_point import fixed_terms
from monitors.folds.answers import predicted_outputs, present
from monitors.folds.attributed import attributed
from monitors.folds.groups import Groups, SummaryKey, group_rows, summaries
from monitors.folds.load import consumer_counts, minute_counts
from monitors.folds.scored import scored
from monitors.summary import Counts, Summary
from schemas.deployment import Span
from schemas.observation import Kind
from schemas.package import Package

MS = 1.0
"""The unit of sums of times: exact to 2^-33 ms."""


def fold_predictions(frame: pl.DataFrame, package: Package, bucket: Span) -> dict[SummaryKey, Summary]:
    """Fold decoded prediction records of one deployment and model (columns as in the contract `prediction`).

    Predictions: "rows" answered, "error:data", "error:system" and "code:<code>" for the others; of the answered also
    "prediction", "execution_ms" and "response_ms" in bins, with the sums of these times and "timed:<name>", the rows
    in them, and what moved those with explanations (`monitors.folds.attributed`). All rows by minute and by consumer:
    see `monitors.folds.load`. Accuracy: "expected", the answered rows, and what an estimate needs of them
    (`monitors.folds.scored`).
    """
    groups = group_rows(frame["timestamp_ms"].to_numpy(), frame["segments"], bucket)
    answered = ~present(frame["error_kind"])
    rows = groups.tally(answered)
    counts = (
        {"rows": rows} | _errors(groups, frame["error_kind"], "error") | _errors(groups, frame["error_code"], "code")
    )
    bins = package_prediction_bins(package)
    outputs = bin_rows(bins, predicted_outputs(frame, package.target))
    counts["prediction"] = groups.histogram(outputs, bin_count(bins), answered)
    expected, expected_sums = scored(frame, package, groups, answered, outputs)
    sums = {}
    for name in ("execution_ms", "response_ms"):
        known = answered & present(frame[name])
        counts[name] = groups.histogram(bin_rows(LATENCY_BINS, frame[name]), bin_count(LATENCY_BINS), known)
        terms = fixed_terms(np.where(known, frame[name].to_numpy(), 0.0), MS)
        counts[f"timed:{name}"] = groups.tally(known & ~terms.overflow)
        sums[name] = groups.totals(terms)
    counts |= consumer_counts(groups, frame["consumer"])
    explained, moved = attributed(frame, package, groups)
    health = summaries(Kind.PREDICTIONS, package.digest, groups, counts | explained, sums | moved)
    for group, hour, minutes in minute_counts(groups, frame["timestamp_ms"].to_numpy()):
        health[Kind.PREDICTIONS, package.digest, *groups.keys[group]].counts[hour] = minutes
    return health | summaries(Kind.ACCURACY, package.digest, groups, {"expected": rows} | expected, expected_sums)


def _errors(groups: Groups, column: pl.Series, prefix: str) -> dict[str, Counts]:
    if column.null_count() == len(column):
        return {}
    names = column.cast(pl.String)
    found = names.drop_nulls().unique().sort().to_list()
    return {f"{prefix}:{name}": groups.tally((names == name).fill_null(value=False).to_numpy()) for name in found}
