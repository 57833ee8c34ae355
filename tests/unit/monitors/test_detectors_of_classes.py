"""How soon detectors find a change in the losses that the fold feeds them of classes, and how seldom they are wrong."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from monitors.detectors import DETECTORS
from monitors.folds import fold_outcomes
from schemas.deployment import Span
from schemas.observation import Kind
from schemas.package import Target, TargetType
from tests.unit.monitors.fold_frames import outcomes, package, said

QUIET, SEEDS = 3_000, range(4)
BINARY = Target("late", TargetType.BINARY, ("no", "yes"))
OF_THREE = Target("kind", TargetType.MULTICLASS, ("a", "b", "c"))

Flags = NDArray[np.bool_]


def losses(rows: list[dict[str, object]], target: Target) -> list[float]:
    """As the fold lists them, in the order of the predictions."""
    found = fold_outcomes(outcomes(rows), {"m": package(target)}, Span.HOUR, row_losses=True)
    listed = found[Kind.LOSSES, "m", "", 0].losses
    assert listed is not None
    return [float(loss) for loss in listed.in_order()[1]]


def brier(seed: int) -> list[float]:
    """Of a calibrated model; from row 3,000 on a fifth of the labels is turned round."""
    rng = np.random.default_rng(seed)
    scores = rng.random(2 * QUIET)
    yes = (rng.random(scores.size) < scores) ^ later(scores.size, rng.random(scores.size) < 0.2)
    rows = zip(scores.tolist(), yes.tolist(), strict=True)
    return losses([row(at, said(p, at_ms=at), "yes" if true else "no") for at, (p, true) in enumerate(rows)], BINARY)


def zero_one(seed: int) -> list[float]:
    """A fifth of the answers is wrong; from row 3,000 on two fifths are."""
    luck = np.random.default_rng(seed).random(2 * QUIET)
    wrong = (luck < 0.2) | later(luck.size, luck < 0.4)
    told = [said(label="a", at_ms=at) for at in range(luck.size)]
    pairs = zip(told, wrong.tolist(), strict=True)
    return losses([row(at, one, "b" if is_wrong else "a") for at, (one, is_wrong) in enumerate(pairs)], OF_THREE)


def later(rows: int, flags: Flags) -> Flags:
    return flags & (np.arange(rows) >= QUIET)


def row(at: int, prediction: dict[str, object], label: str) -> dict[str, object]:
    return {"association_id": str(at), "kind": "matched", "label": label, "predictions": [prediction]}


@pytest.mark.parametrize(
    ("draw", "within"),
    [
        (brier, {"adwin": 600, "page_hinkley": 1_000, "hddm_a": 1_300}),
        (zero_one, {"adwin": 250, "page_hinkley": 260, "hddm_a": 250, "hddm_w": 200}),
    ],
)
def test_a_change_is_found_within_so_many_rows_and_nothing_before_it(draw: object, within: dict[str, int]) -> None:
    assert callable(draw)
    streams = [draw(seed) for seed in SEEDS]
    assert {len(stream) for stream in streams} == {2 * QUIET}
    false_alarms = 0
    for name, rows in within.items():
        for seed, stream in zip(SEEDS, streams, strict=True):
            detector = DETECTORS[name].started(seed)
            found = [at for at, loss in enumerate(stream) if detector.update(loss)]
            false_alarms += sum(at < QUIET for at in found)
            assert QUIET <= min(at for at in found if at >= QUIET) < QUIET + rows, (name, seed)
    assert false_alarms <= 1


def test_of_brier_losses_hddm_w_says_nothing_and_kswin_too_much() -> None:
    stream = brier(0)
    found = {
        name: [at for at, loss in enumerate(stream) if detector.update(loss)]
        for name, detector in ((name, DETECTORS[name].started(0)) for name in ("hddm_w", "kswin"))
    }
    assert found["hddm_w"] == []
    assert 1 < sum(at < QUIET for at in found["kswin"]) < 15
