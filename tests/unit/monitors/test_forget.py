"""An association that is to be forgotten leaves the join and the samples, and sums as they are; and what is carried."""

from __future__ import annotations

import numpy as np
import pytest

from monitors.folds import fold_outcomes
from monitors.folds.forgotten import fold_forgotten
from monitors.sample import Sample, sampling_hashes
from monitors.summary import Summary
from schemas.columnar import Decoded
from schemas.deployment import HOUR_MS, Span
from schemas.observation import Kind
from schemas.outcome import Outcome, decode_outcomes, encode_outcomes
from schemas.package import Baseline, NumericBins, Package, Target, TargetType
from tests.unit.monitors.join_scene import CHALLENGER, CHAMPION, FIRST, KEY, NOW, Actual, Joiner, Prediction
from tests.unit.schemas.examples import batch

FORGET = Actual(label=None, forget=True)
BINS = NumericBins((0.0, 1.0), (0, 5, 0, 0))
TARGET = Target("late", TargetType.BINARY, ("no", "yes"))
PACKAGES = {
    digest: Package("any", "1", digest, TARGET, (), "linear", Baseline(features={"age": BINS}))
    for digest in (CHAMPION, FIRST)
}
BUCKET_MS = NOW // HOUR_MS * HOUR_MS


@pytest.fixture
def joiner() -> Joiner:
    return Joiner()


def read(outcomes: list[Outcome]) -> Decoded:
    ids = [outcome.association_id for outcome in outcomes]
    return decode_outcomes(batch(list(zip(ids, encode_outcomes(outcomes), strict=True))))


def kinds(outcomes: list[Outcome]) -> list[str]:
    return [outcome.kind.value for outcome in outcomes]


def test_what_was_matched_leaves_the_join_and_only_who_predicted_is_told(joiner: Joiner) -> None:
    joiner.step(Prediction(), CHALLENGER, Actual("yes"))
    (gone,) = joiner.step(FORGET)
    assert joiner.table == {}
    assert (gone.kind, gone.reason, gone.value, gone.label, gone.previous_label) == (
        "forgotten",
        "forgotten",
        None,
        None,
        None,
    )
    assert {(said.model, said.timestamp_ms) for said in gone.predictions} == {(CHAMPION, NOW), (FIRST, NOW)}
    assert all((said.value, said.label, said.probabilities) == (None, None, ()) for said in gone.predictions)


def test_what_waited_is_no_longer_pending(joiner: Joiner) -> None:
    joiner.step(Prediction())
    assert kinds(joiner.step(FORGET)) == ["expired", "forgotten"]
    assert joiner.table == {}


def test_what_the_join_does_not_know_is_forgotten_too_as_its_outcomes_may_be_kept(joiner: Joiner) -> None:
    """After the horizon there is no entry, or only an actual that came later; the word changes no sum and no sample."""
    unknown = joiner.step(FORGET)
    joiner.step(Actual("yes"))
    unknown += joiner.step(FORGET)
    assert joiner.table == {}
    assert [(one.kind, one.reason, one.timestamp_ms, one.label, one.predictions) for one in unknown] == [
        ("forgotten", "forgotten", FORGET.timestamp_ms, None, ())
    ] * 2
    frame = read(unknown).frame
    assert fold_outcomes(frame, PACKAGES, Span.HOUR, row_losses=True) == {}
    assert fold_forgotten(frame, PACKAGES, Span.HOUR) == {}


def test_what_comes_after_begins_anew(joiner: Joiner) -> None:
    assert kinds(joiner.step(Prediction(), Actual("yes"), FORGET, Actual("no"))) == ["matched", "forgotten"]
    assert kinds(joiner.step(Prediction(offset=9))) == ["matched"]
    assert list(joiner.table) == [KEY]


def test_a_forgotten_row_leaves_its_sample_its_loss_and_no_sum(joiner: Joiner) -> None:
    matched = read(joiner.step(Prediction(), CHALLENGER, Actual("yes"))).frame
    frame = read(joiner.step(FORGET)).frame
    assert fold_outcomes(frame, PACKAGES, Span.HOUR, row_losses=True) == {}
    found = fold_forgotten(frame, PACKAGES, Span.HOUR)
    place = Kind.LOSSES, CHAMPION, "", BUCKET_MS
    losses = fold_outcomes(matched, PACKAGES, Span.HOUR, row_losses=True)[place]
    assert losses.losses is not None
    assert losses.losses.in_order()[0].tolist() == [NOW]
    losses.add(found[place])
    assert losses.losses.in_order()[0].tolist() == []
    assert fold_forgotten(frame, PACKAGES, Span.HOUR, row_sample=False).keys() == {place}
    (delta,) = (one for key, one in found.items() if key == (Kind.FEATURES, CHAMPION, "", BUCKET_MS))
    sample = Sample.of(sampling_hashes([b"a", b"b"]), np.array([[1], [2]], np.uint8))
    kept = Summary({"rows": np.array([2])}, sample=sample)
    kept.add(delta)
    assert kept.count("rows") == 2
    assert kept.sample is not None
    hashes, codes = kept.sample.live()
    assert (hashes.tolist(), codes.tolist()) == (sampling_hashes([b"b"]).tolist(), [[2]])


def test_a_forgotten_prediction_that_waited_has_expired_for_the_fold(joiner: Joiner) -> None:
    joiner.step(Prediction())
    found = fold_outcomes(read(joiner.step(FORGET)).frame, PACKAGES, Span.HOUR)
    assert found[Kind.ACCURACY, CHAMPION, "", BUCKET_MS].count("expired") == 1


def test_whether_somebody_acted_is_carried_and_another_word_of_it_is_a_correction(joiner: Joiner) -> None:
    (first,) = joiner.step(Prediction(), Actual("yes", was_acted_on=True))
    assert (first.kind, first.was_acted_on) == ("matched", True)
    assert joiner.step(Actual("yes", was_acted_on=True)) == []
    (again,) = joiner.step(Actual("yes"))
    assert (again.kind, again.label, again.previous_label, again.was_acted_on) == ("corrected", "yes", "yes", None)
    assert fold_outcomes(read([again]).frame, PACKAGES, Span.HOUR) == {}, "it changes no sum"


def test_a_challenger_that_is_replayed_long_after_joins_the_same_actual(joiner: Joiner) -> None:
    joiner.step(Prediction(), Actual("yes", was_acted_on=False))
    for day in range(200):
        joiner.step(Prediction(f"other-{day}", offset=100 + day), Actual("no", f"other-{day}"))
    *_, matched = joiner.step(CHALLENGER)
    assert (matched.kind, matched.label, matched.was_acted_on) == ("matched", "yes", False)
    assert {said.model for said in matched.predictions} == {CHAMPION, FIRST}
