"""From a batch of decoded rows to deltas of summaries: pure, on columns, the same for any order and any cut."""

from monitors.folds.features import fold_features
from monitors.folds.groups import SummaryKey
from monitors.folds.outcomes import fold_outcomes
from monitors.folds.predictions import fold_predictions

__all__ = ["SummaryKey", "fold_features", "fold_outcomes", "fold_predictions"]
