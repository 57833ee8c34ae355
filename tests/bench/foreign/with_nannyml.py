"""NannyML: univariate Jensen-Shannon distances of one chunk, the reference fitted beforehand."""

from __future__ import annotations

import sys

from comparing import FEW_ROWS, columns, serve  # type: ignore[import-not-found]  # beside this file, where it runs


def main(folder: str) -> None:
    import nannyml  # type: ignore[import-not-found]  # noqa: PLC0415  # only in its own environment
    import pandas as pd  # type: ignore[import-untyped]  # noqa: PLC0415  # not installed here

    reference, current = (pd.DataFrame(columns(folder, which)) for which in (0, 1))
    names = list(reference.columns)
    calculator = nannyml.UnivariateDriftCalculator(
        column_names=names,
        continuous_methods=["jensen_shannon"],
        categorical_methods=["jensen_shannon"],
        chunk_number=1,
    )
    calculator.fit(reference)

    def compare(_: str, rows: pd.DataFrame = current) -> int:
        last = calculator.calculate(rows).to_df().iloc[-1]  # those before it are of the reference
        return sum(bool(pd.notna(last[name, "jensen_shannon", "value"])) for name in names)

    compare("", current.head(FEW_ROWS))
    serve(compare)


if __name__ == "__main__":
    main(sys.argv[1])
