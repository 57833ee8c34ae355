"""Run by the interpreter of NannyML's own environment: holdout and live rows in, its estimates by chunk out (JSON).

Columns of the two CSV files: predicted and (holdout) actual; of two classes score, of several `score_<class>`, of
numbers the features, by which direct loss estimation learns.
"""

from __future__ import annotations

import json
import sys

OF_CLASSES = ("roc_auc", "accuracy", "f1", "precision", "recall")
OF_NUMBERS = ("mae", "rmse")
_NO_FEATURES = ("predicted", "actual")


def main(kind: str, holdout: str, live: str, rows: str) -> None:
    """`kind`: binary, multiclass or regression."""
    import nannyml  # type: ignore[import-not-found]  # noqa: PLC0415  # not there where tests are collected
    import pandas as pd  # type: ignore[import-untyped]  # noqa: PLC0415  # not installed here

    known, now = pd.read_csv(holdout), pd.read_csv(live)
    common = {"y_pred": "predicted", "y_true": "actual", "chunk_size": int(rows)}
    if kind == "regression":
        features = [name for name in known.columns if name not in _NO_FEATURES]
        for name in features:
            if known[name].dtype == object:
                known[name], now[name] = known[name].astype("category"), now[name].astype("category")
        judge = nannyml.DLE(feature_column_names=features, metrics=list(OF_NUMBERS), **common)
    else:
        scores = [name for name in known.columns if name.startswith("score_")]
        said = {name.removeprefix("score_"): name for name in scores} if kind == "multiclass" else "score"
        problem = f"classification_{kind}"
        judge = nannyml.CBPE(y_pred_proba=said, metrics=list(OF_CLASSES), problem_type=problem, **common)
    judge.fit(known)
    found = judge.estimate(now).filter(period="analysis").to_df()
    names = OF_NUMBERS if kind == "regression" else OF_CLASSES
    print(json.dumps([{name: float(row[name, "value"]) for name in names} for _, row in found.iterrows()]))


if __name__ == "__main__":
    main(*sys.argv[1:])
