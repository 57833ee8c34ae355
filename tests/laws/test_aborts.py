"""A batch that was aborted leaves no trace: what comes after it is what would have come without it.

After an abort the same records come again, cut otherwise: here every batch is preceded by an aborted one that held
everything that was left, and a tick.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from schemas.topics import Topic
from streams.connection import Connection
from streams.replay import Cut, Log, Recorder, batch_of, batches, memory_table, rows_of, run
from streams.roles.evaluator import EvaluatorRole
from streams.roles.joiner import Joiner
from streams.roles.observer import Observer
from streams.tables import Position
from tests.laws.replay_scene import LAYOUT, NOW, Scene, everything, record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from streams.batch import Batch, Send
    from streams.role import Place
    from streams.tables import Table

JOINED = (Topic.PREDICTIONS, Topic.SHADOW_PREDICTIONS, Topic.ACTUALS)
OBSERVED = (Topic.REQUESTS, Topic.PREDICTIONS, Topic.SHADOW_PREDICTIONS)
PARTITIONS = range(LAYOUT.partitions)
STEPS, STEP_MS = 12, 1_500

Stateful = Joiner | Observer | EvaluatorRole
Made = tuple[Stateful, "Table | None"]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return record(tmp_path_factory.mktemp("artifacts"))


def plan(log: Log) -> list[Cut]:
    """Small steps, every second one with a tick; two ticks when all is read."""
    steps = [Cut([(place, 9) for place in log], tick=at % 2 == 1, now_ms=NOW + at * STEP_MS) for at in range(STEPS)]
    ends = [Cut(tick=True, now_ms=NOW + at * STEP_MS) for at in (STEPS + 1, STEPS + 2)]
    return [*steps, everything(log, now_ms=NOW + STEPS * STEP_MS), *ends]


def rest(log: Log, reached: dict[Place, int], now_ms: int) -> Batch:
    left = {place: records.take(np.arange(reached[place], len(records))) for place, records in log.items()}
    whole = batch_of({place: records for place, records in left.items() if len(records)})
    return replace(whole, now_ms=now_ms, tick=True, caught_up=frozenset(log), assigned=frozenset(log))


def steps_of(role: Stateful, log: Log) -> Iterator[Batch]:
    """The evaluator has no ticks."""
    return (batch for batch in batches(log, plan(log)) if role.tick_ms or batch.records)


def run_with_aborts(role: Stateful, log: Log, table: Table | None) -> Iterator[Send]:
    reached = dict.fromkeys(log, 0)
    for batch in steps_of(role, log):
        role.process(rest(log, reached, batch.now_ms + 1))
        if table is not None:
            table.discard()
        role.aborted()
        effects = role.process(batch)
        if table is not None:
            table.commit({number: Position() for number, _ in table.staged()})
        role.committed(batch)
        reached |= {place: span.next for place, span in batch.spans.items()}
        yield from effects.sends


def joiner(scene: Scene) -> Made:
    table = memory_table(Topic.JOIN_CHANGELOG, Topic.PREDICTIONS, PARTITIONS)
    return Joiner(scene.catalog(), table, LAYOUT.partitions), table


def observer(scene: Scene) -> Made:
    return Observer(Connection({}, LAYOUT), scene.catalog(), scene.history(), scene.served()), None


def evaluator(scene: Scene) -> Made:
    table = memory_table(Topic.WINDOWS_CHANGELOG, Topic.SUMMARIES, PARTITIONS)
    return EvaluatorRole(scene.catalog(), table), table


def input_of(kind: Callable[[Scene], Made], scene: Scene) -> Log:
    if kind is evaluator:
        role, _ = observer(scene)
        recorder = Recorder(LAYOUT)
        recorder.take(run(role, steps_of(role, scene.part(*OBSERVED))), NOW)
        return recorder.log(Topic.SUMMARIES)
    return scene.part(*(JOINED if kind is joiner else OBSERVED))


@pytest.mark.parametrize("kind", [joiner, observer, evaluator])
def test_an_aborted_batch_leaves_no_trace(scene: Scene, kind: Callable[[Scene], Made]) -> None:
    log = input_of(kind, scene)
    plain, table = kind(scene)
    expected = list(run(plain, steps_of(plain, log), table))
    aborting, other = kind(scene)
    assert list(run_with_aborts(aborting, log, other)) == expected
    assert expected
    if table is not None and other is not None:
        assert rows_of(other) == rows_of(table) != {}
