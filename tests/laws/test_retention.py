"""What was told of windows that are kept no longer is deleted where it was told, and nothing else ever is."""

from __future__ import annotations

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from monitors.deployment_book import Effects
from monitors.retention import KEPT_MS, buckets_before, windows_before
from monitors.table import MemoryTable, parts_of
from monitors.told_book import ToldBook
from monitors.windows import READ_BY_BUCKET, window_at
from schemas.deployment import AGES_MS, DAY_MS, HOUR_MS, MATERIAL_DRIFT, AlertRule, Settings, Span
from schemas.observation import Detection, Entry, Finding, Kind, Metric, Progress, SummaryRecord
from schemas.topics import Topic
from streams.roles.evaluator import detection_key, diagnosis_key, metric_key, pair_key, tombstone
from tests.unit.monitors.evaluator_scene import DEFINITIONS, SETTINGS, Known, Run, delta, progress, summary
from tests.unit.monitors.test_verdict import pairs_entry

RULES = (AlertRule("errors", "data_error_rate", 0.3), msgspec.structs.replace(MATERIAL_DRIFT, clear_windows=2))
CHOSEN = msgspec.structs.replace(SETTINGS, alert_rules=RULES, horizon_ms=30 * DAY_MS, drift_window=Span.DAY)
MINUTES = msgspec.structs.replace(CHOSEN, bucket=Span.MINUTE, drift_window=Span.MINUTE)
KIND_OF = {definition.name: definition.kind for definition in DEFINITIONS}
CHANGES = (
    {"excluded": ("age",)},
    {"excluded": ()},
    {"drift_window": Span.HOUR},
    {"drift_window": Span.WEEK},
    {"drift_window": Span.MONTH},
    {"accuracy_window": Span.MONTH},
    {"horizon_ms": 500 * DAY_MS},
    {"horizon_ms": DAY_MS},
)

spots = st.integers(0, 1_000).map(lambda day: day * DAY_MS + 7 * HOUR_MS)
deltas = st.builds(
    lambda at_ms, by, errors: summary(
        delta(Kind.PREDICTIONS, at_ms, by=by, rows=50, error_data=errors),
        delta(Kind.FEATURES, at_ms, by=by, rows=50, feature_age=[50 - errors, errors], feature_plan=[50, 0]),
        delta(Kind.ACCURACY, at_ms, by=by, expected=50, matched=errors, right=errors // 2),
    ),
    spots,
    st.sampled_from(["m1", "m1", "m2"]),
    st.integers(0, 50),
)
ticks = st.builds(lambda tick, at_ms: progress(tick * 1_000, at_ms), st.integers(0, 90), spots)
revisions = st.sampled_from(CHANGES)
ends = st.sampled_from(["", "", "commit", "restart", "abort"])
firsts = st.sampled_from([CHOSEN, MINUTES])
logs = st.lists(st.tuples(deltas | ticks | revisions, ends), max_size=25)


class Life:
    """An evaluator, the compacted topic that it writes, what came and was told, and what is kept of that."""

    def __init__(self, first: Settings = CHOSEN) -> None:
        self.run = Run(Known(settings=first))
        self.said: list[Effects] = []
        self.newest: dict[bytes, Metric | None] = {}
        self.places: dict[bytes, tuple[Kind, int]] = {}
        self.cuts_ms = dict.fromkeys(Kind, -(1 << 62))
        self.buckets_ms = dict.fromkeys(Kind, -(1 << 62))
        self.waiting: list[Entry] = []
        self.spoken: set[tuple[Kind, str, int, int]] = set()

    def step(self, record: SummaryRecord) -> Effects:
        effects = self.run.evaluator.step(record, self.run.view)
        watermark = self.run.evaluator.watermark("churn")
        if isinstance(record, Progress) and self.run.evaluator.deployments and watermark is not None:
            for kind in Kind:
                before_ms = windows_before(kind, self.run.view.settings, watermark)
                self.cuts_ms[kind] = max(self.cuts_ms[kind], before_ms)
                self.buckets_ms[kind] = max(
                    self.buckets_ms[kind], buckets_before(kind, self.run.view.settings, watermark)
                )
            self.hear(effects, watermark)
        elif not isinstance(record, Progress):
            self.waiting += record.entries
        return effects

    def hear(self, effects: Effects, watermark: int) -> None:
        """Every window is told of in which something came, while all of its buckets are there."""
        for metric in effects.metrics:
            self.spoken.add((KIND_OF[metric.metric], metric.model, metric.window_start_ms, metric.window_end_ms))
        for entry in self.waiting:
            start_ms, end_ms = window_at(entry.bucket_ms, self.run.view.settings, entry.kind)
            is_kept = end_ms > self.cuts_ms[entry.kind] and start_ms >= self.buckets_ms[entry.kind]
            is_whole = end_ms - start_ms >= DAY_MS or start_ms > watermark - AGES_MS[Span.HOUR]
            if is_kept and is_whole and entry.kind not in READ_BY_BUCKET:
                assert (entry.kind, entry.model, start_ms, end_ms) in self.spoken
        self.waiting.clear()

    def take(self, effects: Effects) -> None:
        self.said.append(effects)
        for metric in effects.metrics:
            key = metric_key(metric)
            assert self.newest.get(key, metric) is not None, "what was deleted is not told again"
            self.newest[key] = metric
            self.places[key] = KIND_OF[metric.metric], metric.window_end_ms
        for topic, key in map(tombstone, effects.expired):
            if topic is Topic.METRICS:
                self.newest[key] = None


def lived(first: Settings, log: list[tuple[SummaryRecord | dict[str, object], str]], *, cut: bool) -> Life:
    """With `cut` over commits, restarts and aborts. After the log time goes on."""
    life = Life(first)
    batch: list[SummaryRecord] = []

    def end(how: str) -> None:
        if how == "abort":
            rows, waiting = dict(life.run.table.rows), list(life.waiting)
            for record in batch:
                life.step(record)
            life.run.evaluator.forget()
            life.run.table.rows, life.waiting = rows, waiting  # staged writes are let go with the transaction
        effects = [life.step(record) for record in batch]
        life.run.commit(restart=how == "restart")
        for each in effects:
            life.take(each)
        batch.clear()

    for record, how in log:
        if isinstance(record, dict):  # a revision is adopted between batches
            end("commit")
            life.run.view.change(**record)
        else:
            batch.append(record)
        if how and cut:
            end(how)
    batch.extend(progress(100_000 + 2_000 * step) for step in range(4))
    end("commit")
    return life


@settings(deadline=None, max_examples=60)
@given(firsts, logs)
def test_what_was_told_is_deleted_when_its_window_expires_and_nothing_else_is(
    first: Settings, log: list[tuple[SummaryRecord | dict[str, object], str]]
) -> None:
    life = lived(first, log, cut=True)
    expired = {key for key, (kind, end_ms) in life.places.items() if end_ms <= life.cuts_ms[kind]}
    assert {key for key in life.places if life.newest[key] is None} == expired


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.sampled_from(Span), st.integers(1, 30)), min_size=2, max_size=4), st.integers(1, 5))
@example([(Span.MINUTE, 25), (Span.MONTH, 5)], 1)
def test_windows_of_any_length_are_told_while_all_of_their_buckets_are_there(
    lengths: list[tuple[Span, int]], every: int
) -> None:
    life, begin = Life(MINUTES), 0
    for span, days in lengths:
        life.run.view.change(drift_window=span)
        for day in range(begin, begin + days, every):
            life.step(summary(delta(Kind.FEATURES, day * DAY_MS, rows=50, feature_age=[40, 10], feature_plan=[50, 0])))
            life.step(progress(day * 10_000, day * DAY_MS + HOUR_MS))  # it looks at what was told
        begin += days
        life.run.commit(restart=days % 2 == 0)


@settings(deadline=None, max_examples=60)
@given(firsts, logs)
def test_wherever_batches_end_the_same_is_deleted_in_the_same_steps(
    first: Settings, log: list[tuple[SummaryRecord | dict[str, object], str]]
) -> None:
    plain, cut = lived(first, log, cut=False), lived(first, log, cut=True)
    assert cut.said == plain.said
    assert cut.run.table.rows == plain.run.table.rows


def test_a_longer_window_begins_before_the_cut_that_minutes_left_and_is_told() -> None:
    life = Life(MINUTES)
    for day in range(20, 60):
        if day == 50:
            life.run.view.change(drift_window=Span.MONTH)
        found = delta(Kind.FEATURES, day * DAY_MS, rows=50, feature_age=[40, 10], feature_plan=[50, 0])
        life.take(life.step(summary(found)))
        life.take(life.step(progress(day * 10_000, day * DAY_MS + HOUR_MS)))
        life.run.commit(restart=day % 7 == 0)
    told = [metric for each in life.said for metric in each.metrics if metric.window_end_ms == 59 * DAY_MS]
    assert {(metric.window_start_ms, metric.closed) for metric in told} == {(31 * DAY_MS, False), (31 * DAY_MS, True)}
    assert max(metric.n for metric in told) == 28 * 50, "with the days before the change"


def test_a_longer_window_that_lost_some_of_its_buckets_is_not_told_and_has_no_record() -> None:
    life = Life()
    life.run.view.change(horizon_ms=DAY_MS, accuracy_window=Span.DAY)
    for day in range(4 * 7):  # 1970 began on a Thursday
        if day == 15:
            life.run.view.change(accuracy_window=Span.WEEK)
        found = delta(Kind.ACCURACY, day * DAY_MS, expected=50, matched=50, right=40)
        life.take(life.step(summary(found)))
        life.take(life.step(progress(day * 10_000, day * DAY_MS + HOUR_MS)))
    told = {metric.window_start_ms // DAY_MS for each in life.said for metric in each.metrics}
    assert told == {*range(15), 18, 25}
    life.run.commit(restart=True)
    assert {int(parts_of(key)[1]) // DAY_MS for key, _ in life.run.table.scan(b"w")} == told


def test_a_month_of_windows_leaves_in_steps_and_takes_all_that_was_told_of_it_along() -> None:
    life, diagnosed = Life(), set[bytes]()
    life.run.view.change(drift_window=Span.HOUR)
    for hour in range(25 * 24):
        found = delta(Kind.FEATURES, hour * HOUR_MS, rows=50, feature_age=[40, 10], feature_plan=[50, 0])
        life.take(life.step(summary(found, delta(Kind.PREDICTIONS, hour * HOUR_MS, rows=50))))
        said = life.step(progress(hour * 1_000, (hour + 1) * HOUR_MS))
        diagnosed |= set(map(diagnosis_key, said.diagnoses))
        life.take(said)
    told = set(life.newest)
    assert len(told) == 25 * 24 * 3
    gone = []
    for step in range(5):
        life.run.commit(restart=step == 1)
        effects = life.step(progress(1_000_000 + step * 1_000, KEPT_MS + 70 * DAY_MS))
        life.take(effects)
        gone.append(len(effects.expired))
    assert sum(gone) == len(told) + len(diagnosed)
    assert max(gone) <= 1_000
    assert gone[-1] == 0
    assert not any(life.newest.values())
    life.run.commit()
    assert not list(life.run.table.scan(b"w"))


@settings(deadline=None, max_examples=30)
@given(
    st.integers(1, 12),
    st.integers(0, 12),
    st.sampled_from(["removed", "replaced", "stays"]),
    st.sampled_from([1, 5]),
    st.sampled_from([Span.HOUR, Span.DAY]),
)
def test_verdicts_and_diagnoses_are_deleted_whoever_has_rows_in_their_windows(
    pairs: int, silent: int, end: str, every: int, length: Span
) -> None:
    life, ends_ms, gone = Life(), dict[tuple[Topic, bytes], int](), list[tuple[Topic, bytes]]()

    def step(record: SummaryRecord) -> None:
        effects = life.step(record)
        ends_ms.update({(Topic.VERDICTS, pair_key(one)): one.window_end_ms for one in effects.verdicts})
        ends_ms.update({(Topic.DIAGNOSES, diagnosis_key(one)): one.window_end_ms for one in effects.diagnoses})
        gone.extend(each for each in map(tombstone, effects.expired) if each[0] is not Topic.METRICS)

    life.run.view.challengers = ("new",)
    life.run.view.change(resolved_after_ms=6 * HOUR_MS, accuracy_window=length)
    for hour in range(pairs + silent + 1):
        if hour == pairs:
            life.run.view.challengers = ("new",) if end == "stays" else ()
            life.run.view.champion = "m2" if end == "replaced" else "m1"
            life.run.view.change()
        asked = [delta(Kind.FEATURES, hour * HOUR_MS, rows=50, feature_age=[40, 10], feature_plan=[50, 0])]
        step(summary(*asked, *([pairs_entry(hour, 0.05)] if hour < pairs else [])))
        step(progress(hour * 10_000, hour * HOUR_MS + HOUR_MS // 2))
        life.run.commit(restart=hour % every == 0)
    for later in range(4):
        step(progress(10_000_000 + later * 1_000, KEPT_MS + 70 * DAY_MS))
        life.run.commit(restart=later == 0)
    expired = [each for each, end_ms in ends_ms.items() if end_ms <= life.cuts_ms[Kind.ACCURACY]]
    assert expired
    assert sorted(gone) == sorted(expired), "each once, and nothing that was never told"
    assert len(list(life.run.table.scan(b"n"))) == len(ends_ms) - len(expired)


def test_the_notes_of_a_long_life_leave_in_steps_in_the_order_of_time() -> None:
    table = MemoryTable()
    book = ToldBook(table, "churn")
    found = [Detection("churn", "m1", "adwin", hour * HOUR_MS, hour * HOUR_MS, 9) for hour in range(50)]
    book.note([], [*found, msgspec.structs.replace(found[7], retracted=True)], [])
    book.flush()
    left = []
    for _ in range(4):
        book = ToldBook(table, "churn")
        left.append(book.leave(40 * HOUR_MS, 16))
        book.flush()
    assert [len(each) for each in left] == [16, 16, 9, 0]
    keys = [(Topic.DETECTIONS, detection_key(one)) for one in found[:41]]
    assert [tombstone(one) for each in left for one in each] == keys


def test_a_verdict_on_a_challenger_that_has_rows_is_deleted_too() -> None:
    life = Life()
    life.run.view.challengers = ("new",)
    life.run.view.change(resolved_after_ms=2 * HOUR_MS)
    asked = [delta(Kind.ACCURACY, hour * HOUR_MS, by="new", expected=50, matched=50) for hour in range(10)]
    life.step(summary(*(pairs_entry(hour, 0.05) for hour in range(6)), *asked))
    (told,) = life.step(progress(1_000, 9 * HOUR_MS)).verdicts
    assert told.finding is Finding.BETTER
    gone = life.step(progress(100_000, KEPT_MS + 70 * DAY_MS)).expired
    assert (Topic.VERDICTS, pair_key(told)) in set(map(tombstone, gone))
