"""Integrity: what goes in comes out, and a difference that stays after the close is failing."""

from __future__ import annotations

import numpy as np
import pytest

from monitors.evaluator import Evaluator
from monitors.folds import fold_flow
from monitors.metrics import METRICS
from monitors.summary import Summary as Counts
from schemas.deployment import HOUR_MS, Span
from schemas.observation import Entry, Kind, Metric, Reason, Status
from tests.unit.monitors.evaluator_scene import Known, Run, progress, summary

FLOW = [METRICS[name] for name in ("unanswered", "rejected_actuals", "missing_shadows")]
CLOSED = True


def flow(step: str, count: int, model: str = "") -> Entry:
    ((key, counts),) = fold_flow(step, np.full(count, 5), model, Span.HOUR).items()
    return Entry(*key, counts.encode())


def said(*entries: Entry) -> dict[str, Metric]:
    """The last of each metric of the first hour, which has closed."""
    run = Run()
    run.evaluator = Evaluator(run.table, FLOW)
    run.step(summary(*entries), progress(10_000, 10), progress(20_000, 2 * HOUR_MS))
    return {metric.metric: metric for metric in run.said.metrics if metric.closed}


def test_a_flow_in_which_every_request_is_answered_is_passing() -> None:
    found = said(flow("requests", 7), flow("answers", 7))
    assert (found["unanswered"].value, found["unanswered"].n, found["unanswered"].status) == (0, 7, Status.PASSING)
    assert found["unanswered"].model == ""
    assert set(found) == {"unanswered", "rejected_actuals"}


def test_actuals_that_the_join_refused_are_counted_and_are_no_difference() -> None:
    found = said(flow("requests", 7), flow("answers", 7), flow("rejected_actuals", 3))
    assert (found["rejected_actuals"].value, found["rejected_actuals"].status) == (3, None)
    assert found["unanswered"].status is Status.PASSING


@pytest.mark.parametrize(("requests", "answers", "left"), [(7, 5, 2), (5, 7, -2)])
def test_what_is_lost_or_doubled_is_failing_once_the_window_has_closed(requests: int, answers: int, left: int) -> None:
    found = said(flow("requests", requests), flow("answers", answers))["unanswered"]
    assert (found.value, found.status) == (left, Status.FAILING)


def test_while_the_window_is_open_a_difference_is_no_fault() -> None:
    run = Run()
    run.evaluator = Evaluator(run.table, FLOW)
    found = run.step(summary(flow("requests", 3)), progress(10_000, 10)).metrics
    (metric,) = (one for one in found if one.metric == "unanswered")
    assert (metric.value, metric.status, metric.closed) == (3, None, False)


def test_a_challenger_must_answer_what_was_asked_while_it_was_one() -> None:
    whole = said(flow("asked:3", 4, "c1"), flow("shadows", 4, "c1"))["missing_shadows"]
    assert (whole.value, whole.status, whole.model) == (0, Status.PASSING, "c1")
    lacking = said(flow("asked:3", 4, "c1"), flow("shadows", 3, "c1"))["missing_shadows"]
    assert (lacking.value, lacking.status) == (1, Status.FAILING)


def test_where_the_challengers_changed_a_difference_is_not_resolved() -> None:
    changed = said(flow("asked:3", 4, "c1"), flow("asked:4", 4, "c1"), flow("shadows", 7, "c1"))["missing_shadows"]
    assert (changed.value, changed.status, changed.reason) == (1, Status.UNKNOWN, Reason.NOT_RESOLVED)


def test_pending_is_what_no_outcome_has_come_for_and_never_below_nothing() -> None:
    counts = {"expected": np.array([9]), "matched": np.array([4]), "expired": np.array([2])}
    metric = METRICS["pending"]
    package = Known().package("m1")
    assert package is not None
    value = metric.compute(Counts(counts), package, "")
    assert (value.value, metric.kind) == (3, Kind.ACCURACY)
    below = metric.compute(Counts({"matched": np.array([4])}), package, "")
    assert metric.judge is not None
    judged = [metric.judge(one, "", Known().settings, CLOSED) for one in (value, below)]
    assert [one and one.status for one in judged] == [Status.PASSING, Status.FAILING]
