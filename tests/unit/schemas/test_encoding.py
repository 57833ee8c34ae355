from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from schemas import encoding
from schemas.contract import zigzag

one_length = st.integers(0, 300).flatmap(
    lambda size: st.lists(st.text("abé", min_size=size, max_size=size), max_size=5)
)


@given(st.lists(st.text(max_size=3) | st.just("x" * 300), max_size=5) | one_length)
def test_strings_of_one_length_and_of_many_are_encoded_alike(texts: list[str]) -> None:
    pieces = encoding.strings(texts)
    assert encoding.as_list(pieces, len(texts)) == [encoding.string(text) for text in texts]
    assert encoding.assemble([b"a", pieces, b"z"], len(texts)) == [
        b"a" + encoding.string(text) + b"z" for text in texts
    ]


@given(st.lists(st.integers(-(1 << 63), (1 << 63) - 1) | st.integers(-130, 130), max_size=6))
def test_longs_of_one_width_and_of_many_are_encoded_alike(numbers: list[int]) -> None:
    assert encoding.as_list(encoding.longs(np.array(numbers, np.int64)), len(numbers)) == list(map(zigzag, numbers))
