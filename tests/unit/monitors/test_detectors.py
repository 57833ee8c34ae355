"""Detectors of concept drift: the same detections as river's, the same from any checkpoint."""

from __future__ import annotations

import json

import msgspec
import numpy as np
import pytest
from scipy.stats import ks_2samp

from monitors.detectors import DETECTORS, Detector
from monitors.detectors.kswin import chance
from schemas.deployment import ChangeDetector
from tests.unit.monitors.goldens.make_detectors import GOLDENS, STREAMS, stream

RIVER: dict[str, list[list[int]]] = json.loads(GOLDENS.read_text())


def detections(detector: Detector, losses: list[float]) -> list[int]:
    return [row for row, loss in enumerate(losses) if detector.update(loss)]


@pytest.mark.parametrize("seed", range(STREAMS))
@pytest.mark.parametrize("name", sorted(RIVER))
def test_detections_are_river_s_row_by_row(name: str, seed: int) -> None:
    assert detections(DETECTORS[name].started(0), stream(seed)) == RIVER[name][seed]


@pytest.mark.parametrize("name", sorted(DETECTORS))
def test_a_detector_goes_on_from_its_checkpoint_as_if_nothing_had_been(name: str) -> None:
    losses = stream(1 if DETECTORS[name].continuous_only else 0)
    whole = DETECTORS[name].started(3)
    expected = detections(whole, losses)
    assert expected, "the stream changes"
    for cut in (1, 37, 2_050, 4_321):
        first = DETECTORS[name].started(3)
        before = detections(first, losses[:cut])
        second = msgspec.msgpack.decode(msgspec.msgpack.encode(first), type=DETECTORS[name])
        assert before + [cut + row for row in detections(second, losses[cut:])] == expected
        assert msgspec.msgpack.encode(second) == msgspec.msgpack.encode(whole)


def test_settings_name_the_detectors_that_there_are() -> None:
    assert sorted(DETECTORS) == sorted(name.value for name in ChangeDetector)


def test_the_chance_of_a_distance_is_scipy_s() -> None:
    rng = np.random.default_rng(0)
    for shift in np.linspace(0, 1, 50).tolist():
        found = ks_2samp(rng.normal(size=30), rng.normal(size=30) + shift)
        assert chance(round(found.statistic * 30), 30) == pytest.approx(found.pvalue, rel=1e-9)


def test_kswin_sees_a_change_of_shape_that_leaves_the_mean() -> None:
    rng = np.random.default_rng(2)
    losses = [*rng.normal(0.5, 0.02, 400).tolist(), *rng.choice([0.2, 0.8], 400).tolist()]
    found = detections(DETECTORS["kswin"].started(1), losses)
    assert [row for row in found if 400 <= row < 440]
    assert not [row for row in found if row < 400][2:]


def test_of_the_squared_errors_of_numbers_a_growth_is_found_as_late_as_the_manual_says() -> None:
    found: dict[str, list[int]] = {"adwin": [], "page_hinkley": [], "hddm_a": [], "hddm_w": []}
    for seed in range(5):
        rng = np.random.default_rng(seed)
        errors = rng.normal(0, 1, 10_000)
        scale = np.quantile(rng.normal(0, 1, 20_000) ** 2, 0.999)
        errors[5_000:] *= 1.25
        losses = np.minimum(errors**2 / scale, 1).tolist()
        for name, late in found.items():
            detector = DETECTORS[name].started(seed)
            at = [row - 5_000 for row, loss in enumerate(losses) if detector.update(loss)]
            assert min(at, default=0) >= 0, "no false alarm"
            late.extend(at[:1])
    assert {name: (min(late), max(late)) for name, late in found.items() if late} == {
        "adwin": (279, 439),
        "page_hinkley": (1_078, 1_337),
        "hddm_a": (1_700, 2_554),
    }
