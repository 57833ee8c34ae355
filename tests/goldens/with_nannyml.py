"""Run by the interpreter of NannyML's own environment: holdout and live rows in, its estimates by chunk out (JSON)."""

from __future__ import annotations

import json
import sys

METRICS = ("roc_auc", "accuracy", "f1", "precision", "recall")


def main(holdout: str, live: str, rows: str) -> None:
    """The files are CSV with the columns score, predicted and (holdout) actual."""
    import nannyml  # type: ignore[import-not-found]  # noqa: PLC0415  # not there where tests are collected
    import pandas as pd  # type: ignore[import-untyped]  # noqa: PLC0415  # not installed here

    judge = nannyml.CBPE(
        y_pred_proba="score",
        y_pred="predicted",
        y_true="actual",
        metrics=list(METRICS),
        chunk_size=int(rows),
        problem_type="classification_binary",
    )
    judge.fit(pd.read_csv(holdout))
    found = judge.estimate(pd.read_csv(live)).filter(period="analysis").to_df()
    chunks = [{name: float(row[name, "value"]) for name in METRICS} for _, row in found.iterrows()]
    print(json.dumps(chunks))


if __name__ == "__main__":
    main(*sys.argv[1:])
