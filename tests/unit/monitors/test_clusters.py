"""Rows that belong together: sums by cell against the clusters themselves, and verdicts that rest on them."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from monitors.betting import bets
from monitors.clusters import BEYOND, INSIDE, ROWS, STEPS, Clusters
from monitors.evaluator import Evaluator
from monitors.folds import fold_outcomes
from monitors.metrics import METRICS
from monitors.summary import Summary as Counts
from monitors.valuation import metrics_of_window
from monitors.verdict import LEAST_CLUSTERS, Pairs, judge, stands
from monitors.verdict_book import pairs_of
from monitors.windows import Series, WindowId
from schemas.clusters import CELLS, cells_of
from schemas.deployment import HOUR_MS, Span
from schemas.observation import Decision, Entry, Finding, Kind, Reason
from schemas.package import Baseline, Target, TargetType
from tests.bench import clustered
from tests.unit.monitors.evaluator_scene import SETTINGS, Known, Run, progress, summary
from tests.unit.monitors.fold_frames import merged, outcomes, package, said
from tests.unit.monitors.test_verdict import row

BINARY = Target("bought", TargetType.BINARY, ("no", "yes"))
PRICE = Target("price", TargetType.REGRESSION)
PACKAGES = {"m": package(BINARY), "new": package(BINARY, digest="new")}
NEAR = 4 * (2 / CELLS) ** 0.5  # four of its standard errors

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]


def counts_of(cells: Longs, d: Floats) -> Counts:
    """Pairs with differences in [-1, 1], as they are folded."""
    inside = np.bincount(cells, np.rint(d * STEPS), CELLS).astype(np.int64)
    counts = {"pairs": np.array([d.size]), "bets": bets(d).sum(axis=0), ROWS: np.bincount(cells, minlength=CELLS)}
    sums = {"d": round(float(d.sum()) * 2**32), "d2": round(float((d * d).sum()) * 2**32)}
    return Counts(counts | {INSIDE: inside}, sums)


def of(customers: Longs, d: Floats) -> Pairs:
    names = [f"customer {number}".encode() for number in range(int(customers.max()) + 1)]
    return pairs_of(counts_of(cells_of(names)[customers], d), 1.0, by_cluster=True)


# ---------------------------------------------------------------- sums over cells for sums over clusters
@pytest.mark.parametrize("shared", [0.0, 0.5, 1.0])
def test_sums_over_cells_are_near_those_over_clusters(shared: float) -> None:
    rng = np.random.default_rng(7)
    customers, d = clustered.uneven(rng, 60_000, shared)
    found = of(customers, d).clusters
    assert found is not None
    rows, totals = np.bincount(customers), np.bincount(customers, d)
    size = (rows @ rows) / rows.sum()
    assert found.size == pytest.approx(size, rel=NEAR)
    assert found.effective == pytest.approx(d.size / size, rel=NEAR)
    apart = totals - rows * d.mean()
    assert found.variance(np.float64(d.var())) == pytest.approx(max(apart @ apart, d.size * d.var()), rel=NEAR)
    inside, squares = found.bet_on()
    assert inside == pytest.approx(d.sum() / found.size, abs=1e-4 * d.size)
    assert squares * found.size**2 == pytest.approx(totals @ totals, rel=NEAR)


def test_rows_that_are_alone_are_worth_themselves_and_are_judged_nearly_as_rows() -> None:
    d = np.clip(np.random.default_rng(3).normal(0.02, 0.15, 8_000), -1, 1)
    by_cluster = judge(of(np.arange(d.size), d))
    plain = pairs_of(counts_of(np.zeros(d.size, np.int64), d), 1.0)
    by_rows = judge(plain)
    assert by_cluster.finding is by_rows.finding is Finding.BETTER
    assert by_cluster.mean == pytest.approx(by_rows.mean, abs=1e-5)
    assert by_cluster.radius == pytest.approx(by_rows.radius, rel=2 * NEAR)


def test_rows_that_are_all_alike_in_a_cluster_are_worth_one() -> None:
    rng = np.random.default_rng(4)
    theirs = np.clip(rng.normal(0.0, 0.15, 2_000), -1, 1)
    once = judge(of(np.arange(2_000), theirs))
    often = judge(of(np.repeat(np.arange(2_000), 25), np.repeat(theirs, 25)))
    assert once.radius is not None
    assert often.radius is not None
    assert once.radius <= often.radius <= 1.4 * once.radius  # never less; the bound for more rows is a little wider
    assert often.log_for == pytest.approx(once.log_for, abs=0.5)


def test_too_few_clusters_decide_nothing_however_many_rows() -> None:
    customers = np.arange(50_000) % (LEAST_CLUSTERS - 20)
    found = judge(of(customers, np.full(customers.size, 0.5)))
    assert (found.finding, found.radius) == (Finding.UNDECIDED, None)
    more = np.arange(50_000) % (LEAST_CLUSTERS + 100)
    assert judge(of(more, np.where(more % 2, 0.6, 0.4))).finding is Finding.BETTER


def test_one_customer_with_half_of_the_rows_decides_nothing() -> None:
    customers = np.concatenate([np.zeros(5_000, np.int64), np.arange(1, 5_001)])
    pairs = of(customers, np.full(customers.size, 0.5))
    assert pairs.clusters is not None
    assert pairs.clusters.effective < 5
    assert judge(pairs).finding is Finding.UNDECIDED


def test_a_disaster_of_clusters_that_none_has_met_yet_is_reckoned_with() -> None:
    customers = np.repeat(np.arange(500), 20)
    lucky = of(customers, np.full(customers.size, 0.01))
    assert judge(lucky).log_for < np.log(40)
    plain = pairs_of(counts_of(np.zeros(customers.size, np.int64), np.full(customers.size, 0.01)), 1.0)
    assert judge(plain).log_for > np.log(40), "as rows they would be sure"


def test_a_margin_is_asked_of_clusters_too() -> None:
    customers, d = clustered.passing(np.random.default_rng(5), 60_000, shared=0.05, better=0.05)
    pairs = of(customers, d)
    assert judge(pairs).finding is Finding.BETTER
    assert judge(pairs, margin=0.2).finding is Finding.EQUIVALENT
    assert stands(Finding.BETTER, pairs)
    assert not stands(Finding.WORSE, pairs)


def test_nothing_is_ever_nan() -> None:
    for customers, d in (
        (np.zeros(1, np.int64), np.zeros(1)),
        (np.zeros(600, np.int64), np.zeros(600)),
        (np.arange(600), np.zeros(600)),
        (np.arange(600), np.ones(600)),
    ):
        found = judge(of(customers, d), margin=0.1)
        assert found.mean is not None
        assert all(np.isfinite(each) for each in (found.mean, found.radius or 0.0, found.log_for, found.log_against))
    assert judge(pairs_of(Counts(), 1.0, by_cluster=True)).mean is None


# ---------------------------------------------------------------- the fold
def test_pairs_are_folded_by_the_cell_of_the_outcome_and_those_without_into_none() -> None:
    rows = [
        row("a", 0.8, 0.9, "yes", cluster=5),
        row("b", 0.5, 0.2, "yes", cluster=5),
        row("c", 0.5, 0.4, "no"),
        row("d", 0.5, 0.1, "?", cluster=5),
        row("e", 0.5, 0.1, "no", cluster=CELLS),
    ]
    found = fold_outcomes(outcomes(rows), PACKAGES, Span.HOUR)[Kind.PAIRS, "new", "m", 0]
    assert found.count("pairs") == 4
    assert np.flatnonzero(found.vector(ROWS, CELLS)).tolist() == [5]
    assert found.vector(ROWS, CELLS)[5] == 2
    assert found.vector(INSIDE, CELLS)[5] == round(0.03 * STEPS) + round((0.25 - 0.64) * STEPS)
    assert BEYOND not in found.counts
    plain = fold_outcomes(outcomes([row("a", 0.8, 0.9, "yes")]), PACKAGES, Span.HOUR)[Kind.PAIRS, "new", "m", 0]
    assert ROWS not in plain.counts, "who declares no clusters keeps none"


def test_what_is_beyond_the_scale_is_kept_apart() -> None:
    packages = {name: package(PRICE, Baseline(loss_scale=4.0), name) for name in ("m", "new")}
    rows = [row("a", 10.0, 1.0, None, value=0.0, cluster=1), row("b", 0.0, 1.0, None, value=0.0, cluster=1)]
    found = fold_outcomes(outcomes(rows), packages, Span.HOUR)[Kind.PAIRS, "new", "m", 0]
    assert found.vector(INSIDE, CELLS)[1] == STEPS - STEPS // 4
    assert found.vector(BEYOND, CELLS)[1] == round((99 / 4 - 1) * STEPS)
    assert pairs_of(found, 4.0, by_cluster=True).d == pytest.approx(99 - 1)


unit = st.integers(0, 8).map(lambda eighths: eighths / 8)


@settings(deadline=None)
@given(st.lists(st.tuples(unit, unit, st.none() | st.integers(0, 3), st.integers(0, 2)), max_size=12), st.data())
def test_corrected_and_withdrawn_rows_leave_no_trace_in_their_cell_in_any_order_and_cut(
    drawn: list[tuple[float, float, int | None, int]], data: st.DataObject
) -> None:
    def at(number: int, kind: str, label: str | None, previous: str | None) -> dict[str, Any]:
        champion, challenger, cluster, hour = drawn[number]
        models = [said(champion, model="m", at_ms=hour * HOUR_MS)]
        models.append(said(challenger, model="new", at_ms=hour * HOUR_MS) | {"shadow": True})
        return {
            "association_id": str(number),
            "kind": kind,
            "label": label,
            "previous_label": previous,
            "predictions": models,
            "cluster": cluster,
        }

    stays = [at(number, "matched", "yes", None) for number in range(len(drawn)) if number % 2]
    comes_and_goes = [at(number, "matched", "no", None) for number in range(len(drawn))]
    changes = [
        at(number, "corrected", "yes", "no") if number % 2 else at(number, "withdrawn", None, "no")
        for number in range(len(drawn))
    ]
    together = data.draw(st.permutations(comes_and_goes + changes))
    cut = data.draw(st.integers(0, len(together)))
    parts = [fold_outcomes(outcomes(some), PACKAGES, Span.HOUR) for some in (together[:cut], together[cut:]) if some]
    plain = [fold_outcomes(outcomes(stays), PACKAGES, Span.HOUR)] if stays else []
    pairs = [
        merged([{k: v for k, v in part.items() if k[0] is Kind.PAIRS} for part in some]) for some in (parts, plain)
    ]
    assert pairs[0] == pairs[1]


def test_a_customer_who_comes_back_in_another_bucket_is_the_same_one() -> None:
    customers, d = clustered.staying(np.random.default_rng(6), 4_000, 0.5)
    cells = cells_of([f"{number}".encode() for number in range(int(customers.max()) + 1)])[customers]
    whole, parts = counts_of(cells, d), Counts()
    for start in range(0, d.size, 250):
        parts.add(counts_of(cells[start : start + 250], d[start : start + 250]))
    assert Clusters.of(parts) == Clusters.of(whole)
    assert Clusters.of(whole).effective == pytest.approx(d.size / 21, rel=NEAR), "200 customers, each some 20 times"


def test_the_bench_looks_as_the_evaluator_does() -> None:
    rng = np.random.default_rng(8)
    customers, d = clustered.passing(rng, 3_000, shared=0.5)
    cells = rng.integers(0, CELLS, int(customers.max()) + 1)[customers]
    after_each = clustered.running(cells, d)
    for n in (1, 500, 2_999):
        found = Clusters.of(counts_of(cells[:n], d[:n]))
        for name in Clusters.__slots__:
            assert np.asarray(getattr(after_each, name))[n - 1] == pytest.approx(getattr(found, name), abs=1e-2)


# ---------------------------------------------------------------- over time
STREAMS, HOURS, AN_HOUR = 20, 40, 250


def decided(customers: Longs, d: Floats, *, cluster: str = "customer") -> Decision | None:
    """The first verdict that an evaluator gives on a stream, looking after each hour."""
    known = msgspec.structs.replace(SETTINGS, resolved_after_ms=HOUR_MS, cluster=cluster)
    run = Run(Known(settings=known, challengers=("new",)))
    run.evaluator = Evaluator(run.table, ())
    cells = cells_of([f"customer {number}".encode() for number in range(int(customers.max()) + 1)])[customers]
    for hour in range(HOURS + 2):
        rows = slice(hour * AN_HOUR, (hour + 1) * AN_HOUR)
        if hour < HOURS:
            body = counts_of(cells[rows], d[rows]).encode()
            run.evaluator.step(summary(Entry(Kind.PAIRS, "new", "m1", hour * HOUR_MS, body)), run.view)
        for told in run.evaluator.step(progress(hour * 1_000, (hour + 1) * HOUR_MS), run.view).verdicts:
            if told.decision is not None:
                return told.decision
    return None


@pytest.mark.parametrize("world", ["passing", "staying", "disaster"])
def test_clusters_are_not_mistaken_for_evidence_as_rows_would_be(world: str) -> None:
    streams = [clustered.EQUAL[world](np.random.default_rng(seed), HOURS * AN_HOUR) for seed in range(STREAMS)]
    assert not [found for customers, d in streams if (found := decided(customers, d)) is not None]
    as_rows = [decided(customers, d, cluster="") for customers, d in streams]
    assert sum(found is not None for found in as_rows) > STREAMS / 4


def test_a_challenger_that_is_better_for_most_customers_is_found() -> None:
    found = [
        decided(*clustered.UNEQUAL[clustered.ASKED_POWER](np.random.default_rng(seed), HOURS * AN_HOUR))
        for seed in range(10)
    ]
    assert [one.finding for one in found if one] == [Finding.BETTER] * 10
    assert all(one and one.clusters is not None and one.clusters >= LEAST_CLUSTERS for one in found)


def test_what_was_decided_on_rows_stands_on_rows_when_clusters_are_declared_later() -> None:
    run = Run(Known(settings=msgspec.structs.replace(SETTINGS, resolved_after_ms=HOUR_MS), challengers=("new",)))
    run.evaluator = Evaluator(run.table, ())
    d = np.tile([0.07, 0.03], 500)
    bare = counts_of(np.zeros(1_000, np.int64), d)
    for name in (ROWS, INSIDE):
        del bare.counts[name]
    first = Entry(Kind.PAIRS, "new", "m1", 0, bare.encode())
    run.evaluator.step(summary(first), run.view)
    (told,) = run.evaluator.step(progress(3_000, 3 * HOUR_MS), run.view).verdicts
    assert told.decision is not None
    assert (told.finding, told.clusters, told.decision.clusters) == (Finding.BETTER, None, None)
    run.view.change(cluster="customer")
    few = counts_of(np.arange(4), np.full(4, 0.01))
    run.evaluator.step(summary(msgspec.structs.replace(first, body=few.encode())), run.view)
    (told,) = run.evaluator.step(progress(5_000, 5 * HOUR_MS), run.view).verdicts
    assert (told.finding, told.retracted) == (Finding.BETTER, False), "its rows still say so"
    assert (told.n, told.known_n, told.cluster, told.clusters) == (4, 1_004, "customer", 4.0)
    assert told.unclustered == 1_000


# ---------------------------------------------------------------- other intervals
def test_intervals_that_take_rows_as_independent_say_so_where_rows_belong_together() -> None:
    right = fold_outcomes(
        outcomes([{"kind": "matched", "label": "yes", "predictions": [said(0.8)]} for _ in range(50)]),
        {"m": package(BINARY)},
        Span.HOUR,
    )[Kind.ACCURACY, "m", "", 0]
    right.add(Counts({"expected": np.array([50])}))
    window = WindowId(0, HOUR_MS, Series(Kind.ACCURACY, "m", ""))
    for cluster, reason in (("", None), ("customer", Reason.CLUSTERED)):
        deployment = Known(settings=msgspec.structs.replace(SETTINGS, cluster=cluster)).deployment("d")
        assert deployment is not None
        (told,) = metrics_of_window(
            window,
            right,
            deployment=deployment,
            package=package(BINARY),
            definitions=[METRICS["accuracy"]],
            closed=True,
        )
        assert told.low is not None
        assert told.reason is reason
