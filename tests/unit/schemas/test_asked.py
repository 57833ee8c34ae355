"""When a request came, read off the prediction that answers it: of every contract that predictions have."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import prediction
from schemas.asked import MOST_MS, asked_ms
from schemas.contract import Contract
from schemas.prediction import PredictionColumns, encode_predictions

ANSWERED_MS = 1_700_000_000_000
CONTRACTS = [one for one in vars(prediction).values() if isinstance(one, Contract)]


@given(
    st.text(max_size=200),
    st.integers(-(10**15), 10**15),
    st.integers(0, 2**31 - 1),
    st.integers(0, 2**62),
    st.floats(0, 2 * MOST_MS),
)
def test_a_prediction_was_asked_for_its_response_time_ago_but_no_longer_than_a_minute(
    id_: str, timestamp_ms: int, partition: int, offset: int, response_ms: float
) -> None:
    said = PredictionColumns(
        "loans",
        "model",
        1,
        [id_],
        np.array([timestamp_ms]),
        np.array([partition], np.int32),
        np.array([offset]),
        np.array([1.5]),
        np.array([response_ms]),
        values=np.array([0.5]),
    )
    (value,) = encode_predictions(said)
    assert asked_ms(value, ANSWERED_MS) == ANSWERED_MS - int(min(response_ms, MOST_MS))


@pytest.mark.parametrize("response_ms", [-1.0, float("nan"), float("-inf")])
def test_a_response_time_that_is_none_is_left_out(response_ms: float) -> None:
    nothing, one = np.zeros(1), np.zeros(1, np.int64)
    said = PredictionColumns("loans", "m", 1, ["a"], one, one.astype(np.int32), one, nothing, nothing + response_ms)
    assert asked_ms(encode_predictions(said)[0], ANSWERED_MS) == ANSWERED_MS


@given(st.binary(max_size=60))
def test_bytes_that_are_no_prediction_are_no_later_than_they_came_and_no_error(value: bytes) -> None:
    assert ANSWERED_MS - MOST_MS <= asked_ms(value, ANSWERED_MS) <= ANSWERED_MS


def test_a_number_that_never_ends_is_no_prediction_and_is_not_read_to_its_end() -> None:
    class Watched(bytes):
        """Says how far it is read."""

        furthest = 0

        def __getitem__(self, at: Any) -> Any:  # noqa: ANN401  # an index gives a number, a slice bytes
            Watched.furthest = max(Watched.furthest, at if isinstance(at, int) else 0)
            return super().__getitem__(at)

    assert asked_ms(Watched(b"\xff" * 100_000), ANSWERED_MS) == ANSWERED_MS
    assert Watched.furthest < 100


def test_the_fields_that_are_read_come_first_in_every_contract_of_predictions() -> None:
    assert CONTRACTS
    first = ["association_id", "timestamp", "source_partition", "source_offset", "execution_ms", "response_ms"]
    for contract in CONTRACTS:
        assert [field["name"] for field in contract.schema["fields"]][: len(first)] == first
