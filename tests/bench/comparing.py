"""Our side of the contest of drift: `python -m tests.bench.comparing FOLDER`, as tests/bench/foreign/comparing.py says.

The reference is made into a baseline beforehand, as a package build does it. A line names a statistic; what is timed is
folding the rows, in batches as an observer takes them, and the metric of each feature from the summary.
"""

from __future__ import annotations

import sys

import numpy as np
import polars as pl

from monitors.baseline import build_baseline
from monitors.folds import fold_features
from monitors.metrics import METRICS
from monitors.summary import Summary
from schemas.deployment import Span
from schemas.observation import Kind
from schemas.package import Feature, FeatureType, Package, Target, TargetType
from tests.bench.foreign.comparing import columns, serve

BATCH_ROWS = 50_000
_TARGET = Target("price", TargetType.REGRESSION)


def main(folder: str) -> None:
    reference, current = (_frame(folder, which) for which in (0, 1))
    features = tuple(
        Feature(name, FeatureType.NUMERIC if kind == pl.Float64 else FeatureType.CATEGORICAL)
        for name, kind in reference.schema.items()
    )
    baseline = build_baseline(features, _TARGET, reference, [1.0, 2.0], [1.5, 2.5])
    package = Package("drift", "1", "drift", _TARGET, features, "linear", baseline)
    del reference

    def compare(statistic: str) -> int:
        total = Summary()
        for first in range(0, current.height, BATCH_ROWS):
            batch = current[first : first + BATCH_ROWS]
            folded = fold_features(batch, np.zeros(batch.height, np.int64), None, package, Span.DAY)
            total.add(folded[Kind.FEATURES, package.digest, "", 0])
        values = [METRICS[statistic].compute(total, package, feature.name).value for feature in features]
        return sum(value is not None for value in values)

    serve(compare)


def _frame(folder: str, which: int) -> pl.DataFrame:
    found = columns(folder, which)
    return pl.DataFrame(
        [pl.Series(name, column, dtype=pl.String if column.dtype == object else None) for name, column in found.items()]
    )


if __name__ == "__main__":
    main(sys.argv[1])
