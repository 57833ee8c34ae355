"""Segments: bounded, by the row alone, and of one answer for every request."""

from __future__ import annotations

import msgspec
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.deployment import Deployment, Model, Settings
from schemas.expectations import CALLER_VALUES, CallerField
from schemas.package import Baseline, CategoricalBins
from scorers.segments import Callers, caller_segments, segments_of
from tests.unit.scorers import makers

CALLED = Settings(
    caller_segments={
        CallerField.REMOTE_IP: ("10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "2001:db8::/32"),
        CallerField.CONSUMER: ("web", "app"),
    }
)


def deployment(*segments: str) -> Deployment:
    champion = Model("d", "delays", "1.0")
    return Deployment("late", 1, makers.LATE, makers.FEATURES, champion, settings=Settings(segments=segments))


def test_segments_are_values_of_the_baseline_or_other_or_missing() -> None:
    rows = pl.DataFrame({"carrier": ["AA", "ZZ", None, "DL"], "holiday": [True, False, None, True]})
    assert segments_of(deployment("holiday", "carrier"), makers.package(), rows, {}) == [
        ("holiday=true", "carrier=AA"),
        ("holiday=false", "carrier=other"),
        ("holiday=missing", "carrier=missing"),
        ("holiday=true", "carrier=DL"),
    ]


@pytest.mark.parametrize("rows", [0, 1])
def test_without_a_baseline_all_values_are_other(rows: int) -> None:
    bare = msgspec.structs.replace(makers.package(), baseline=Baseline())
    frame = pl.DataFrame({"carrier": ["AA"] * rows}, schema={"carrier": pl.String})
    assert segments_of(deployment("carrier"), bare, frame, {}) == [("carrier=other",)] * rows


def test_without_declared_segments_there_are_none() -> None:
    assert segments_of(deployment(), makers.package(), makers.ROWS, {}) is None


def test_a_feature_has_at_most_fifty_values_and_other() -> None:
    names = tuple(f"c{number:03}" for number in range(80))
    wide = CategoricalBins(names, (1,) * 80 + (0, 0, 0))
    package = msgspec.structs.replace(makers.package(), baseline=Baseline(features={"carrier": wide}))
    found = segments_of(deployment("carrier"), package, pl.DataFrame({"carrier": names}), {})
    assert found is not None
    assert len({row[0] for row in found}) == CALLER_VALUES + 1
    assert found[49:51] == [("carrier=c049",), ("carrier=other",)]


def test_callers_are_split_by_declared_values_and_the_smallest_network() -> None:
    settings = msgspec.structs.replace(CALLED, segments=("holiday",))
    asked = msgspec.structs.replace(deployment(), settings=settings)
    rows = pl.DataFrame({"holiday": [True, False, None, True]})
    callers: Callers = {
        CallerField.CONSUMER: ["web", "curl", None, "app"],
        CallerField.REMOTE_IP: ["10.1.2.3", "10.1.9.9", "2001:db8::7", "not an address"],
    }
    assert segments_of(asked, makers.package(), rows, callers) == [
        ("holiday=true", "consumer=web", "remote_ip=10.1.2.3"),
        ("holiday=false", "consumer=other", "remote_ip=10.1.0.0/16"),
        ("holiday=missing", "consumer=missing", "remote_ip=2001:db8::/32"),
        ("holiday=true", "consumer=app", "remote_ip=other"),
    ]


@given(st.lists(st.tuples(st.sampled_from(["web", "app", "x", None]), st.ip_addresses().map(str)), max_size=20))
def test_a_row_has_the_same_segments_alone_as_in_any_batch(rows: list[tuple[str | None, str]]) -> None:
    asked = msgspec.structs.replace(deployment(), settings=CALLED)
    frame = pl.DataFrame({"carrier": ["AA"] * len(rows)}, schema={"carrier": pl.String})
    callers: Callers = {CallerField.CONSUMER: [row[0] for row in rows], CallerField.REMOTE_IP: [row[1] for row in rows]}
    together = segments_of(asked, makers.package(), frame, callers)
    alone = [
        caller_segments(CALLED, {CallerField.CONSUMER: consumer, CallerField.REMOTE_IP: address})
        for consumer, address in rows
    ]
    assert together == alone
    assert len(set(alone)) <= (2 + 2) * (4 + 2)
