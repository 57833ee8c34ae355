"""Evidently: the data drift preset with PSI, from two frames to values. It reads the reference each time."""

from __future__ import annotations

import sys
from typing import Any

from comparing import FEW_ROWS, columns, serve  # type: ignore[import-not-found]  # beside this file, where it runs


def main(folder: str) -> None:
    import pandas as pd  # type: ignore[import-untyped]  # noqa: PLC0415  # only in its own environment
    from evidently import DataDefinition, Dataset, Report  # type: ignore[import-not-found]  # noqa: PLC0415
    from evidently.presets import DataDriftPreset  # type: ignore[import-not-found]  # noqa: PLC0415

    frames = [pd.DataFrame(columns(folder, which)) for which in (0, 1)]
    names = list(frames[0].columns)
    kinds = DataDefinition(
        numerical_columns=[name for name in names if name.startswith("n")],
        categorical_columns=[name for name in names if name.startswith("c")],
    )
    both = [Dataset.from_pandas(frame, data_definition=kinds) for frame in frames]
    few = [Dataset.from_pandas(frame.head(FEW_ROWS), data_definition=kinds) for frame in frames]

    def compare(_: str, pair: list[Any] = both) -> int:
        found: dict[str, Any] = Report([DataDriftPreset(method="psi")]).run(pair[1], pair[0]).dict()
        return sum("ValueDrift" in str(metric.get("metric_name", metric)) for metric in found["metrics"])

    compare("", few)
    serve(compare)


if __name__ == "__main__":
    main(sys.argv[1])
