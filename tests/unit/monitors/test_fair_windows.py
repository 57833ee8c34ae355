"""Fairness window by window through the evaluator: what groups are compared with, when they are told again, alerts."""

from __future__ import annotations

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from monitors.bins import bin_count, package_prediction_bins
from monitors.deployment_book import Effects
from monitors.evaluator import Evaluator
from monitors.fairness import Fairness as Fair
from monitors.fairness import fairness
from monitors.metrics import METRICS
from monitors.metrics.parity import QUANTITIES
from monitors.rollup import Buckets
from monitors.summary import Summary as Counts
from monitors.windows import Series
from schemas.deployment import HOUR_MS, AlertRule, Compare, Span
from schemas.fairness import Fairness
from schemas.observation import Entry, Kind, Metric, Reason, Status, SummaryRecord
from tests.unit.monitors.evaluator_scene import SETTINGS, Known, Run, delta, phases, progress, summary

FAIR = [METRICS[name] for name in QUANTITIES]
PROTECTED = msgspec.structs.replace(SETTINGS, segments=("plan", "age"), fairness=Fairness(("plan",)))


class FairRun(Run):
    """With the metrics of fairness alone."""

    def __init__(self, view: Known | None = None) -> None:
        super().__init__(view or Known(PROTECTED))
        self.evaluator = Evaluator(self.table, FAIR)

    def commit(self, *, restart: bool = False) -> None:
        self.evaluator.flush()
        if restart:
            self.evaluator = Evaluator(self.table, FAIR)


def asked(hour: int, group: str, rows: int, favoured: int, *, by: str = "m1") -> Entry:
    """Predictions of a group."""
    package = Known().package("m1")
    assert package is not None
    counts = [0] * (bin_count(package_prediction_bins(package)) - 1)
    counts[0], counts[-1] = rows - favoured, favoured
    return delta(Kind.PREDICTIONS, hour * HOUR_MS, segment=group, by=by, rows=rows, prediction=counts)


def told(hour: int, group: str, cells: list[int], expected: int) -> Entry:
    """Outcomes of a group: rejections, false alarms, misses, hits."""
    return delta(Kind.ACCURACY, hour * HOUR_MS, segment=group, expected=expected, matched=sum(cells), confusion=cells)


def last(effects: Effects, metric: str) -> dict[str, Metric]:
    return {one.segment: one for one in effects.metrics if one.metric == metric}


def test_a_window_says_what_each_group_gets_over_the_most_favoured_one() -> None:
    run = FairRun()
    found = run.step(
        summary(
            asked(0, "plan=free", 1_000, 300),
            asked(0, "plan=gold", 1_000, 450),
            asked(0, "plan=trial", 50, 20),
            asked(0, "age=old", 1_000, 100),
            asked(0, "", 2_050, 770),
        ),
        progress(1_000, HOUR_MS),
    )
    ratios = last(found, "proportional_parity")
    assert set(ratios) == {"plan=free", "plan=gold", "plan=trial"}
    free = ratios["plan=free"]
    assert round(free.value or 0, 3) == 0.667
    assert (free.n, free.status, free.closed, free.coverage) == (1_000, Status.FAILING, True, None)
    assert (ratios["plan=gold"].value, ratios["plan=gold"].status) == (1.0, Status.PASSING)
    assert (ratios["plan=trial"].value, ratios["plan=trial"].reason) == (None, Reason.TOO_FEW_ROWS)
    assert round(last(found, "equal_parity")["plan=free"].value or 0, 3) == 0.667


def test_where_nothing_is_protected_nothing_is_said() -> None:
    run = FairRun(Known(msgspec.structs.replace(PROTECTED, fairness=Fairness())))
    assert not run.step(summary(asked(0, "plan=free", 1_000, 300)), progress(1_000, HOUR_MS)).metrics


def test_champion_and_challengers_are_each_compared_within_themselves() -> None:
    run = FairRun()
    groups = [("m1", "plan=free", 300), ("m1", "plan=gold", 450), ("m2", "plan=free", 400), ("m2", "plan=gold", 400)]
    entries = [asked(0, group, 1_000, favoured, by=by) for by, group, favoured in groups]
    found = run.step(summary(*entries), progress(1_000, HOUR_MS)).metrics
    ratios = {
        (one.model, one.segment): round(one.value or 0, 3) for one in found if one.metric == "proportional_parity"
    }
    assert ratios == {
        ("m1", "plan=free"): 0.667,
        ("m1", "plan=gold"): 1.0,
        ("m2", "plan=free"): 1.0,
        ("m2", "plan=gold"): 1.0,
    }


def test_late_rows_of_one_group_revise_the_ratios_of_the_others() -> None:
    run = FairRun()
    run.step(summary(asked(0, "plan=free", 1_000, 300), asked(0, "plan=gold", 1_000, 450)), progress(1_000, HOUR_MS))
    found = run.step(summary(asked(0, "plan=gold", 1_000, 150)), progress(60_000, HOUR_MS))
    free = last(found, "proportional_parity")["plan=free"]
    assert (free.value, free.revision, free.revision_reason) == (1.0, 1, "other_groups")


def test_what_needs_actuals_waits_for_its_age_or_for_all_of_them() -> None:
    view = Known(msgspec.structs.replace(PROTECTED, resolved_after_ms=5 * HOUR_MS))
    run = FairRun(view)
    name = "true_favourable_rate_parity"
    some = summary(told(0, "plan=free", [60, 40, 60, 40], 300), told(0, "plan=gold", [60, 40, 20, 80], 300))
    early = last(run.step(some, progress(1_000, HOUR_MS)), name)["plan=free"]
    assert (early.value, early.reason, early.status) == (None, Reason.NOT_RESOLVED, Status.UNKNOWN)
    assert early.coverage == 200 / 300
    assert not run.step(progress(60_000, 5 * HOUR_MS)).metrics
    run.commit(restart=True)
    old = last(run.step(progress(120_000, 6 * HOUR_MS)), name)["plan=free"]
    assert (old.value, old.status, old.revision, old.revision_reason) == (0.5, Status.FAILING, 1, "resolved")
    all_in = summary(told(6, "plan=free", [60, 40, 60, 40], 200), told(6, "plan=gold", [60, 40, 20, 80], 200))
    assert last(run.step(all_in, progress(180_000, 7 * HOUR_MS)), name)["plan=free"].value == 0.5


def test_an_alert_rule_may_name_a_metric_of_fairness() -> None:
    rule = AlertRule("unfair", "proportional_parity", 0.8, segment="*", compare=Compare.STATUS)
    run = FairRun(Known(msgspec.structs.replace(PROTECTED, alert_rules=(rule,))))
    for hour, favoured in enumerate((300, 440, 440)):
        entries = asked(hour, "plan=free", 1_000, favoured), asked(hour, "plan=gold", 1_000, 450)
        run.step(summary(*entries), progress((hour + 1) * 10_000, (hour + 1) * HOUR_MS))
    assert phases(run.said) == ["firing", "resolved"]
    assert {event.data.segment for event in run.said.alerts} == {"plan=free"}


cells = st.lists(st.integers(0, 200), min_size=4, max_size=4)
groups_ = st.sampled_from(["plan=free", "plan=gold", "plan=trial", "age=old", ""])
entries = st.builds(
    lambda hour, group, rows, share: asked(hour, group, rows, rows * share // 10),
    st.integers(0, 5),
    groups_,
    st.integers(0, 500),
    st.integers(0, 10),
) | st.builds(
    lambda hour, group, found, more: told(hour, group, found, sum(found) + more),
    st.integers(0, 5),
    groups_,
    cells,
    st.sampled_from([0, 0, 7]),
)
deltas = st.lists(entries, min_size=1, max_size=5).map(lambda found: summary(*found))
logs = st.lists(
    deltas
    | st.builds(lambda tick, event: progress(tick * 500, event * HOUR_MS), st.integers(0, 99), st.integers(0, 9)),
    max_size=25,
)


@settings(deadline=None, max_examples=60)
@given(logs, st.lists(st.sampled_from(["go on", "commit", "restart", "abort"]), min_size=25, max_size=25))
def test_no_batch_cut_restart_or_abort_changes_a_word(log: list[SummaryRecord], cuts: list[str]) -> None:
    view = Known(msgspec.structs.replace(PROTECTED, resolved_after_ms=3 * HOUR_MS))
    plain, cut = FairRun(view), FairRun(view)
    plain.step(*log)
    plain.commit()
    batch: list[SummaryRecord] = []
    for record, what in zip(log, cuts, strict=False):
        batch.append(record)
        if what == "go on":
            continue
        if what == "abort":
            for each in batch:
                cut.evaluator.step(each, view)
            cut.evaluator.forget()
        cut.step(*batch)
        cut.commit(restart=what == "restart")
        batch = []
    cut.step(*batch)
    cut.commit()
    assert cut.said == plain.said
    assert cut.table.rows == plain.table.rows


@settings(deadline=None, max_examples=60)
@given(st.data(), st.lists(deltas, max_size=8))
def test_in_any_order_of_the_deltas_the_last_words_are_the_same(data: st.DataObject, log: list[SummaryRecord]) -> None:
    words = []
    for order in (log, data.draw(st.permutations(log))):
        run = FairRun(Known(msgspec.structs.replace(PROTECTED, resolved_after_ms=3 * HOUR_MS)))
        for tick, record in enumerate(order):
            run.step(record, progress(tick * 2_000, HOUR_MS))
        run.step(*(progress(1_000_000 + step * 700_000, 20 * HOUR_MS) for step in range(4)))
        words.append(
            {
                (one.metric, one.segment, one.window_start_ms): (
                    one.value,
                    one.low,
                    one.high,
                    one.n,
                    one.reason,
                    one.status,
                )
                for one in run.said.metrics
            }
        )
    assert words[0] == words[1]


def buckets() -> Buckets:
    """Five hours: all predictions, and outcomes of the first three as far as they are in."""
    rows = [
        asked(hour, group, 200, favoured)
        for hour in range(5)
        for group, favoured in (("plan=free", 60), ("plan=gold", 90))
    ]
    rows += [told(hour, "plan=free", [60, 40, 60, 40], 200) for hour in range(3)]
    rows += [told(hour, "plan=gold", [60, 40, 20, 80], 200) for hour in range(3)]
    rows += [told(hour, group, [1, 1, 1, 97], 200) for hour in (3, 4) for group in ("plan=free", "plan=gold")]
    return Buckets((Series(one.kind, one.model, one.segment), one.bucket_ms, Counts.decode(one.body)) for one in rows)


def read(of: Buckets, **changed: object) -> Fair:
    chosen = {"bucket": Span.HOUR, "resolved_after_ms": 2 * HOUR_MS, **changed}
    view = Known(msgspec.structs.replace(PROTECTED, **chosen))
    deployment, package = view.deployment("churn"), view.package("m1")
    assert deployment is not None
    assert package is not None
    (found,) = fairness(of, "m1", deployment=deployment, package=package, as_of_ms=5 * HOUR_MS)
    return found


def test_a_range_is_read_with_the_outcomes_of_those_predictions_that_are_old_enough() -> None:
    found = read(buckets())
    assert found.resolved_until_ms == 3 * HOUR_MS
    assert [(one.segment, one.predicted, one.expected, one.matched, one.coverage) for one in found.groups] == [
        ("plan=free", 1_000, 600, 600, 1.0),
        ("plan=gold", 1_000, 600, 600, 1.0),
    ]
    ratios = {(one.metric, one.segment): one for one in found.parities}
    free = ratios["proportional_parity", "plan=free"]
    assert (free.rate, free.reference, free.status) == (0.3, "plan=gold", Status.FAILING)
    rates = ratios["true_favourable_rate_parity", "plan=free"]
    assert (rates.rate, rates.value, rates.n) == (0.4, 0.5, 300)
    assert len(ratios) == 2 * len(QUANTITIES)


def test_a_range_is_read_as_the_windows_of_it_would_be() -> None:
    run = FairRun()
    run.step(summary(asked(0, "plan=free", 1_000, 300), asked(0, "plan=gold", 1_000, 450)), progress(1_000, HOUR_MS))
    said = last(run.said, "proportional_parity")["plan=free"]
    one = next(one for one in read(buckets()).parities if one.metric == "proportional_parity")
    assert (one.value, one.low, one.high, one.n, one.status) == (said.value, said.low, said.high, said.n, said.status)


def test_a_declared_reference_and_class_are_those_that_a_range_is_read_by() -> None:
    found = read(buckets(), fairness=Fairness(("plan",), "no", reference={"plan": "free"}))
    assert found.favourable == "no"
    gold = next(one for one in found.parities if (one.metric, one.segment) == ("proportional_parity", "plan=gold"))
    assert (gold.reference, round(gold.value or 0, 3)) == ("plan=free", 0.786)


def test_where_no_prediction_is_old_enough_outcomes_that_are_in_are_not_called_empty() -> None:
    found = read(buckets(), resolved_after_ms=30 * HOUR_MS)
    assert all(one.expected == 0 for one in found.groups)
    reasons = {one.metric: one.reason for one in found.parities if one.segment == "plan=free"}
    assert reasons["true_favourable_rate_parity"] is Reason.NOT_RESOLVED
    assert reasons["proportional_parity"] is None
