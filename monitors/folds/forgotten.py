"""Rows that are to be forgotten leave the samples and the lists of losses of their buckets.

Sums that counted them stay: they say nothing of one row.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from monitors.folds.groups import SummaryKey
from monitors.loss_list import LossList
from monitors.sample import Sample, sampling_hashes
from monitors.spans import bucket_start
from monitors.summary import Summary
from schemas.deployment import Span
from schemas.observation import Kind
from schemas.outcome import OutcomeKind
from schemas.package import Package


def fold_forgotten(
    frame: pl.DataFrame, packages: Mapping[str, Package], bucket: Span, *, row_sample: bool = True
) -> dict[SummaryKey, Summary]:
    """From decoded outcomes, what takes the forgotten ones out of samples (`row_sample`) and losses of who served them.

    Of what a row was, only the hash of its association ID stays: that keeps it from coming back. Lists of losses are
    told whether detectors are asked for or not: those that were may be there still.
    """
    is_gone = frame["kind"].cast(pl.String) == OutcomeKind.FORGOTTEN.value
    if not is_gone.any():
        return {}
    said = frame.filter(is_gone).select("association_id", "predictions").explode("predictions").unnest("predictions")
    served = said.filter(~said["shadow"]).rename({"timestamp": "asked_ms"})
    start = pl.Series("start_ms", bucket_start(served["asked_ms"].to_numpy(), bucket))
    found = {}
    for (model, start_ms), rows in served.with_columns(start).group_by("model", "start_ms", maintain_order=True):
        hashes = sampling_hashes([name.encode() for name in rows["association_id"]])
        at_ms = int(str(start_ms))
        found[Kind.LOSSES, str(model), "", at_ms] = Summary(losses=LossList.forgetting(hashes))
        if row_sample:
            nothing = np.zeros((hashes.size, len(packages[str(model)].baseline.features)), np.uint8)
            sample = Sample.of(hashes, nothing, np.ones(hashes.size, np.bool_))
            found[Kind.FEATURES, str(model), "", at_ms] = Summary(sample=sample)
    return found
