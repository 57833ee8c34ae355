"""Fixed-point sums: exact, whatever the order; and the logarithm that is the same everywhere."""

from __future__ import annotations

from fractions import Fraction
from math import isfinite

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from monitors.fixed_point import as_float, fixed_terms, natural_log, unit_near

TERMS = st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=50)


@given(TERMS, st.sampled_from([0.25, 1.0, 1024.0]))
def test_a_total_is_the_exact_sum_of_rounded_terms(terms: list[float], unit: float) -> None:
    column = np.array(terms)
    (total,) = fixed_terms(column, unit).totals(np.zeros(len(terms), np.intp), 1)
    assert total == sum(round(Fraction(term) / Fraction(unit) * 2**32) for term in terms)
    assert as_float(total, unit) == float(Fraction(total, 2**32) * Fraction(unit))


@given(TERMS)
def test_signs_take_back_what_was_added(terms: list[float]) -> None:
    fixed = fixed_terms(np.array(terms + terms[::-1]), 1.0)
    signs = np.repeat([1, -1], len(terms))
    assert fixed.totals(np.zeros(2 * len(terms), np.intp), 1, signs) == [0]


def test_what_has_no_fixed_point_overflows_and_counts_as_nothing() -> None:
    fixed = fixed_terms(np.array([np.nan, np.inf, -np.inf, 2.0**38, 1.0, -(2.0**37)]), 1.0)
    assert fixed.overflow.tolist() == [True, True, True, True, False, False]
    assert fixed.totals(np.zeros(6, np.intp), 1) == [(1 - 2**37) << 32]


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=20))
def test_a_unit_is_a_power_of_two_near_the_rms(terms: list[float]) -> None:
    unit = unit_near(np.array(terms, np.float64))
    assert np.frexp(unit)[0] == 0.5
    finite = [abs(term) for term in terms if isfinite(term)]
    if finite and 1e-200 < max(finite) < 1e200:
        assert max(finite) / len(finite) / 2 <= unit <= 2 * max(finite)


@given(st.lists(st.floats(1e-300, 1e300), min_size=1, max_size=20))
def test_the_logarithm_is_that_of_the_library_to_a_few_places(values: list[float]) -> None:
    column = np.array(values)
    assert np.allclose(natural_log(column), np.log(column), rtol=1e-15, atol=1e-18)
