"""Names of categories that training never saw: exact while few, bounded always, in the fold and in the summary."""

from __future__ import annotations

from collections import Counter

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitors.bins import categorical_bins
from monitors.folds import fold_features
from monitors.summary import Summary, SummaryFormatError
from monitors.unseen_names import LONGEST, MOST_NAMES, Names, Unseen, decoded, encoded, largest, merged
from schemas.deployment import Span
from schemas.observation import Kind
from schemas.package import Baseline, Feature, FeatureType, Package, Target, TargetType

PLANS = categorical_bins(pl.Series(["free", "gold", None]))
OF = Package(
    "churn",
    "1",
    "m",
    Target("left", TargetType.BINARY, ("no", "yes")),
    (Feature("plan", FeatureType.CATEGORICAL), Feature("note", FeatureType.TEXT)),
    "onnx",
    Baseline(features={"plan": PLANS, "note": PLANS}),
)
MINUTE_MS = 60_000


def fold(plans: list[str | None], at_ms: list[int] | None = None) -> dict[tuple[str, int], Summary]:
    rows = pl.DataFrame({"plan": plans, "note": plans}, schema={"plan": pl.String, "note": pl.String})
    times = np.array(at_ms or [0] * len(plans), np.int64)
    segments = pl.Series([["consumer=web"]] * len(plans), dtype=pl.List(pl.String))
    found = fold_features(rows, times, segments, OF, Span.MINUTE)
    assert {kind for kind, *_ in found} == {Kind.FEATURES}
    return {(segment, start_ms): summary for (_, _, segment, start_ms), summary in found.items()}


def rows_of(unseen: Unseen) -> dict[str, dict[str, int]]:
    return {feature: {name: rows for name, (rows, _) in names.counts.items()} for feature, names in unseen.items()}


def test_each_bucket_names_what_training_never_saw_and_neither_segments_nor_texts_do() -> None:
    found = fold(["gold", "Gold", "trial", None, "trial", "trial"], [0, 0, 0, 0, 0, MINUTE_MS])
    assert rows_of(found["", 0].unseen) == {"plan": {"Gold": 1, "trial": 2}}
    assert rows_of(found["", MINUTE_MS].unseen) == {"plan": {"trial": 1}}
    assert not found["consumer=web", 0].unseen
    assert int(found["", 0].counts["feature:plan"][-2]) == 3


def test_where_training_saw_everything_nothing_is_named_and_the_format_is_that_of_before() -> None:
    summary = fold(["gold", "free", None])["", 0]
    assert summary.unseen == {}
    assert msgspec.msgpack.decode(summary.encode())[0] == 3


def test_a_long_name_is_cut() -> None:
    (name,) = fold(["x" * 500])["", 0].unseen["plan"].counts
    assert name == "x" * LONGEST


def test_names_travel_with_their_summary_and_a_newer_format_is_refused() -> None:
    summary = fold(["trial"] * 3)["", 0]
    again = Summary.decode(summary.encode())
    assert again == summary
    assert rows_of(again.unseen) == {"plan": {"trial": 3}}
    wire = msgspec.msgpack.decode(summary.encode())
    with pytest.raises(SummaryFormatError, match="newer"):
        Summary.decode(msgspec.msgpack.encode([wire[0] + 1, *wire[1:]]))
    with pytest.raises(SummaryFormatError, match="not a summary"):
        Summary.decode(msgspec.msgpack.encode([*wire[:-1], b"\xc1"]))


few = st.lists(st.sampled_from([f"n{place}" for place in range(MOST_NAMES)]), max_size=40)


@given(st.lists(few, max_size=6), st.randoms())
def test_up_to_twenty_names_are_exact_in_any_cut_and_order(parts: list[list[str]], random: object) -> None:
    deltas = [{"plan": largest(Counter(part))} for part in parts if part]
    shuffled = list(deltas)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # a look inside, for the test
    one: Unseen = {}
    two: Unseen = {}
    for left, right in zip(deltas, shuffled, strict=True):
        one, two = merged(one, left), merged(two, right)
    assert encoded(one) == encoded(two)
    assert decoded(encoded(one)) == one
    truth = Counter(name for part in parts for name in part)
    assert rows_of(one) == ({"plan": dict(truth)} if truth else {})


@given(st.lists(st.lists(st.integers(0, 60).map(str), min_size=1, max_size=120), min_size=1, max_size=6))
def test_of_more_names_every_frequent_one_is_there_and_no_count_is_further_off_than_it_says(
    parts: list[list[str]],
) -> None:
    names = Names()
    for part in parts:
        names = merged({"plan": names}, {"plan": largest(Counter(part))})["plan"]
    truth = Counter(name for part in parts for name in part)
    assert len(names.counts) <= MOST_NAMES
    for name, rows in truth.items():
        if name in names.counts:
            said, error = names.counts[name]
            assert said - error <= rows <= said
        else:
            assert rows <= names.floor
