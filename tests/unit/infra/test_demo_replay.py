"""The demo's replay: every booking and outcome once, in order, readable by the system."""

import numpy as np
import polars as pl
import pytest

from infra.demo.bookings import live
from infra.demo.messages import actuals, requests
from infra.demo.questions import CANCELLATION, PRICE, QUESTIONS, Question
from infra.demo.replay import Kind, schedule, steps
from schemas.actual import decode_actuals
from schemas.deployment import Deployment, Model, Settings
from schemas.records import Records
from schemas.requests import decode_requests
from schemas.topics import Topic

SOME = live(500)
NOW_MS = 1_700_000_000_000
YEARS_MS = 20 * 366 * 86_400_000


def records(keys: list[str], values: list[bytes]) -> Records:
    count = len(keys)
    return Records(
        [key.encode() for key in keys],
        list(values),
        np.zeros(count, np.int32),
        np.arange(count, dtype=np.int64),
        np.full(count, NOW_MS, np.int64),
    )


def deployment(question: Question) -> Deployment:
    settings = Settings(max_age_ms=YEARS_MS)
    return Deployment(question.deployment, 1, question.target, question.features, Model("", "", ""), settings=settings)


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.deployment)
def test_a_request_is_read_as_the_booking_it_was_written_from(question: Question) -> None:
    read = decode_requests(
        records(SOME["association_id"].to_list(), requests(SOME, question)),
        {question.deployment: deployment(question)},
    )
    (group,) = read.groups
    assert not read.refused
    assert not read.unreadable
    assert read.slow_rows == 0
    assert group.timestamps_ms.tolist() == SOME["made_ms"].to_list()
    wanted = SOME.select(feature.name for feature in question.features)
    assert group.features.fill_nan(None).equals(wanted)


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.deployment)
def test_an_actual_is_read_as_the_outcome_it_was_written_from(question: Question) -> None:
    read = decode_actuals(records(SOME["association_id"].to_list(), actuals(SOME, question)))
    assert not read.unreadable
    assert read.frame["timestamp_ms"].to_list() == SOME["outcome_ms"].to_list()
    said = read.frame["value"] if question is PRICE else read.frame["label"]
    assert said.to_list() == SOME[question.truth].to_list()


def test_something_else_than_the_truth_can_be_sent() -> None:
    wrong = pl.Series(["true"] * SOME.height)
    read = decode_actuals(records(SOME["association_id"].to_list(), actuals(SOME, CANCELLATION, wrong)))
    assert read.frame["label"].to_list() == wrong.to_list()


def test_the_schedule_has_each_booking_and_its_outcome_once_in_the_order_of_time() -> None:
    events = schedule(live())
    assert events.height == 2 * 89_263
    assert events["time_ms"].is_sorted()
    asked = events.filter(pl.col("kind") == Kind.REQUEST.value)
    assert asked["booking"].to_list() == list(range(89_263))
    assert events.filter(pl.col("kind") == Kind.ACTUAL.value)["booking"].n_unique() == 89_263


def test_every_event_goes_to_every_deployment_however_the_schedule_is_sliced() -> None:
    whole = [message for step in steps(SOME, events_per_step=10_000) for message in step.messages]
    sliced = list(steps(SOME, events_per_step=77))
    assert [message for step in sliced for message in step.messages] == whole
    assert len(whole) == 2 * len(QUESTIONS) * SOME.height
    assert sum(step.bookings for step in sliced) == SOME.height
    assert sum(message.topic is Topic.REQUESTS for message in whole) == len(QUESTIONS) * SOME.height
