"""What a report says of fairness: of the demo's bookings, group by group and window by window."""

from __future__ import annotations

import pytest

from infra.fair import DESERVED, GIVEN
from infra.report.content import Protected
from monitors.fairness import fairness
from monitors.periods import Range
from schemas.observation import Reason
from streams.cli._report_fair import protected
from tests.unit.streams.demo_scene import replayed

EVER = Range(-(1 << 60), 1 << 60)


def told(over: Range = EVER) -> Protected:
    of = replayed()
    shared = [
        one
        for digest, package in of.packages.items()
        for one in fairness(of.buckets(), digest, deployment=of.deployment, package=package, as_of_ms=of.until_ms)
    ]
    said = sorted(of.metrics.values(), key=lambda one: one.window_start_ms)
    (found,) = protected(shared, said, of.deployment, of.names, over)
    return found


def test_each_group_that_was_ever_measured_is_drawn_by_what_needs_no_outcomes_and_what_does() -> None:
    found = told()
    assert [one.name for one in found.lines] == [
        f"{group}: {metric.replace('_', ' ')}"
        for metric in (GIVEN, DESERVED)
        for group in ("Contract", "Transient-Party")
    ]
    assert {one.levels for one in found.lines} == {(("fair from", 0.8), ("fair to", 1.25))}


def test_the_champion_s_windows_are_those_that_were_said_and_challengers_stand_beside() -> None:
    of, found = replayed(), told()
    party = next(one for one in found.lines if one.name.startswith("Transient-Party: proportional"))
    champion = of.deployment.champion.digest
    said = {
        one.window_start_ms: one
        for one in of.metrics.values()
        if (one.metric, one.model, one.segment) == (GIVEN, champion, "customer_type=Transient-Party")
    }
    assert {one.start_ms: one.value for one in party.points} == {start: one.value for start, one in said.items()}
    assert all(one.value is not None or said[one.start_ms].reason is Reason.TOO_FEW_ROWS for one in party.points)
    assert [name for name, _ in party.beside] == list(found.challengers)
    assert found.champion == of.names[champion]
    assert all(len(points) == len(party.points) for _, points in party.beside)
    assert [one.start_ms for one in party.points] == sorted(said)


def test_windows_outside_the_range_are_left_out() -> None:
    every = told().lines[1].points
    cut = Range(every[3].start_ms, every[-1].start_ms + 1)
    assert [one.start_ms for one in told(cut).lines[1].points] == [one.start_ms for one in every[3:]]


@pytest.mark.parametrize("metric", [GIVEN, DESERVED])
def test_all_models_have_their_ratios(metric: str) -> None:
    found = told()
    for name in (found.champion, *found.challengers):
        assert [one.group for one in found.fair.of(name, metric)] == [
            "Contract",
            "Group",
            "Transient",
            "Transient-Party",
        ]
