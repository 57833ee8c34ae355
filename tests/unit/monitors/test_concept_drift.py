"""Losses row by row, exact under corrections; detectors over resolved buckets, read again where losses are revised."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitors import concept_drift
from monitors.base_buckets import BaseBuckets
from monitors.concept_drift import ConceptDrift
from monitors.evaluator import Evaluator
from monitors.folds import fold_outcomes
from monitors.loss_list import MOST_ROWS, LossList
from monitors.sample import sampling_hashes
from monitors.summary import Summary as Counts
from monitors.windows import Series
from schemas.deployment import HOUR_MS, ChangeDetector, Span
from schemas.observation import Detection, Entry, Kind
from schemas.package import Target, TargetType
from tests.unit.monitors.evaluator_scene import SETTINGS, Known, Run, progress, summary
from tests.unit.monitors.fold_frames import outcomes, package, said

BINARY = Target("bought", TargetType.BINARY, ("no", "yes"))
ROWS = 1_000


def listed(rows: list[tuple[int, int, float, int]]) -> LossList:
    hashes, times_ms, losses, weights = zip(*rows, strict=True) if rows else ((), (), (), ())
    return LossList.of(
        np.array(hashes, np.uint64), np.array(times_ms, np.int64), np.array(losses, np.float64), np.array(weights)
    )


rows_of = st.lists(
    st.tuples(st.integers(0, 9), st.integers(0, 3), st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from([1, -1])),
    max_size=12,
)


@settings(deadline=None)
@given(rows_of, rows_of, rows_of)
def test_lists_merge_in_any_order_to_the_same_bytes(
    one: list[tuple[int, int, float, int]],
    two: list[tuple[int, int, float, int]],
    three: list[tuple[int, int, float, int]],
) -> None:
    parts = [listed(rows) for rows in (one, two, three)]
    merged = parts[0].merged(parts[1]).merged(parts[2]).encode()
    assert merged == parts[2].merged(parts[1].merged(parts[0])).encode()
    assert merged == listed(one + two + three).encode()
    assert LossList.decode(merged).encode() == merged


def test_beyond_its_size_a_list_keeps_the_smallest_hashes_in_any_order() -> None:
    rng = np.random.default_rng(0)
    hashes = rng.permutation(3 * MOST_ROWS).astype(np.uint64)
    parts = [
        LossList.of(some, some.astype(np.int64), some / 1e6, np.ones(some.size, np.int64))
        for some in np.array_split(hashes, 5)
    ]
    forth, back = parts[0], parts[-1]
    for part in parts[1:]:
        forth = forth.merged(part)
    for part in parts[-2::-1]:
        back = back.merged(part)
    assert forth.encode() == back.encode()
    assert forth.hashes.tolist() == list(range(MOST_ROWS))
    assert forth.is_approximate


def outcome(name: str, p: float, label: str, at_ms: int, **more: Any) -> dict[str, Any]:  # noqa: ANN401  # of any type
    return {"association_id": name, "kind": "matched", "label": label, "predictions": [said(p, at_ms=at_ms)]} | more


def test_losses_of_served_rows_are_in_order_of_prediction_and_corrected_exactly() -> None:
    first = [outcome("b", 0.25, "yes", 20), outcome("a", 0.5, "no", 10), outcome("c", 0.5, "?", 5)]
    fixed = [outcome("b", 0.25, "no", 20, kind="corrected", previous_label="yes")]
    total = Counts()
    for part in (fixed, first):
        folded = fold_outcomes(outcomes(part), {"m": package(BINARY)}, Span.HOUR, row_losses=True)
        total.add(folded[Kind.LOSSES, "m", "", 0])
    assert total.losses is not None
    times_ms, losses = total.losses.in_order()
    assert (times_ms.tolist(), losses.tolist()) == ([10, 20], [0.25, 0.0625])
    assert sorted(total.losses.hashes.tolist()) == sorted(sampling_hashes([b"a", b"b"]).tolist())
    assert Counts.decode(total.encode()) == total


def losses_entry(hour: int, errors: float) -> Entry:
    """A thousand rows of an hour of which that share is wrong, evenly."""
    at = np.arange(ROWS)
    wrong = np.floor((at + 1) * errors) > np.floor(at * errors)
    rows = LossList.of(
        (hour * ROWS + at).astype(np.uint64),
        hour * HOUR_MS + at,
        wrong.astype(np.float64),
        np.ones(ROWS, np.int64),
    )
    return Entry(Kind.LOSSES, "m1", "", hour * HOUR_MS, Counts(losses=rows).encode())


def taken_back(entry: Entry) -> Entry:
    gone = Counts()
    gone.add(Counts.decode(entry.body), -1)
    return msgspec.structs.replace(entry, body=gone.encode())


class Watching(Run):
    """An evaluator with detectors, for which predictions are resolved after an hour."""

    def __init__(self) -> None:
        detectors = (ChangeDetector.ADWIN, ChangeDetector.HDDM_A)
        super().__init__(
            Known(settings=msgspec.structs.replace(SETTINGS, resolved_after_ms=HOUR_MS, detectors=detectors))
        )
        self.evaluator = Evaluator(self.table, ())

    def look(self, *entries: Entry, hour: float, restart: bool = False) -> list[Detection]:
        self.evaluator.step(summary(*entries), self.view)
        found = self.evaluator.step(progress(int(hour * 1_000), int(hour * HOUR_MS)), self.view).detections
        self.evaluator.flush()
        if restart:
            self.evaluator = Evaluator(self.table, ())
        return found


def test_a_change_is_found_once_its_bucket_is_resolved_also_after_a_restart() -> None:
    run = Watching()
    assert not run.look(*(losses_entry(hour, 0.1) for hour in range(3)), losses_entry(3, 0.5), hour=4.0, restart=True)
    found = run.look(hour=5.0)
    assert {(one.detector, one.bucket_ms // HOUR_MS, one.retracted) for one in found} == {
        ("adwin", 3, False),
        ("hddm_a", 3, False),
    }
    assert all(0 < one.at_ms - 3 * HOUR_MS < 200 for one in found)
    assert not run.look(hour=6.0)


def test_a_correction_reads_again_from_its_bucket_and_retracts_what_is_not_found_there() -> None:
    run, clean = Watching(), Watching()
    wrong, right = losses_entry(1, 0.6), losses_entry(1, 0.1)
    others = [losses_entry(hour, 0.1) for hour in (0, 2, 3)]
    found = run.look(wrong, *others, hour=8.0, restart=True)
    assert any(one.bucket_ms == HOUR_MS for one in found)
    told = run.look(taken_back(wrong), right, hour=8.1)
    assert all(one.retracted for one in told if one.bucket_ms == HOUR_MS)
    assert {(one.detector, one.at_ms) for one in told if one.retracted} == {(one.detector, one.at_ms) for one in found}
    clean.look(right, *others, hour=8.0)
    assert dict(run.table.scan(b"k")) == dict(clean.table.scan(b"k"))


def test_a_replaced_champion_is_read_on_and_corrected_and_forgotten_with_its_last_bucket() -> None:
    run = Watching()
    run.view.settings = msgspec.structs.replace(run.view.settings, horizon_ms=20 * HOUR_MS)
    wrong, right = losses_entry(1, 0.6), losses_entry(1, 0.1)
    found = run.look(losses_entry(0, 0.1), wrong, hour=2.5)
    run.view.champion = "m2"
    run.view.revision += 1
    found += run.look(losses_entry(2, 0.1), hour=8.0, restart=True)
    assert {(one.model, one.bucket_ms // HOUR_MS) for one in found} >= {("m1", 1)}, "its labels came while m2 serves"
    told = run.look(taken_back(wrong), right, hour=9.0, restart=True)
    told += run.look(hour=10.5)
    retracted = {(one.detector, one.at_ms) for one in told if one.retracted}
    assert {(one.detector, one.at_ms) for one in found if one.bucket_ms == HOUR_MS} <= retracted
    assert list(run.table.scan(b"k"))
    run.look(hour=40.0)
    assert not [*run.table.scan(b"k"), *run.table.scan(b"j")]


def test_a_correction_counts_also_while_predictions_are_resolved_later_than_before() -> None:
    run, clean = Watching(), Watching()
    wrong, right = losses_entry(1, 0.6), losses_entry(1, 0.1)
    others = [losses_entry(hour, 0.1) for hour in (0, 2, 3)]
    run.look(wrong, *others, hour=8.0)
    run.view.settings = msgspec.structs.replace(run.view.settings, resolved_after_ms=8 * HOUR_MS)
    run.look(taken_back(wrong), right, hour=8.1)
    clean.look(right, *others, hour=8.0)
    assert dict(run.table.scan(b"k")) == dict(clean.table.scan(b"k"))


def test_late_labels_cost_one_reading_a_bucket_in_parts_that_restarts_go_on_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(concept_drift, "MOST_UPDATES", 2 * ROWS)  # a bucket with each progress record
    entries = [losses_entry(hour, 0.1) for hour in range(6)]
    read: list[int] = []
    plain = ConceptDrift._read

    def counted(self: ConceptDrift, buckets: BaseBuckets, series: Series, start_ms: int, names: list[str]) -> Any:  # noqa: ANN401  # as what it stands for answers
        read.append(start_ms // HOUR_MS)
        return plain(self, buckets, series, start_ms, names)

    monkeypatch.setattr(ConceptDrift, "_read", counted)
    run, clean = Watching(), Watching()
    run.look(*entries, hour=7.5)
    for _ in range(9):
        run.look(hour=7.5, restart=True)
    assert read == [0, 1, 2, 3, 4, 5]
    for turn in range(9):  # the same labels, taken back and given again
        run.look(entries[1] if turn % 2 else taken_back(entries[1]), hour=7.6)
    assert read[6:] == [1, 2, 3, 4, 5]
    for _ in range(9):
        run.look(hour=8.6, restart=True)
    assert read[11:] == [1, 2, 3, 4, 5]
    clean.look(*entries, taken_back(entries[1]), hour=8.6)
    for _ in range(9):
        clean.look(hour=8.6)
    assert dict(run.table.scan(b"k")) == dict(clean.table.scan(b"k"))
