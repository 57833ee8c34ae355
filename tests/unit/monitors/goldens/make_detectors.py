"""`python -m tests.unit.monitors.goldens.make_detectors`: what river detects in these streams (detectors.json).

Made with river 0.26.1 and its default parameters, which is no dependency of ours: it brings scipy, 150 MB.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

STREAMS, ROWS = 6, 6_000
GOLDENS = Path(__file__).with_name("detectors.json")


def stream(seed: int) -> list[float]:
    """Losses whose mean rises at row 2,000 and falls at 4,000: 0/1 errors, or continuous ones."""
    rng = np.random.default_rng(seed)
    rows = np.arange(ROWS)
    level = np.where(rows < 2_000, 0.2, np.where(rows < 4_000, 0.35, 0.15))
    if seed % 2:
        return [float(loss) for loss in np.clip(rng.gamma(2, level / 2), 0, 1).round(6)]
    return [float(error) for error in rng.random(ROWS) < level]


def main() -> None:
    """Write the goldens."""
    from river.drift import ADWIN, PageHinkley  # type: ignore[import-not-found]  # noqa: PLC0415  # not installed here
    from river.drift.binary import HDDMA, HDDMW  # type: ignore[import-not-found]  # noqa: PLC0415  # not installed here

    found: dict[str, list[list[int]]] = {}
    for name, detector in {"adwin": ADWIN, "page_hinkley": PageHinkley, "hddm_a": HDDMA, "hddm_w": HDDMW}.items():
        found[name] = [_detections(detector(), stream(seed)) for seed in range(STREAMS)]
    GOLDENS.write_text(json.dumps(found) + "\n")


def _detections(detector, losses: list[float]) -> list[int]:  # type: ignore[no-untyped-def]  # noqa: ANN001
    rows = []
    for row, loss in enumerate(losses):
        detector.update(loss)
        if detector.drift_detected:
            rows.append(row)
    return rows


if __name__ == "__main__":
    main()
