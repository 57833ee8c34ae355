"""A joiner with a backlog behind a scorer and a challenger that are late themselves: what an ID costs it."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple, cast

import numpy as np

from schemas.actual import encode_actual
from schemas.outcome import decode_outcomes
from schemas.package import Package
from schemas.prediction import PredictionColumns, encode_predictions
from schemas.records import Records
from schemas.topics import Layout, Topic
from streams.alignment import Alignment
from streams.replay import FixedCatalog, Recorder, batch_of, memory_table
from streams.role import Place
from streams.roles.joiner import Joiner
from streams.tables import Position
from tests.unit.monitors.join_scene import CHAMPION, DEPLOYMENTS, FIRST, NOW

IDS, EACH_MS, FETCHED = 3_000, 10, 100
LATE_MS = {Topic.PREDICTIONS: 5_000, Topic.SHADOW_PREDICTIONS: 9_000, Topic.ACTUALS: 1_000}
"""How long after the request a record of each topic is written; the scorer and the challenger have a backlog."""


class Known(FixedCatalog):
    """The deployment, and digests of models without packages behind them."""

    @property
    def packages(self) -> dict[str, Package]:
        return cast("dict[str, Package]", dict.fromkeys((CHAMPION, FIRST)))  # only the digests are looked at


class Record(NamedTuple):
    """One on a topic, in log order."""

    topic: Topic
    key: bytes
    value: bytes
    written_ms: int


def logs() -> dict[Place, list[Record]]:
    ids, asked_ms = [f"case {row:04d}" for row in range(IDS)], NOW + EACH_MS * np.arange(IDS)
    found: dict[Topic, list[bytes]] = {
        Topic.ACTUALS: [
            encode_actual("flights", id_, int(at), label="yes") for id_, at in zip(ids, asked_ms, strict=True)
        ]
    }
    for topic, model in ((Topic.PREDICTIONS, CHAMPION), (Topic.SHADOW_PREDICTIONS, FIRST)):
        late_ms = np.full(IDS, float(LATE_MS[topic]))
        none, rows = np.zeros(IDS, np.int32), np.arange(IDS)
        said = PredictionColumns(
            "flights", model, 1, ids, asked_ms, none, rows, np.ones(IDS), late_ms, values=np.full(IDS, 0.25)
        )
        found[topic] = encode_predictions(said)
    return {
        (topic, 0): [
            Record(topic, id_.encode(), value, int(at) + LATE_MS[topic])
            for id_, value, at in zip(ids, values, asked_ms, strict=True)
        ]
        for topic, values in found.items()
    }


def columns(records: list[Record], first: int) -> Records:
    count = len(records)
    return Records(
        [one.key for one in records],
        [one.value for one in records],
        np.zeros(count, np.int32),
        np.arange(first, first + count),
        np.array([one.written_ms for one in records]),
    )


def test_records_of_one_request_meet_in_step_though_scorer_and_challenger_are_seconds_behind() -> None:
    read, taken = dict.fromkeys(places := logs(), 0), dict.fromkeys(places, 0)
    table = memory_table(Topic.JOIN_CHANGELOG, Topic.PREDICTIONS, [0])
    role, said = Joiner(Known(DEPLOYMENTS.values()), table, 1), Recorder(Layout("out", partitions=1))
    alignment = Alignment[Record](lambda one: role.moment(one.topic, one.written_ms, one.value))
    writes = 0
    for turn in range(10 * IDS // FETCHED):
        for place, log in places.items():
            read[place] = min(read[place] + FETCHED, len(log))
        found = {place: log[taken[place] : read[place]] for place, log in places.items()}
        growing = {place for place, log in places.items() if read[place] < len(log)}
        counts = alignment.cuts({place: some for place, some in found.items() if some}, growing, turn / 1_000)
        batch = batch_of({at: columns(found[at][:count], taken[at]) for at, count in counts.items() if count})
        said.take(role.process(batch).sends)
        writes += sum(len(rows) for _, rows in table.staged())
        table.commit({0: Position()})
        role.committed(batch)
        for place, count in counts.items():
            taken[place] += count
    assert taken == dict.fromkeys(places, IDS)
    kinds = Counter(decode_outcomes(said.log(Topic.OUTCOMES)[Topic.OUTCOMES, 0]).frame["kind"])
    assert kinds == {"matched": IDS}
    assert writes <= 2 * IDS
