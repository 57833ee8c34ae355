from __future__ import annotations

import warnings

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import CensoredData, ecdf

from monitors.delay import DELAY, DELAY_BINS, EDGES_MS, complete_bins, delay_bins, kaplan_meier
from monitors.folds import fold_outcomes
from monitors.summary import Summary
from schemas.deployment import DAY_MS, Span
from schemas.observation import Kind
from schemas.package import Target, TargetType
from tests.unit.monitors.fold_frames import merged, outcomes, package, said

KEY = Kind.ACCURACY, "m", "", 0

WEEKS = np.array([[40, 25, 15, 10], [50, 30, 16, 0], [44, 28, 0, 0], [38, 0, 0, 0]])
EXPECTED = np.array([100, 120, 110, 90])
AGES = np.array([4, 3, 2, 1])

cohorts = st.lists(
    st.tuples(st.integers(1, 8), st.lists(st.integers(0, 6), min_size=8, max_size=8), st.integers(0, 9)),
    min_size=1,
    max_size=6,
)


def test_the_worked_example_of_weekly_cohorts() -> None:
    assert kaplan_meier(AGES, EXPECTED, WEEKS).shares.round(4).tolist() == [0.4095, 0.6596, 0.8003, 0.9001]


def test_labels_beyond_the_age_of_their_cohort_say_nothing() -> None:
    later = WEEKS.copy()
    later[3, 1:] = 50
    assert kaplan_meier(AGES, EXPECTED, later).shares.tolist() == kaplan_meier(AGES, EXPECTED, WEEKS).shares.tolist()


@given(cohorts)
def test_the_curve_and_its_error_are_those_of_scipy_on_the_single_rows(
    drawn: list[tuple[int, list[int], int]],
) -> None:
    ages = np.array([age for age, _, _ in drawn])
    matched = np.array([[count * (place < age) for place, count in enumerate(counts)] for age, counts, _ in drawn])
    expected = matched.sum(axis=1) + [never for _, _, never in drawn]
    curve = kaplan_meier(ages, expected, matched)
    came = np.repeat(np.tile(np.arange(8), len(drawn)), matched.ravel())
    waits = np.repeat(ages - 0.5, expected - matched.sum(axis=1))  # seen until after the last bin that is complete
    if not came.size + waits.size:
        assert not curve.shares.any()
        return
    survival = ecdf(CensoredData(uncensored=came, right=waits)).sf
    at = np.arange(curve.shares.size)
    np.testing.assert_allclose(1 - curve.shares, survival.evaluate(at), rtol=0, atol=1e-9)
    if came.size:
        with warnings.catch_warnings():  # where all labels are in, scipy has no interval, and says so
            warnings.simplefilter("ignore", RuntimeWarning)
            interval = survival.confidence_interval(0.95)
        reach = survival.evaluate(at) - interval.low.evaluate(at)
        inside = (interval.low.evaluate(at) > 0) & (curve.shares > 0)
        np.testing.assert_allclose(curve.errors[inside] * 1.959963984540054, reach[inside], rtol=0, atol=1e-9)


def test_a_quantile_beyond_the_oldest_cohort_is_not_resolved() -> None:
    curve = kaplan_meier(AGES, EXPECTED, WEEKS)
    assert [curve.quantile(share).age_ms for share in (0.4, 0.6, 0.8, 0.9, 0.95)] == [*EDGES_MS[:4].tolist(), None]


def test_the_interval_of_a_quantile_holds_it() -> None:
    found = kaplan_meier(AGES, EXPECTED, WEEKS).quantile(0.66)
    assert (found.low_ms, found.age_ms, found.high_ms) == (EDGES_MS[1], EDGES_MS[2], EDGES_MS[2])


def test_labels_that_never_come_let_the_curve_level_off() -> None:
    curve = kaplan_meier(np.array([3]), np.array([100]), np.array([[30, 20, 0]]))
    assert curve.shares.round(9).tolist() == [0.3, 0.5, 0.5]
    assert curve.quantile(0.6).age_ms is None


@given(st.integers(-DAY_MS, 4_000 * DAY_MS))
def test_a_label_is_in_a_bin_that_its_bucket_has_seen_to_the_end_only_when_it_is_old_enough(delay_ms: int) -> None:
    (place,) = delay_bins(np.array([delay_ms]))
    assert 0 <= place < DELAY_BINS
    seen = complete_bins(np.array([delay_ms - 1, EDGES_MS[min(place, EDGES_MS.size - 1)]]))
    assert delay_ms <= 0 or seen[0] <= place, "before it came, its bin was not over"
    assert place >= EDGES_MS.size or seen[1] > place, "at the end of its bin, it is"


@given(st.permutations(range(3)), st.integers(-5 * DAY_MS, 500 * DAY_MS))
def test_a_correction_keeps_the_delay_of_a_label_and_a_withdrawal_takes_it_back(order: list[int], at_ms: int) -> None:
    one = {"timestamp_ms": at_ms, "predictions": [said(0.2)]}
    rows = [
        one | {"kind": "matched", "label": "yes"},
        one | {"kind": "corrected", "label": "no", "previous_label": "yes"},
        one | {"kind": "withdrawn", "previous_label": "no"},
    ]
    packages = {"m": package(Target("left", TargetType.BINARY, ("no", "yes")))}
    parts = [fold_outcomes(outcomes([row]), packages, Span.DAY) for row in rows]
    first, corrected = parts[0][KEY], Summary()
    for part in parts[:2]:
        corrected.add(part[KEY])
    assert corrected.vector(DELAY, DELAY_BINS).tolist() == first.vector(DELAY, DELAY_BINS).tolist()
    assert first.vector(DELAY, DELAY_BINS)[delay_bins(np.array([at_ms - DAY_MS]))].tolist() == [1]
    assert merged([parts[place] for place in order]) == {}


def test_an_actual_of_no_class_has_no_delay() -> None:
    row = {"timestamp_ms": 5, "predictions": [said(0.2)], "kind": "matched", "label": "maybe"}
    packages = {"m": package(Target("left", TargetType.BINARY, ("no", "yes")))}
    assert fold_outcomes(outcomes([row]), packages, Span.DAY)[KEY].count(DELAY) == 0
