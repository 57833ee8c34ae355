"""From a batch of decoded rows to deltas of summaries: pure, on columns, the same for any order and any cut."""

from monitors.folds.features import fold_features
from monitors.folds.flow import fold_flow
from monitors.folds.groups import SummaryKey
from monitors.folds.outcomes import fold_outcomes
from monitors.folds.predictions import fold_predictions
from monitors.folds.refusals import fold_refusals, fold_schemas

__all__ = [
    "SummaryKey",
    "fold_features",
    "fold_flow",
    "fold_outcomes",
    "fold_predictions",
    "fold_refusals",
    "fold_schemas",
]
