"""Makes `classes.parquet`, `numbers.parquet` and their `.json`: NannyML's estimates of the demo's other two questions.

Kept are the rows themselves, so that everything is learned and counted anew when they are compared: holdout, and five
chunks of a thousand live bookings, 20,000 apart in the order they were made; of the outcome (three classes) what the
champion says, of the price (a number) also the features, which error models read. `python -m tests.goldens.features`.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl

from infra.demo.bookings import live
from infra.demo.questions import OUTCOME, PRICE, Question
from infra.demo.train import Trained, train
from schemas.package import Package
from scorers.package import build, load
from scorers.scoring import Scores, score
from tests.goldens.judge import judged

CHUNK_ROWS, APART, CHUNKS = 1_000, 20_000, 5
FOLDER = Path(__file__).parent


def main() -> None:
    """Train as the demo does, score holdout and live bookings, ask NannyML."""
    bookings = live(None).sort("made_ms")
    chosen = pl.concat([bookings.slice(place * APART, CHUNK_ROWS) for place in range(CHUNKS)])
    _keep("classes", "multiclass", *(_of_classes(OUTCOME, *part) for part in _scored(OUTCOME, chosen)))
    _keep("numbers", "regression", *(_of_numbers(PRICE, *part) for part in _scored(PRICE, chosen)))


def _keep(name: str, kind: str, holdout: pl.DataFrame, now: pl.DataFrame) -> None:
    pl.concat([holdout, now]).write_parquet(FOLDER / f"{name}.parquet", compression="zstd", compression_level=19)
    found = judged(kind, holdout, now.drop("actual"), CHUNK_ROWS)
    (FOLDER / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n")
    print(f"{len(found)} chunks in {name}.json")


def _scored(question: Question, chosen: pl.DataFrame) -> list[tuple[Trained, pl.DataFrame, Scores]]:
    champion = train(question)[0]
    metadata = Package(champion.name, "1", "", question.target, champion.features, "onnx")
    model = load(build(metadata, champion.onnx, champion.holdout.head(20)))
    now = chosen.with_columns(pl.col(question.truth).alias(question.target.name))
    return [(champion, frame, score(model, frame)) for frame in (champion.holdout, now)]


def _of_classes(question: Question, champion: Trained, frame: pl.DataFrame, said: Scores) -> pl.DataFrame:
    del champion
    classes = question.target.classes
    rounded = np.round(np.asarray(said.probabilities, np.float64), 4)
    rounded[:, -1] = np.round(1 - rounded[:, :-1].sum(axis=1), 4)
    columns = {f"score_{name}": rounded[:, code] for code, name in enumerate(classes)}
    predicted = [classes[code] for code in rounded.argmax(axis=1).tolist()]
    return pl.DataFrame({**columns, "predicted": predicted, "actual": frame[question.target.name].cast(pl.String)})


def _of_numbers(question: Question, champion: Trained, frame: pl.DataFrame, said: Scores) -> pl.DataFrame:
    names = [feature.name for feature in champion.features]
    predicted = np.round(np.asarray(said.values, np.float64), 2)
    return frame.select(*names, predicted=pl.Series(predicted), actual=pl.col(question.target.name).cast(pl.Float64))


if __name__ == "__main__":
    main()
