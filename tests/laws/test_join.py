"""The laws of the join: neither the interleaving of topics nor the batch cut changes what comes out."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.monitors.join_scene import CHAMPION, FIRST, NOW, SECOND, Actual, Joiner, Prediction

if TYPE_CHECKING:
    from collections.abc import Sequence

    from schemas.outcome import Outcome, OutcomePrediction

Record = Prediction | Actual


class Case(NamedTuple):
    """A prediction beside an actual; without a time: beside the word for why there is none."""

    id: str
    prediction: OutcomePrediction
    answer: str | None
    timestamp_ms: int | None


IDS = st.sampled_from(["a", "b"])
MODELS = st.sampled_from([CHAMPION, FIRST, SECOND])
LABELS = st.sampled_from(["yes", "no", None])


@st.composite
def predicted(draw: st.DrawFn, *, shadow: bool) -> list[Prediction]:
    """One topic of predictions: each request at most once for a model, in the order of the requests."""
    asked = draw(st.sets(st.tuples(st.integers(0, 4), MODELS), max_size=6))
    ids = draw(st.lists(IDS, min_size=5, max_size=5))
    return [
        Prediction(ids[offset], model, (offset + 1) / 8, offset, shadow=shadow, timestamp_ms=NOW + offset)
        for offset, model in sorted(asked)
    ]


@st.composite
def topics(draw: st.DrawFn) -> list[list[Record]]:
    served = draw(predicted(shadow=False))
    shadows = draw(predicted(shadow=True))
    said = draw(st.lists(st.tuples(IDS, LABELS), max_size=6))
    actuals = [Actual(label, id_, NOW + 1000 + at, withdrawn=label is None) for at, (id_, label) in enumerate(said)]
    return [list(served), list(shadows), list(actuals)]


@st.composite
def batches(draw: st.DrawFn, logs: Sequence[Sequence[Record]]) -> list[list[Record]]:
    """The logs read in some interleaving and cut into batches somewhere."""
    turns = draw(st.permutations([log for log, records in enumerate(logs) for _ in records]))
    cuts = draw(st.lists(st.booleans(), min_size=len(turns), max_size=len(turns)))
    readers = [iter(log) for log in logs]
    out: list[list[Record]] = [[]]
    for turn, cut in zip(turns, cuts, strict=True):
        if cut:
            out.append([])
        out[-1].append(next(readers[turn]))
    return out


def net(outcomes: list[Outcome]) -> Counter[Case]:
    """What a fold that only adds and subtracts makes of outcomes; what cancels is left out."""
    total: Counter[Case] = Counter()
    for outcome in outcomes:
        for prediction in outcome.predictions:
            case = outcome.association_id, prediction
            if outcome.kind in {"matched", "corrected"}:
                total[Case(*case, outcome.label, outcome.timestamp_ms)] += 1
            if outcome.kind in {"corrected", "withdrawn"}:
                total[Case(*case, outcome.previous_label, outcome.timestamp_ms)] -= 1
            if outcome.kind in {"repeated", "expired"}:
                total[Case(*case, str(outcome.kind), None)] += 1
    return Counter({case: count for case, count in total.items() if count})


def run(steps: list[list[Record]]) -> Joiner:
    joiner = Joiner()
    for records in steps:
        joiner.step(*records)
    return joiner


@settings(deadline=None)  # tables of frames, on machines that do other things too
@given(st.data())
def test_neither_interleaving_nor_batch_cut_changes_the_table_or_the_sum(data: st.DataObject) -> None:
    logs = data.draw(topics())
    one, two = run(data.draw(batches(logs))), run(data.draw(batches(logs)))
    assert one.table == two.table
    assert net(one.outcomes) == net(two.outcomes)
    one.sweep(NOW + 10**9)
    two.sweep(NOW + 10**9)
    assert one.table == two.table == {}
    assert net(one.outcomes) == net(two.outcomes)


@settings(deadline=None)  # tables of frames, on machines that do other things too
@given(st.data())
def test_in_the_end_each_first_prediction_is_matched_once_with_the_last_actual(data: st.DataObject) -> None:
    logs = data.draw(topics())
    joiner = run(data.draw(batches(logs)))
    first: dict[tuple[str, str], Prediction] = {}
    for row in sorted((row for log in logs[:2] for row in log if isinstance(row, Prediction)), key=_order):
        first.setdefault((row.id, row.model), row)
    last = {row.id: row.label for row in logs[2] if isinstance(row, Actual)}
    expected = Counter(
        (id_, model, row.p, row.shadow, last[id_]) for (id_, model), row in first.items() if last.get(id_)
    )
    matched: Counter[tuple[str, str, float | None, bool, str | None]] = Counter()
    for case, count in net(joiner.outcomes).items():
        if case.timestamp_ms is not None:
            said = case.prediction
            matched[(case.id, said.model, said.value, said.shadow, case.answer)] += count
    assert matched == expected
    repeated = sum(len(outcome.predictions) for outcome in joiner.outcomes if outcome.kind == "repeated")
    assert repeated == len(logs[0]) + len(logs[1]) - len(first)


@settings(deadline=None)  # tables of frames, on machines that do other things too
@given(st.data())
def test_the_same_input_gives_the_same_outcomes_in_the_same_order(data: st.DataObject) -> None:
    steps = data.draw(batches(data.draw(topics())))
    assert run(steps).outcomes == run(steps).outcomes


def _order(row: Prediction) -> tuple[int, bool]:
    return row.offset, row.shadow
