"""Promises (a) and (b) of the engine's event time: what one recorded log comes to, however cut and interleaved."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec
import numpy as np
import pytest

from monitors.loss_chunks import CHUNK
from monitors.loss_list import LossList
from monitors.summary import Summary
from monitors.table import opened, parts_of
from monitors.windows import BUCKET
from schemas.deployment import Deployment, Switch
from schemas.diagnosis import Diagnosis, Evidence
from schemas.observation import Entry, Kind, Metric, SummaryRecord
from schemas.observation import Summary as Deltas
from schemas.topics import Topic
from streams.batch import Batch, Send
from streams.connection import Connection
from streams.replay import (
    Cut,
    FixedCatalog,
    FixedHistory,
    Log,
    RecordedSwitches,
    Recorder,
    at_switches,
    batches,
    memory_table,
    rows_of,
    run,
)
from streams.roles.evaluator import EvaluatorRole
from streams.roles.joiner import Joiner
from streams.roles.observer import Observer
from tests.laws.replay_scene import LAYOUT, NOW, Scene, everything, record

JOINED = (Topic.PREDICTIONS, Topic.SHADOW_PREDICTIONS, Topic.ACTUALS)
OBSERVED = (Topic.REQUESTS, Topic.PREDICTIONS, Topic.SHADOW_PREDICTIONS, Topic.CUSTOM_METRICS)
SAID = (Topic.METRICS, Topic.VERDICTS, Topic.DETECTIONS, Topic.DIAGNOSES, Topic.ALERTS, Topic.TRIGGERS)
PARTITIONS = range(LAYOUT.partitions)
JOIN_TABLE = Topic.JOIN_CHANGELOG, Topic.PREDICTIONS, PARTITIONS
TICK_MS = 1_500
Rows = dict[tuple[int, bytes], bytes]
Counted = dict[tuple[Kind, str, str, int], Summary]
any_plan = pytest.mark.parametrize("seed", range(12))
some_plans = pytest.mark.parametrize("seed", range(6))  # of an evaluation of everything, at five seconds each


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return record(tmp_path_factory.mktemp("artifacts"))


@dataclass(frozen=True)
class Said:
    """What a chain came to."""

    join: Rows
    windows: Rows
    sends: list[Send]

    def values(self) -> dict[bytes, Metric]:
        """The last of each metric, bookkeeping of emission apart."""
        last: dict[bytes, Metric] = {}
        for send in self.sends:
            if send.topic is Topic.METRICS:
                for key, value in zip(send.keys, send.values, strict=True):
                    metric = msgspec.json.decode(value or b"", type=Metric)
                    plain = msgspec.structs.replace(metric, closed=False, revision=0, revision_reason="", state=None)
                    last[key or b""] = plain
        return last

    def diagnoses(self) -> dict[bytes, Diagnosis]:
        """The last of each window, revision apart, and what detectors found until then."""
        last: dict[bytes, Diagnosis] = {}
        for send in self.sends:
            if send.topic is Topic.DIAGNOSES:
                for key, value in zip(send.keys, send.values, strict=True):
                    found = msgspec.json.decode(value or b"", type=Diagnosis)
                    signs = tuple(sign for sign in found.signs if sign.evidence is not Evidence.DETECTOR)
                    last[key or b""] = msgspec.structs.replace(found, revision=0, signs=signs)
        return last

    def buckets(self) -> dict[object, object]:
        """What is behind every window."""
        found: dict[object, object] = {}
        losses: dict[object, list[LossList]] = {}
        for (partition, key), value in self.windows.items():
            if key.startswith(CHUNK):
                losses.setdefault((partition, parts_of(key)[:-1]), []).append(LossList.decode(opened(value)))
            elif key.startswith(BUCKET):
                found[partition, key] = what_it_says(key, value)
        for place, chunks in losses.items():
            found[place] = list(zip(*(column.tolist() for column in LossList.joined(chunks).in_order()), strict=True))
        return {place: kept for place, kept in found.items() if kept}


def what_it_says(key: bytes, value: bytes) -> object:
    """A bucket's bytes; but two kinds have traces of what happened before an actual was corrected or withdrawn.

    The hash of a loss that was taken back stays. And how many outcomes arrived is how often the joiner spoke.
    """
    kind = Kind(str(parts_of(key)[1]))
    if kind is Kind.LOSSES:
        return None
    return sorted(Summary.decode(opened(value)).counts) if kind is Kind.ACTUAL_ARRIVALS else value


def cuts(log: Log, rng: random.Random, *, ticks: bool = True) -> list[Cut]:
    """Some interleaving of the partitions, cut somewhere, with ticks here and there; everything in the end."""
    places = sorted(place for place, records in log.items() if len(records))
    plan = []
    for number in range(rng.randrange(16)):
        turns = [(rng.choice(places), rng.randint(1, 40)) for _ in range(rng.randint(1, 6))]
        plan.append(Cut(turns, tick=ticks and rng.random() < 0.5, now_ms=NOW + number * TICK_MS))
    return [*plan, everything(log, now_ms=NOW + len(plan) * TICK_MS)]


def last_ticks(plan: list[Cut]) -> list[Cut]:
    """Time goes on after the log's end, until every window may speak and close."""
    at_ms = plan[-1].now_ms
    return [*plan, *(Cut(tick=True, now_ms=at_ms + after_ms) for after_ms in (2_000, 4_000, 60_000, 62_000, 64_000))]


def join(scene: Scene, plan: list[Cut]) -> tuple[Rows, Log]:
    table = memory_table(Topic.JOIN_CHANGELOG, Topic.PREDICTIONS, PARTITIONS)
    role = Joiner(scene.catalog(), table, LAYOUT.partitions)
    recorder = Recorder(LAYOUT)
    recorder.take(run(role, batches(scene.part(*JOINED), plan), table), NOW)
    return rows_of(table), recorder.log(Topic.OUTCOMES)


def observe(scene: Scene, log: Log, plan: list[Cut], before: Iterable[Send] = ()) -> Log:
    connection = Connection({}, LAYOUT)
    role = Observer(connection, scene.catalog(), scene.history(), scene.served())
    recorder = Recorder(LAYOUT)
    recorder.take(before, NOW)
    recorder.take(run(role, batches(log, last_ticks(plan))), NOW)
    return recorder.log(Topic.SUMMARIES)


def evaluate(catalog: FixedCatalog, given_: Iterable[Batch]) -> tuple[Rows, list[Send]]:
    table = memory_table(Topic.WINDOWS_CHANGELOG, Topic.SUMMARIES, PARTITIONS)
    sends = list(run(EvaluatorRole(catalog, table), given_, table))
    return rows_of(table), sends


def whole_chain(scene: Scene, seed: int) -> Said:
    rng = random.Random(seed)
    joined, outcomes = join(scene, cuts(scene.part(*JOINED), rng))
    log = scene.part(*OBSERVED) | outcomes
    summaries = observe(scene, log, cuts(log, rng))
    windows, sends = evaluate(scene.catalog(), batches(summaries, cuts(summaries, rng, ticks=False)))
    return Said(joined, windows, sends)


@pytest.fixture(scope="module")
def plain(scene: Scene) -> Said:
    """Everything in one batch."""
    joined, outcomes = join(scene, [everything(scene.part(*JOINED))])
    log = scene.part(*OBSERVED) | outcomes
    summaries = observe(scene, log, [everything(log)])
    windows, sends = evaluate(scene.catalog(), batches(summaries, [everything(summaries)]))
    return Said(joined, windows, sends)


@pytest.fixture(scope="module")
def summaries(scene: Scene) -> Log:
    """A recorded log of summaries and progress, of a chain that worked in small steps."""
    _, outcomes = join(scene, [everything(scene.part(*JOINED))])
    log = scene.part(*OBSERVED) | outcomes
    steps = [Cut([(place, 10) for place in log], tick=True, now_ms=NOW + at * TICK_MS) for at in range(20)]
    return observe(scene, log, [*steps, everything(log, now_ms=NOW + 20 * TICK_MS)], changed_losses(scene))


def changed_losses(scene: Scene) -> list[Send]:
    """Two minutes of more rows than the scene has; the second is worse, as detectors need hundreds of rows to see."""
    entries = []
    for minute, loss in enumerate((0.1, 0.9), NOW // 60_000 + 1):
        at_ms, rows = minute * 60_000, np.arange(500)
        listed = LossList.of(
            (rows + minute * 500).astype(np.uint64),
            at_ms + rows,
            np.where(rows % 10, loss, 1 - loss),
            np.ones(rows.size, np.int64),
        )
        champion = scene.deployments[-1].champion.digest
        entries.append(Entry(Kind.LOSSES, champion, "", at_ms, Summary(losses=listed).encode()))
    return [Send(Topic.SUMMARIES, [b"flights"], [msgspec.msgpack.encode(Deltas("flights", tuple(entries)))])]


def test_the_recorded_log_has_something_of_everything(scene: Scene, plain: Said) -> None:
    assert {switch.revision for switch in scene.switches if switch.role == "scorer"} == {1, 2}
    metrics = plain.values().values()
    assert {"psi", "log_loss", "data_error_rate", "coverage"} <= {metric.metric for metric in metrics}
    assert sum(metric.value or 0 for metric in metrics if metric.metric == "requests" and not metric.segment) > 0
    assert plain.join
    assert plain.diagnoses()
    assert {Topic.ALERTS, Topic.VERDICTS, Topic.TRIGGERS} <= {send.topic for send in plain.sends}
    assert {Kind(str(parts_of(key)[1])) for _, key in plain.windows if key.startswith(BUCKET)} == set(Kind)


@some_plans
def test_a_no_cut_and_no_interleaving_changes_tables_or_last_values(scene: Scene, plain: Said, seed: int) -> None:
    said = whole_chain(scene, seed)
    assert said.join == plain.join
    assert said.buckets() == plain.buckets()
    assert said.values() == plain.values()
    assert said.diagnoses() == plain.diagnoses()


def work_with_two_revisions(scene: Scene, log: Log, plan: list[Cut]) -> tuple[Rows, list[Send]]:
    """As workers do: the second revision is adopted between two batches, and a switch record says where.

    The second is adopted by another worker than the first: what it goes on from is the table.
    """
    catalog = scene.catalog()
    table = memory_table(Topic.WINDOWS_CHANGELOG, Topic.SUMMARIES, PARTITIONS)
    given_ = list(batches(log, plan))
    half = (len(given_) + 1) // 2
    sends = []
    for deployment, part in zip(scene.deployments, (given_[:half], given_[half:]), strict=True):
        catalog.adopt([deployment])
        sends += list(run(EvaluatorRole(catalog, table), part, table))
    return rows_of(table), sends


@some_plans
def test_b_the_recorded_summaries_give_the_same_history_in_any_cut(scene: Scene, summaries: Log, seed: int) -> None:
    rng = random.Random(seed)
    windows, sends = work_with_two_revisions(scene, summaries, cuts(summaries, rng, ticks=False))
    switches = [
        msgspec.json.decode(value or b"", type=Switch)
        for send in sends
        if send.topic is Topic.SWITCHES
        for value in send.values
    ]
    catalog = FixedCatalog((), scene.packages)
    recorded = RecordedSwitches("evaluator", switches)
    again = batches(summaries, cuts(summaries, rng, ticks=False))
    replayed = evaluate(catalog, at_switches(again, catalog, scene.history(), recorded, Topic.SUMMARIES))
    assert replayed[0] == windows
    for topic in SAID:
        assert history(sends, topic), topic
        assert history(replayed[1], topic) == history(sends, topic)


@any_plan
def test_b_the_join_comes_to_the_same_table_though_its_time_bounds_were_changed(scene: Scene, seed: int) -> None:
    rng = random.Random(seed)
    log = scene.part(*JOINED)
    first = scene.deployments[0]
    strict = msgspec.structs.replace(first.settings, max_age_ms=400_000)  # some actuals are older than that
    both = [first, msgspec.structs.replace(first, revision=2, settings=strict)]
    catalog, table = FixedCatalog(both[:1], scene.packages), memory_table(*JOIN_TABLE)
    given_ = list(batches(log, cuts(log, rng, ticks=False)))
    half = (len(given_) + 1) // 2
    sends = []
    for deployment, part in zip(both, (given_[:half], given_[half:]), strict=True):
        catalog.adopt([deployment])
        sends += list(run(Joiner(catalog, table, LAYOUT.partitions), part, table))
    switches = [
        msgspec.json.decode(send.values[0] or b"", type=Switch) for send in sends if send.topic is Topic.SWITCHES
    ]
    catalog, replayed = FixedCatalog((), scene.packages), memory_table(*JOIN_TABLE)
    again = batches(log, cuts(log, rng, ticks=False))
    cut = at_switches(again, catalog, FixedHistory(both), RecordedSwitches("joiner", switches), Topic.ACTUALS)
    for _ in run(Joiner(catalog, replayed, LAYOUT.partitions), cut, replayed):
        pass
    assert rows_of(replayed) == rows_of(table)


@any_plan
def test_b_requests_count_by_the_time_bounds_they_were_served_with_though_these_changed(
    scene: Scene, seed: int
) -> None:
    log, first = scene.part(Topic.REQUESTS), scene.deployments[0]
    strict = msgspec.structs.replace(first.settings, max_age_ms=450_000)  # the older half of the requests is older
    both = [first, msgspec.structs.replace(first, revision=2, settings=strict)]
    halves = [
        {place: records.take(np.array_split(np.arange(len(records)), 2)[each]) for place, records in log.items()}
        for each in range(2)
    ]
    switches = [
        Switch(
            "flights", "scorer", known.revision, known.champion.digest, place[0].value, place[1], int(some.offsets[0])
        )
        for known, half in zip(both, halves, strict=True)
        for place, some in half.items()
    ]
    plan = cuts(log, random.Random(seed), ticks=False)
    live = [
        admitted(scene, known, both, switches, batches(half, [everything(half)]))
        for known, half in zip(both, halves, strict=True)
    ]
    replayed = admitted(scene, both[1], both, switches, batches(log, plan))
    assert replayed == added(live)
    unannounced = admitted(scene, both[1], both, [], batches(log, plan))
    assert unannounced.keys() != replayed.keys()


def admitted(
    scene: Scene, known: Deployment, history: list[Deployment], switches: list[Switch], given_: Iterable[Batch]
) -> Counted:
    """What an observer that knows this revision makes of requests."""
    catalog, served = FixedCatalog([known], scene.packages), RecordedSwitches("scorer", switches)
    role = Observer(Connection({}, LAYOUT), catalog, FixedHistory(history), served)
    sends = [send for send in run(role, given_) if send.topic is Topic.SUMMARIES]
    records = [msgspec.msgpack.decode(value or b"", type=SummaryRecord) for send in sends for value in send.values]
    return added(
        {(each.kind, each.model, each.segment, each.bucket_ms): Summary.decode(each.body)}
        for record in records
        if isinstance(record, Deltas)
        for each in record.entries
    )


def added(parts: Iterable[Counted]) -> Counted:
    total: Counted = {}
    for part in parts:
        for place, summary in part.items():
            total.setdefault(place, Summary()).add(summary)
    return total


def history(sends: list[Send], topic: Topic) -> list[tuple[bytes | None, bytes | None]]:
    """Every record of a topic in the order of sending; one deployment, so one partition of summaries."""
    found = [send for send in sends if send.topic is topic]
    return [pair for send in found for pair in zip(send.keys, send.values, strict=True)]
