"""The short form of the kill suite (`make faults` is the long one): the whole chain under load, with workers killed."""

from __future__ import annotations

import random

import pytest

from infra.local.stack import Stack
from streams.failpoints import FailPoint
from tests.faults.report import Report
from tests.faults.suite import EVERY_FAULT, ROLES, long, run, short, shortcomings


@pytest.mark.timeout(600)
def test_workers_killed_and_stopped_under_load_lose_and_double_nothing(stack: Stack) -> None:
    seed = random.randrange(1 << 31)
    report = run(stack.home, short(seed), print)
    assert report.failures == [], f"seed {seed}"


def killed(**changes: object) -> Report:
    """A report of as many faults as either form asks for; they met no transaction unless told."""
    plan = long(1)
    faults = dict.fromkeys(("SIGSTOP for 12 s", *EVERY_FAULT), 1)
    kills = dict.fromkeys(ROLES, 20)
    report = Report(1, requests=plan.least_requests, requests_per_s=plan.per_s, kills=kills, faults=faults)
    for name, value in changes.items():
        setattr(report, name, value)
    return report


def test_kills_that_met_no_open_transaction_prove_nothing() -> None:
    for points in ({}, {f"joiner {FailPoint.AFTER_PRODUCE}": 2, f"joiner {FailPoint.AFTER_COMMIT}": 3}):
        (said,) = shortcomings(short(1), killed(points=points, aborted={"joiner": 0}))
        assert "proved nothing" in said


def test_a_point_within_a_transaction_or_an_aborted_record_proves_something() -> None:
    assert shortcomings(short(1), killed(points={f"joiner {FailPoint.BEFORE_COMMIT}": 1})) == []
    assert shortcomings(short(1), killed(aborted={"joiner": 1})) == []


def test_the_long_form_fails_below_two_thousand_requests_a_second_and_says_what_was_reached() -> None:
    (said,) = shortcomings(long(1), killed(aborted={"joiner": 1}, requests_per_s=1_950.0))
    assert said == "the load was 1,950 requests/s, at least 2,000 were asked"
    assert shortcomings(long(1), killed(aborted={"joiner": 1}, requests_per_s=2_000.0)) == []


def test_a_fault_that_was_planned_and_never_came_about_is_told() -> None:
    without = {"SIGSTOP for 9.5 s": 1, "SIGTERM": 15, "joined and left": 5, "broker killed": 0}
    said = shortcomings(long(1), killed(aborted={"joiner": 1}, faults=without))
    assert [each.rsplit(": ")[1] for each in said] == ["broker killed", "Redis killed and emptied"]
    (said_too,) = shortcomings(short(1), killed(aborted={"joiner": 1}, faults={"SIGSTOP for 12 s": 0}))
    assert said_too.endswith(": SIGSTOP")
