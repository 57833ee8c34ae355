"""What is read off columns by calls is what expressions would give, whatever is in them."""

from __future__ import annotations

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from monitors.columns import codes_in, distinct, even, few_in
from monitors.folds.answers import positive_scores

FLOATS = st.one_of(st.none(), st.just(float("nan")), st.floats(0, 1))
TEXTS = st.sampled_from(["yes", "no", "", "Yes", "maybe", "ja", "é", "no\0", "a" * 70])
MANY = st.integers(0, 40).map("label {}".format)


@given(st.lists(st.one_of(st.none(), TEXTS)), st.lists(TEXTS, unique=True))
def test_the_place_of_a_text_is_that_in_the_list(texts: list[str | None], names: list[str]) -> None:
    column = pl.Series(texts, dtype=pl.String)
    told = [names.index(text) if text in names else -7 for text in texts]
    assert codes_in(pl.Enum(names), column, -7).tolist() == told
    if None not in texts:
        assert few_in(names, column, -7).tolist() == told


@given(st.lists(st.one_of(TEXTS, MANY), max_size=80))
def test_distinct_texts_are_all_of_them_in_order(texts: list[str]) -> None:
    names, codes = distinct(pl.Series(texts, dtype=pl.String))
    assert names == sorted(set(texts))
    assert [names[code] for code in codes] == texts


def test_a_text_that_neither_begins_nor_ends_a_long_column_is_found() -> None:
    texts = ["a", "z"] * 20 + ["m"] + ["a"] * 9
    names, codes = distinct(pl.Series(texts))
    assert (names, [names[code] for code in codes]) == (["a", "m", "z"], texts)


@given(st.lists(st.one_of(st.none(), st.lists(FLOATS, max_size=3))), st.integers(0, 3))
def test_lists_are_even_where_each_has_so_many_items(lists: list[list[float | None] | None], width: int) -> None:
    arrays = even(pl.Series(lists, dtype=pl.List(pl.Float64)), width)
    assert (arrays is not None) == all(one is not None and len(one) == width for one in lists)
    if arrays is not None:
        np.testing.assert_equal(arrays.to_list(), lists)


@given(st.lists(st.tuples(st.one_of(st.none(), st.lists(FLOATS, max_size=3)), FLOATS)))
def test_the_score_is_the_second_probability_else_the_value(
    rows: list[tuple[list[float | None] | None, float]],
) -> None:
    said, values = (list(column) for column in zip(*rows, strict=True)) if rows else ([], [])
    frame = pl.DataFrame(
        {"probabilities": said, "value": values}, {"probabilities": pl.List(pl.Float64), "value": pl.Float64}
    )
    told = [
        value if not one or len(one) < 2 or one[1] is None else one[1] for one, value in zip(said, values, strict=True)
    ]
    np.testing.assert_equal(positive_scores(frame), [np.nan if one is None else one for one in told])
