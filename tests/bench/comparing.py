"""Our side of the contest of drift: `python -m tests.bench.comparing FOLDER`, as tests/bench/foreign/comparing.py says.

The reference is made into a baseline beforehand, as a package build does it, and by another process: what a build
leaves in the heap of its own would be room that costs nothing. A line names a statistic; what is timed is folding the
rows, in batches as an observer takes them, and the metric of each feature from the summary.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import polars as pl

from monitors.baseline import build_baseline
from monitors.folds import fold_features
from monitors.metrics import METRICS
from monitors.summary import Summary
from schemas.deployment import Span
from schemas.observation import Kind
from schemas.package import Feature, FeatureType, Package, Target, TargetType
from tests.bench.foreign.comparing import FEW_ROWS, columns, serve

BATCH_ROWS = 50_000
_TARGET = Target("price", TargetType.REGRESSION)


def build(folder: str, file: Path) -> None:
    """The package of the reference, as a file."""
    reference = _frame(folder, 0)
    features = tuple(
        Feature(name, FeatureType.NUMERIC if kind == pl.Float64 else FeatureType.CATEGORICAL)
        for name, kind in reference.schema.items()
    )
    baseline = build_baseline(features, _TARGET, reference, [1.0, 2.0], [1.5, 2.5])
    file.write_bytes(msgspec.json.encode(Package("drift", "1", "drift", _TARGET, features, "linear", baseline)))


def main(folder: str) -> None:
    file = Path(folder, "package.json")
    subprocess.run([sys.executable, "-m", __spec__.name, folder, str(file)], check=True)
    package, current = msgspec.json.decode(file.read_bytes(), type=Package), _frame(folder, 1)

    def compare(statistic: str, rows: pl.DataFrame = current) -> int:
        total = Summary()
        for first in range(0, rows.height, BATCH_ROWS):
            batch = rows[first : first + BATCH_ROWS]
            folded = fold_features(batch, np.zeros(batch.height, np.int64), None, package, Span.DAY)
            total.add(folded[Kind.FEATURES, package.digest, "", 0])
        values = [METRICS[statistic].compute(total, package, feature.name).value for feature in package.features]
        return sum(value is not None for value in values)

    compare("psi", current[:FEW_ROWS])
    serve(compare)


def _frame(folder: str, which: int) -> pl.DataFrame:
    found = columns(folder, which)
    return pl.DataFrame(
        [pl.Series(name, column, dtype=pl.String if column.dtype == object else None) for name, column in found.items()]
    )


if __name__ == "__main__":
    main(sys.argv[1]) if len(sys.argv) == 2 else build(sys.argv[1], Path(sys.argv[2]))
