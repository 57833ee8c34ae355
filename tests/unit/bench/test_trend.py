"""What the measurements are computed with."""

import importlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.topics import COPARTITIONED, Topic
from tests.bench.chain import Samples, chain_rate, groups, offered
from tests.bench.report import Row, worst
from tests.bench.trend import backlog_rate, percentile, rate, slope
from tests.bench.watching import INPUTS


@given(
    st.lists(st.tuples(st.integers(0, 1000), st.integers(-1000, 1000)), min_size=2, unique_by=lambda point: point[0])
)
def test_the_slope_is_that_of_numpys_least_squares(points: list[tuple[int, int]]) -> None:
    times, values = np.array(points, np.float64).T
    assert slope([(float(at), float(value)) for at, value in points]) == pytest.approx(
        np.polyfit(times, values, 1)[0], abs=1e-6
    )


def test_a_lag_that_only_swings_has_nearly_no_slope() -> None:
    assert abs(slope([(float(at), 5000.0 * (at % 2)) for at in range(60)])) < 10


def test_a_series_of_one_moment_has_no_slope_and_no_rate() -> None:
    assert (slope([]), slope([(1.0, 2.0)]), rate([]), rate([(1.0, 2.0)])) == (0.0, 0.0, 0.0, 0.0)


def test_a_backlog_that_was_not_finished_has_no_rate() -> None:
    with pytest.raises(ValueError, match="not seen"):
        backlog_rate([(0.0, 0), (1.0, 10)], 500)


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_a_percentile_is_one_of_the_values_and_leaves_no_more_than_its_rest_above(values: list[float]) -> None:
    found = percentile(values, 0.99)
    assert found in values
    assert sum(value > found for value in values) <= 0.01 * len(values) + 1e-9


def test_a_row_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        Row("a.b", float("nan"), "")


def test_a_name_that_covers_cases_is_reached_where_every_case_is() -> None:
    cases = [Row("a.1", 9.0, "s", asked=12, at_most=True), Row("a.2", 1.0, "s", asked=1, at_most=True)]
    unasked = Row("a.3", 99.0, "s", at_most=True)
    assert worst("a", [*cases, unasked]).reached
    missed = worst("a", [*cases, Row("a.4", 2.5, "s", asked=2, at_most=True)])
    assert (missed.name, missed.value, missed.asked, missed.reached) == ("a", 2.5, 2, False)


def sampled(slow: str = "", share: float = 1.0) -> Samples:
    """A minute at 1,000 requests/s in which one role works off a share of what comes."""
    samples = Samples()
    for role, inputs in INPUTS.items():
        for topic, each in inputs.items():
            speed = 1_000.0 * (each or 0.01)
            samples.written[role, topic] = [(float(at), speed * at) for at in range(61)]
            samples.read[role, topic] = [(float(at), speed * at * (share if role == slow else 1.0)) for at in range(61)]
    return samples


def test_a_chain_that_keeps_up_has_the_rate_that_was_offered() -> None:
    found = groups(sampled(), 0.0, 1_000)
    assert all(group.holds for group in found)
    assert chain_rate(found, 1_000) == 1_000


@pytest.mark.parametrize("role", INPUTS)
def test_a_chain_is_as_fast_as_its_slowest_group(role: str) -> None:
    found = groups(sampled(role, 0.7), 0.0, 1_000)
    assert [group.role for group in found if not group.holds] == [role]
    assert chain_rate(found, 1_000) == pytest.approx(700)


def test_a_group_that_falls_behind_by_less_than_a_hundredth_keeps_up() -> None:
    assert all(group.holds for group in groups(sampled("joiner", 0.995), 0.0, 1_000))


def test_records_of_a_topic_that_is_read_last_count_as_much_as_those_of_the_first() -> None:
    samples = sampled()
    samples.read["joiner", Topic.ACTUALS] = [(float(at), 0.0) for at in range(61)]
    joiner = next(group for group in groups(samples, 0.0, 1_000) if group.role == "joiner")
    assert joiner.rate == pytest.approx(750)


def test_a_producer_that_cannot_send_so_fast_is_not_taken_for_a_chain_that_keeps_up() -> None:
    assert offered(sampled(), 0.0, 1_005) == 1_005
    assert offered(sampled(), 0.0, 2_000) == pytest.approx(1_000)


@pytest.mark.parametrize("role", INPUTS)
def test_the_benches_watch_what_the_role_reads(role: str) -> None:
    module = importlib.import_module(f"streams.roles.{role}")
    (found,) = [part for part in vars(module).values() if getattr(part, "name", None) == role]
    assert set(INPUTS[role]) <= set(found.inputs)
    assert {topic for topic, each in INPUTS[role].items() if each} == set(found.inputs) & set(COPARTITIONED) - {
        Topic.OUTCOMES
    }
