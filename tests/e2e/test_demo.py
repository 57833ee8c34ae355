"""The demo as a person runs it: on servers that it starts, to the end and interrupted."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import psutil
import pytest
from numpy.typing import NDArray

from infra.demo.bookings import live
from infra.demo.questions import CANCELLATION, PRICE, QUESTIONS, Question
from infra.demo.replay import steps
from infra.demo.train import train
from infra.fair import GIVEN
from infra.local import stack
from schemas.package import Package
from schemas.partitioner import partitions_of
from schemas.topics import Topic
from scorers.formats.onnx import FORMAT
from streams.cli._demo_tour import EVENTS_PER_STEP

BOOKINGS = 3_000
PARTITIONS = 6  # of an installation whose settings say nothing
SLOWEST_S = 400

pytestmark = pytest.mark.timeout(SLOWEST_S + 60)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("demo")
    yield folder
    stack.down(folder, report=lambda _: None)


@pytest.fixture(scope="module")
def summary(home: Path) -> dict[str, Any]:
    with started(home, "--bookings", str(BOOKINGS), "--json", str(home / "summary.json")) as process:
        said, _ = process.communicate(timeout=SLOWEST_S)
    assert process.returncode == 0, said
    assert "Look around" in said
    return msgspec.json.decode((home / "summary.json").read_bytes(), type=dict[str, Any])


def started(home: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "streams.cli", "demo", *arguments],
        env=os.environ | {"WATCHKEEPER_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def of(summary: dict[str, Any], question: Question) -> dict[str, Any]:
    return next(one for one in summary["deployments"] if one["name"] == question.deployment)


def predicted(question: Question) -> dict[str, NDArray[np.float64]]:
    """What each model says to the replayed bookings, without Watchkeeper between."""
    return {
        model.name: np.asarray(
            FORMAT.load(model.onnx, Package(model.name, "1", "", question.target, model.features, "onnx")).predict(
                live(BOOKINGS)
            )
        )
        for model in train(question)
    }


def running(home: Path) -> list[psutil.Process]:
    """Every process that works for this home."""
    found = []
    for process in psutil.process_iter():
        try:
            ours = process.environ().get("WATCHKEEPER_HOME") == str(home) or str(home) in " ".join(process.cmdline())
        except psutil.Error:
            continue
        if ours and process.status() != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.deployment)
def test_every_booking_is_answered_once_and_without_an_error(summary: dict[str, Any], question: Question) -> None:
    found = of(summary, question)
    assert (found["rows"], found["data_errors"], found["system_errors"]) == (BOOKINGS, 0, 0)
    assert summary["figures"]["requests"] == summary["figures"]["actuals"] == BOOKINGS * len(QUESTIONS)


def test_the_error_of_every_price_model_is_what_its_predictions_say(summary: dict[str, Any]) -> None:
    truth = live(BOOKINGS)["adr"].to_numpy()
    (month,) = of(summary, PRICE)["months"]
    said = {score["model"]: score["value"] for score in month["scores"]}
    assert said == {
        name: pytest.approx(float(np.sqrt(np.mean((values - truth) ** 2))), rel=1e-6)
        for name, values in predicted(PRICE).items()
    }
    assert (month["coverage"], {score["n"] for score in month["scores"]}) == (1.0, {BOOKINGS})


def test_the_log_loss_of_every_cancellation_model_is_what_its_probabilities_say(summary: dict[str, Any]) -> None:
    truth, rows = (live(BOOKINGS)["is_canceled"] == "true").to_numpy().astype(int), np.arange(BOOKINGS)
    (month,) = of(summary, CANCELLATION)["months"]
    said = {score["model"]: score["value"] for score in month["scores"]}
    assert said == {
        name: pytest.approx(float(-np.log(np.clip(values[rows, truth], 1e-15, 1)).mean()), rel=1e-6)
        for name, values in predicted(CANCELLATION).items()
    }


def test_drift_of_the_season_is_seen_and_fires(summary: dict[str, Any]) -> None:
    found = of(summary, CANCELLATION)
    assert found["status"] == "failing"
    assert {"arrival_week", "lead_time"} <= {one["feature"] for one in found["drift"] if one["status"] == "failing"}
    fired = {one["feature"] for one in summary["alerts"] if one["deployment"] == CANCELLATION.deployment}
    assert "arrival_week" in fired


def test_drift_is_crossed_with_importance_and_says_what_has_grown(summary: dict[str, Any]) -> None:
    drift = {one["feature"]: one for one in of(summary, PRICE)["drift"]}
    assert sum(one["importance"] for one in drift.values()) == pytest.approx(1)
    assert drift["arrival_week"]["quadrant"] == "important, drifting"
    assert drift["babies"]["quadrant"] == "minor, stable"
    assert all(" to " in one["moved"] for one in drift.values())
    assert of(summary, PRICE)["weighted_drift"] > 0.25


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.deployment)
def test_every_stage_has_a_standing_and_nothing_is_left_unanswered(summary: dict[str, Any], question: Question) -> None:
    found = of(summary, question)
    standing = {stage["name"]: stage["status"] for stage in found["stages"]}
    assert (standing["drift"], standing["health"]) == ("failing", "passing")
    assert standing["quality"] in {"passing", "at_risk", "failing"}
    assert found["unanswered"] == 0


def test_features_that_wandered_too_much_in_training_are_named_and_ring_by_material_drift_alone(
    summary: dict[str, Any],
) -> None:
    found = of(summary, CANCELLATION)
    assert len(found["baseline_unstable"]) == len(CANCELLATION.features)
    assert of(summary, PRICE)["baseline_unstable"] is None  # no rule of its own asks for changes
    assert {"babies", "by_agent", "repeated_guest"} <= set(found["silent"])
    (one,) = (one for one in summary["noticed"] if (one["deployment"], one["feature"]) == (found["name"], "adr"))
    assert one["changed_ms"] is None
    assert one["drifted_ms"] is not None


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.deployment)
def test_something_is_said_of_every_challenger(summary: dict[str, Any], question: Question) -> None:
    found = of(summary, question)
    said = {one["challenger"] for one in found["verdicts"] if one["champion"] == found["champion"] and one["serves"]}
    assert said == set(found["challengers"])


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.deployment)
def test_only_closed_months_are_diagnosed(summary: dict[str, Any], question: Question) -> None:
    assert of(summary, question)["diagnoses"] == []  # 3,000 bookings do not reach the end of December


def test_a_day_is_shown_as_it_was_known_and_as_it_turned_out(summary: dict[str, Any]) -> None:
    rows = live(BOOKINGS)
    known = rows.filter(pl.col("outcome") <= date(2016, 2, 29))["is_canceled"] == "true"
    later = rows.filter(pl.col("outcome") > date(2016, 2, 29))["is_canceled"] == "true"
    found = of(summary, CANCELLATION)["hindsight"]
    assert (found["day"], found["expected"], found["matched"]) == ("2016-02-29", BOOKINGS, known.len())
    rate = found["metrics"][0]
    assert rate["metric"] == "positive_rate"
    assert (rate["then"], rate["pending"]) == pytest.approx((known.mean(), later.mean()))
    assert of(summary, PRICE)["hindsight"] is None


def test_each_kind_of_customers_gets_what_the_models_say(summary: dict[str, Any]) -> None:
    (fair,) = of(summary, CANCELLATION)["fairness"]
    assert (fair["feature"], fair["favourable"]) == ("customer_type", "is_canceled = false")
    for name, values in predicted(CANCELLATION).items():
        rows = live(BOOKINGS).select("customer_type", comes=pl.Series(values[:, 1] < 0.5))
        shares = dict(rows.group_by("customer_type").agg(pl.col("comes").mean()).iter_rows())
        told = {
            one["group"]: one["rate"]
            for one in fair["ratios"]
            if (one["model"], one["metric"]) == (name, GIVEN) and one["rate"] is not None
        }
        assert {"Transient", "Transient-Party"} <= told.keys()
        assert told == pytest.approx({group: shares[group] for group in told})


def test_an_alert_is_acknowledged_where_one_is_open(summary: dict[str, Any]) -> None:
    stories = {one["id"]: one for one in summary["alerts"]}
    assert stories[summary["acknowledged"]]["phase"] == "acknowledged"


def sent_before(bookings: int, asked: int) -> Counter[int]:
    """Requests on each partition when so many of the bookings were sent."""
    sent: Counter[int] = Counter()
    for step in steps(live(bookings), events_per_step=EVENTS_PER_STEP):
        keys = [message.key for message in step.messages if message.topic is Topic.REQUESTS]
        sent.update(partitions_of(keys, PARTITIONS).tolist())
        asked -= step.bookings
        if asked <= 0:
            break
    return sent


def test_the_model_is_replaced_half_way_from_known_offsets_on(summary: dict[str, Any]) -> None:
    replaced = summary["replacement"]
    assert of(summary, PRICE)["champion"] == replaced["new"] == "booking-price-boosted"
    assert of(summary, PRICE)["revision"] == 3
    assert replaced["after_bookings"] >= BOOKINGS / 2
    ends = sent_before(BOOKINGS, replaced["after_bookings"])
    assert sum(ends.values()) == replaced["after_bookings"] * len(QUESTIONS)
    assert replaced["offsets"].keys() == {str(partition) for partition in ends}
    # the requests of a booking follow each other on one partition: a batch may end between them, before that of prices
    before_price = range(QUESTIONS.index(PRICE) + 1)
    assert all(replaced["offsets"][str(partition)] - end in before_price for partition, end in ends.items())


def test_afterwards_nothing_runs(summary: dict[str, Any], home: Path) -> None:
    assert summary["prefix"].startswith("demo-")
    assert running(home) == []


def test_an_interrupted_demo_stops_its_workers_and_its_servers(home: Path) -> None:
    with started(home) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("set up in"):
                break
        time.sleep(2)
        assert len(running(home)) > len(QUESTIONS)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=SLOWEST_S)
    assert process.returncode not in {0, None}
    assert running(home) == []
