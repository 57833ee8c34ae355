"""Age counts to where the inputs have got: what waits is not given up while its partner is on its topic already."""

from __future__ import annotations

from typing import cast

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.actual import encode_actual
from schemas.deployment import Settings
from schemas.outcome import Outcome, OutcomeKind, decode_outcomes
from schemas.package import Package
from schemas.prediction import PredictionColumns, encode_predictions
from schemas.topics import Layout, Topic
from streams.batch import Send
from streams.replay import Cut, FixedCatalog, Log, Recorder, batches, memory_table, rows_of, run
from streams.roles.joiner import Joiner
from tests.unit.monitors.join_scene import CHAMPION, DEPLOYMENTS, FIRST, NOW

HORIZON_MS = 1_000
FLIGHTS = msgspec.structs.replace(DEPLOYMENTS["flights"], settings=Settings(horizon_ms=HORIZON_MS))
LAYOUT = Layout("expiry", partitions=1)
INPUTS = (Topic.PREDICTIONS, Topic.SHADOW_PREDICTIONS, Topic.ACTUALS)
CASES = st.lists(st.tuples(st.integers(0, 600), st.none() | st.integers(0, HORIZON_MS)), min_size=10, max_size=30)
"""For each ID: how long after the one before it was asked, and its actual after that, if there is one."""
RUNS = st.lists(st.tuples(st.sampled_from(INPUTS), st.integers(1, 20)), max_size=20)
"""Which topic is read how far in each batch; each is read to its end after them."""


class Known(FixedCatalog):
    """The deployment, and digests of models without packages behind them."""

    def __init__(self) -> None:
        super().__init__([FLIGHTS])

    @property
    def packages(self) -> dict[str, Package]:
        return cast("dict[str, Package]", dict.fromkeys((CHAMPION, FIRST)))  # only the digests are looked at


def logged(cases: list[tuple[int, int | None]]) -> Log:
    """Predictions of two models and actuals, each topic in the order of event times."""
    times_ms = NOW + np.cumsum([later for later, _ in cases])
    ids = [f"case {number}" for number in range(len(cases))]
    recorder, count = Recorder(LAYOUT), len(ids)
    for topic, model in ((Topic.PREDICTIONS, CHAMPION), (Topic.SHADOW_PREDICTIONS, FIRST)):
        said = PredictionColumns(
            "flights",
            model,
            1,
            ids,
            times_ms,
            np.zeros(count, np.int32),
            np.arange(count),
            np.ones(count),
            np.ones(count),
            values=np.full(count, 0.25),
        )
        recorder.take([Send(topic, [id_.encode() for id_ in ids], encode_predictions(said))])
    came = [(int(at) + wait, id_) for at, id_, (_, wait) in zip(times_ms, ids, cases, strict=True) if wait is not None]
    for at_ms, id_ in sorted(came):
        value = encode_actual("flights", id_, at_ms, label="yes")
        recorder.take([Send(Topic.ACTUALS, [id_.encode()], [value])], at_ms)
    return recorder.log(*INPUTS)


def outcomes(log: Log, cuts: list[Cut]) -> tuple[list[Outcome], int]:
    """What the joiner says, with a tick in each batch and some after the last; and how many entries it still has."""
    table = memory_table(Topic.JOIN_CHANGELOG, Topic.PREDICTIONS, [0])
    role, recorder = Joiner(Known(), table, 1, clock_records=1), Recorder(Layout("out", partitions=1))
    recorder.take(
        run(role, batches(log, [*cuts, Cut([(place, len(log[place])) for place in log]), *[TICK] * 2]), table)
    )
    frame = decode_outcomes(recorder.log(Topic.OUTCOMES)[Topic.OUTCOMES, 0]).frame
    said = frame.select("association_id", "kind", "reason", "predictions")
    return [
        Outcome(id_, "flights", OutcomeKind(kind), 0, 0, reason, predictions=tuple(predictions))
        for id_, kind, reason, predictions in said.iter_rows()
    ], len(rows_of(table))


TICK = Cut(tick=True)


@settings(deadline=None)  # tables of frames, on machines that do other things too
@given(CASES, RUNS)
def test_nothing_expires_whose_partner_is_on_its_topic_however_far_one_input_runs_ahead(
    cases: list[tuple[int, int | None]], runs: list[tuple[Topic, int]]
) -> None:
    said, _ = outcomes(logged(cases), [Cut([((topic, 0), count)], tick=True) for topic, count in runs])
    given_up = {one.association_id for one in said if one.reason == "horizon"}
    answered = {f"case {number}" for number, (_, wait) in enumerate(cases) if wait is not None}
    assert not given_up & answered
    models = dict.fromkeys(answered, 0)
    for one in said:
        if one.kind is OutcomeKind.MATCHED:
            models[one.association_id] = len(one.predictions)
    assert models == dict.fromkeys(answered, 2)


def test_predictions_that_run_ahead_of_a_backfill_of_actuals_wait_for_it_and_expire_where_it_has_none() -> None:
    cases = [(100, 500 if number % 2 else None) for number in range(100)]
    log = logged(cases)
    ahead = [Cut([((Topic.PREDICTIONS, 0), 20), ((Topic.SHADOW_PREDICTIONS, 0), 20)], tick=True)] * 5
    behind = [Cut([((Topic.ACTUALS, 0), 5)], tick=True)] * 9
    said, left = outcomes(log, [*ahead, *behind])
    matched = {one.association_id for one in said if one.kind is OutcomeKind.MATCHED}
    assert matched == {f"case {number}" for number in range(1, 100, 2)}
    expired = {one.association_id for one in said if one.kind is OutcomeKind.EXPIRED}
    assert expired >= {f"case {number}" for number in range(0, 40, 2)}
    assert left <= 60
