from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.clusters import CELLS
from schemas.outcome import (
    CLUSTERED,
    CONTRACT,
    EARLIER,
    Outcome,
    OutcomeKind,
    OutcomePrediction,
    decode_outcomes,
    encode_outcomes,
)
from tests.unit.schemas.examples import avro, batch

numbers = st.floats(allow_nan=False)
texts = st.text(max_size=5)
times = st.integers(-(1 << 45), 1 << 45)
predictions = st.builds(
    OutcomePrediction,
    texts,
    st.booleans(),
    times,
    st.none() | numbers,
    st.none() | texts,
    st.lists(numbers, max_size=70).map(tuple),
    st.lists(texts, max_size=3).map(tuple),
)
outcomes = st.lists(
    st.builds(
        Outcome,
        st.text(max_size=70),
        texts,
        st.sampled_from(OutcomeKind),
        st.integers(0, 2**31 - 1),
        times,
        texts,
        st.none() | numbers,
        st.none() | texts,
        st.none() | numbers,
        st.none() | texts,
        st.lists(predictions, max_size=3).map(tuple),
        st.none() | st.booleans(),
        st.none() | st.integers(0, CELLS - 1),
    ),
    max_size=6,
)


def fields(outcome: Outcome | OutcomePrediction) -> dict[str, Any]:
    out = msgspec.structs.asdict(outcome)
    out["timestamp"] = out.pop("timestamp_ms")
    if isinstance(outcome, Outcome):
        out["predictions"] = [fields(said) for said in outcome.predictions]
    return {name: list(value) if isinstance(value, tuple) else value for name, value in out.items()}


@settings(deadline=None)
@given(outcomes)
def test_outcomes_are_the_bytes_that_fastavro_writes(written: list[Outcome]) -> None:
    expected = []
    for outcome in written:
        told = fields(outcome)
        if outcome.cluster is None:
            del told["cluster"]
        expected.append(avro(CONTRACT if outcome.cluster is None else CLUSTERED, told))
    assert encode_outcomes(written) == expected


@settings(deadline=None)
@given(outcomes)
def test_what_is_written_is_read_back_in_one_call(written: list[Outcome]) -> None:
    rows = [(one.association_id, value) for one, value in zip(written, encode_outcomes(written), strict=True)]
    decoded = decode_outcomes(batch(rows))
    assert not decoded.slow
    assert not decoded.mismatched.any()
    expected = [fields(outcome) for outcome in written]
    for one in expected:
        one["timestamp_ms"] = one.pop("timestamp")
    assert decoded.frame.to_dicts() == expected


def test_outcomes_of_the_earlier_contract_are_read_beside_a_record_without_a_value() -> None:
    written = Outcome("a-1", "loans", OutcomeKind.MATCHED, 1, 5, value=2.0)
    earlier = {name: value for name, value in fields(written).items() if name not in {"was_acted_on", "cluster"}}
    decoded = decode_outcomes(batch([("a-1", avro(EARLIER, earlier)), ("a-2", None)]))
    assert decoded.frame["association_id"].to_list() == ["a-1"]
    assert [one.row for one in decoded.unreadable] == [1]
