"""Which rows of a batch may be in the sample of their bucket, and what is kept of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from monitors.bins import bin_count, bin_rows
from monitors.folds.groups import Groups
from monitors.sample import LEFT_OUT, MISSING, Codes, Sample, candidates, capacity, codes_of, sampling_hashes
from schemas.package import Baseline, Bins


def row_codes(
    features: pl.DataFrame, rows: NDArray[np.intp], watched: dict[str, Bins], excluded: Collection[str] = ()
) -> Codes:
    """The codes of some rows, a column for each of the `watched` features by name; nothing is kept of the excluded."""
    codes = np.full((rows.size, len(watched)), MISSING, np.uint8)
    for place, (name, bins) in enumerate(sorted(watched.items())):
        if name in excluded:
            codes[:, place] = LEFT_OUT
        elif name in features.columns:
            codes[:, place] = codes_of(bin_rows(bins, features[name][rows]), bin_count(bins))
    return codes


def samples(
    features: pl.DataFrame,
    association_ids: Sequence[bytes],
    groups: Groups,
    baseline: Baseline,
    excluded: Collection[str] = (),
) -> Iterator[tuple[int, Sample]]:
    """A sample for each bucket of a batch: start of the bucket, rows. All rows only, no segment has one of its own."""
    most = capacity(len(baseline.features))
    for code, (segment, start_ms) in enumerate(groups.keys):
        if segment:
            continue
        members = np.flatnonzero(groups.everyone == code)
        ids = [association_ids[row] for row in members.tolist()]
        chosen = candidates(ids, most)
        hashes = sampling_hashes([ids[row] for row in chosen.tolist()])
        yield start_ms, Sample.of(hashes, row_codes(features, members[chosen], baseline.features, excluded))


def training_sample(training: pl.DataFrame, watched: dict[str, Bins]) -> Sample:
    """The baseline's sample: training rows by the hash of their position, so that a build can be repeated."""
    positions = [str(position).encode() for position in range(training.height)]
    chosen = candidates(positions, capacity(len(watched)))
    hashes = sampling_hashes([positions[row] for row in chosen.tolist()])
    return Sample.of(hashes, row_codes(training, chosen, watched))
