"""What was answered: rows, errors, the distribution of predictions, and how long answers took."""

from __future__ import annotations

import polars as pl

from monitors.bins import LATENCY_BINS, bin_count, bin_rows, package_prediction_bins
from monitors.folds.answers import predicted_outputs, present
from monitors.folds.groups import Groups, SummaryKey, group_rows, summaries
from monitors.summary import Counts, Summary
from schemas.deployment import Span
from schemas.observation import Kind
from schemas.package import Package


def fold_predictions(frame: pl.DataFrame, package: Package, bucket: Span) -> dict[SummaryKey, Summary]:
    """Fold decoded prediction records of one deployment and model (columns as in the contract `prediction`).

    Predictions: "rows" answered, "error:data", "error:system" and "code:<code>" for the others; of the answered also
    "prediction", "execution_ms" and "response_ms" in bins. Accuracy: "expected", the answered rows.
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
    for name in ("execution_ms", "response_ms"):
        known = answered & present(frame[name])
        counts[name] = groups.histogram(bin_rows(LATENCY_BINS, frame[name]), bin_count(LATENCY_BINS), known)
    return summaries(Kind.PREDICTIONS, package.digest, groups, counts) | summaries(
        Kind.ACCURACY, package.digest, groups, {"expected": rows}
    )


def _errors(groups: Groups, column: pl.Series, prefix: str) -> dict[str, Counts]:
    if column.null_count() == len(column):
        return {}
    names = column.cast(pl.String)
    found = names.drop_nulls().unique().sort().to_list()
    return {f"{prefix}:{name}": groups.tally((names == name).fill_null(value=False).to_numpy()) for name in found}
