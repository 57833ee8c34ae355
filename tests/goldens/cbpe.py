"""Makes `cbpe.json`: what NannyML estimates of the demo's cancellation champion, chunk by chunk, before labels.

Kept are the scores of holdout, rows by score bin of each chunk of live bookings in the order they were made, and
NannyML's estimates from the scores themselves: `python -m tests.goldens.cbpe`. NannyML lives in an environment of its
own (`tests/bench/nannyml.lock`).
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from infra.demo.bookings import live
from infra.demo.questions import CANCELLATION
from infra.demo.train import train
from monitors.bins import score_edges
from schemas.package import Package
from scorers.package import build, load
from scorers.scoring import score
from tests.goldens.judge import judged

Floats = NDArray[np.float64]

FILE = Path(__file__).with_suffix(".json")
CHUNK_ROWS = 5_000


def main() -> None:
    """Train as the demo does, score holdout and live bookings, ask NannyML."""
    champion = train(CANCELLATION)[0]
    metadata = Package(champion.name, "1", "", CANCELLATION.target, champion.features, "onnx")
    model = load(build(metadata, champion.onnx, champion.holdout.head(20)))
    bookings = live(None).sort("made_ms")
    bookings = bookings.head(bookings.height // CHUNK_ROWS * CHUNK_ROWS)
    known, now = (_scores(score(model, frame).probabilities) for frame in (champion.holdout, bookings))
    actual = champion.holdout[CANCELLATION.target.name].cast(pl.String) == CANCELLATION.target.positive
    edges = np.array(score_edges(CANCELLATION.target.threshold))
    of_live = np.searchsorted(edges, now)
    golden: dict[str, object] = {
        "scores": known.round(6).tolist(),
        "actual": "".join(map(str, actual.cast(pl.Int8).to_list())),
        "chunks": [np.bincount(chunk, minlength=edges.size + 1).tolist() for chunk in of_live.reshape(-1, CHUNK_ROWS)],
        "estimates": _judged(known, actual.to_numpy(), now),
    }
    FILE.write_text(json.dumps(golden, separators=(",", ":")) + "\n")
    print(f"{now.size // CHUNK_ROWS} chunks in {FILE.name}")


def _scores(probabilities: object) -> Floats:
    return np.asarray(probabilities, np.float64)[:, 1]  # of the positive class


def _judged(
    known: Floats,
    actual: NDArray[np.bool_],
    now: Floats,
) -> list[dict[str, float]]:
    threshold = CANCELLATION.target.threshold
    frame = {"score": known, "predicted": (known >= threshold).astype(int), "actual": actual.astype(int)}
    live_frame = {"score": now, "predicted": (now >= threshold).astype(int)}
    return judged("binary", pl.DataFrame(frame), pl.DataFrame(live_frame), CHUNK_ROWS)


if __name__ == "__main__":
    main()
