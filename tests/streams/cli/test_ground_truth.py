"""What is said once outcomes come in: coverage, predicted against actual, challengers, causes, fairness."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest
from confluent_kafka import Producer

from schemas.topics import Topic
from tests.streams.cli.scene import ROWS, START, Shell, created, wait


def test_coverage_begins_with_the_champion_and_says_what_the_pending_can_still_change(
    shell: Shell, served: str, digests: list[str]
) -> None:
    found = shell.json("coverage", served)
    assert isinstance(found, list)
    models = [one["model"] for one in found]
    assert (models[0], set(models)) == (digests[0], set(digests))
    labels, metrics = found[0]["labels"], {one["metric"]: one for one in found[0]["metrics"]}
    assert (labels["expected"], labels["matched"], labels["pending"]) == (ROWS, ROWS // 2, ROWS // 2)
    rate = metrics["positive_rate"]
    assert (rate["lowest"], rate["naive"], rate["highest"]) == pytest.approx((0.25, 0.5, 0.75))
    assert "slope-0, champion" in shell.ok("coverage", served, "--metric", "positive_rate").splitlines()[0]


def test_predictions_are_laid_beside_actuals(shell: Shell, served: str, digests: list[str]) -> None:
    found = shell.json("calibration", served)
    assert isinstance(found, list)
    assert sum(cell["rows"] for cell in found) == ROWS // 2
    assert sum(cell["rows"] * cell["actual"] for cell in found) == pytest.approx(ROWS // 4)
    assert all(cell["low"] <= cell["actual"] <= cell["high"] for cell in found)
    assert shell.json("calibration", served, "--model", digests[0][:12], "--from", "2000-01-01") == found
    assert "predicted (mean)" in shell.ok("calibration", served)
    assert "nothing is known" in shell.run("calibration", served, "--segment", "plan=none").stderr


def test_classes_are_laid_beside_those_that_came_true(shell: Shell, served: str) -> None:
    found = shell.json("confusion", served)
    assert isinstance(found, dict)
    assert found["classes"] == ["no", "yes"]
    assert [sum(said) for said in found["rows"]] == [ROWS // 4, ROWS // 4]
    assert "said rightly" in shell.ok("confusion", served)
    assert "nothing is known" in shell.run("confusion", served, "--to", "2000-01-01").stderr


def test_coverage_as_of_a_time_is_what_was_known_then_and_what_became_of_it(
    shell: Shell, served: str, digests: list[str]
) -> None:
    minute = "2023-11-14T22:16:00"  # 160 requests after START, a bucket's start
    found = shell.json("coverage", served, "--as-of", minute)
    assert isinstance(found, list)
    assert (found[0]["then"]["model"], len(found)) == (digests[0], len(digests))
    labels, rate = found[0]["then"]["labels"], {one["metric"]: one for one in found[0]["metrics"]}["positive_rate"]
    assert (labels["expected"], labels["matched"], labels["pending"]) == (160, 80, 80)
    assert (rate["then"], rate["then_n"], rate["pending"], rate["pending_n"]) == (0.5, 80, None, 0)
    assert shell.json("coverage", served, "--as-of", "2023-11-14T22:16:59") == found
    said = shell.ok("coverage", served, "--as-of", minute, "--metric", "positive_rate")
    assert "as of 2023-11-14 22:16:00 UTC" in said
    assert "since then: 80 of them matched" in said
    later = shell.run("coverage", served, "--as-of", "2024-01-01")
    assert (later.exit_code, later.stderr.count("\n")) == (1, 1)
    assert "is not settled" in later.stderr


def test_challengers_stand_beside_their_champion_without_a_verdict_before_outcomes_are_in(
    shell: Shell, served: str, digests: list[str]
) -> None:
    found: dict[str, str] = {}

    def told() -> bool:
        found.update({one["challenger"]: one["finding"] for one in shell.json("challengers", served)})
        return len(found) == len(digests) - 1

    wait(told)
    assert found == dict.fromkeys(digests[1:], "undecided")
    assert "slope-2 1" in shell.ok("challengers", served)
    assert "losses changed: none" in shell.ok("concept-drift", served)


def test_a_window_in_which_outcomes_are_the_opposite_is_diagnosed_as_concept_drift(
    shell: Shell, digests: list[str]
) -> None:
    settings = {"bucket": "minute", "accuracy_window": "minute", "grace_ms": 0, "max_age_ms": 1_000_000_000_000}
    (shell.folder / "turned.yaml").write_text(json.dumps(settings))
    created(shell, "turned", "--champion", digests[0], "--settings", shell.folder / "turned.yaml")
    rng, rows = np.random.default_rng(4), 400
    producer = Producer(shell.connection.config | {"partitioner": "murmur2_random"})
    requests, actuals = (shell.connection.layout.name(topic) for topic in (Topic.REQUESTS, Topic.ACTUALS))
    for number, age in enumerate(rng.normal(size=rows + 40).tolist()):
        at_ms = START + number * 90 + (300_000 if number >= rows else 0)  # the last ones close the minute
        record = {"deployment": "turned", "association_id": f"turned-{number}", "timestamp": at_ms}
        features = {"age": age, "income": rng.normal(), "plan": str(rng.choice(["basic", "gold"]))}
        producer.produce(requests, json.dumps(record | {"features": features}), f"turned-{number}")
        producer.produce(actuals, json.dumps(record | {"value": "no" if age > 0 else "yes"}), f"turned-{number}")
    producer.flush(30)
    said: dict[str, Any] = {}

    def told() -> bool:
        found = shell.json("diagnosis", "turned")
        assert isinstance(found, list)
        said.update(found[0] if found else {})
        return bool(said.get("cause") == "concept_drift")

    wait(told, 90)
    assert (said["window_start_ms"], said["rows"], said["coverage"]) == (START // 60_000 * 60_000, rows, 1.0)
    lost = {one["measure"]: one for one in said["signs"] if one["evidence"] == "loss_given_score"}
    assert lost["brier"]["value"] > 1.5 * lost["brier"]["reference"]
    shown = shell.ok("diagnosis", "turned")
    assert re.search(r"slope-0 1 +concept drift .*100% .*brier 0\.\d+ \(0\.\d+\)", shown)
    lines = [json.loads(line) for line in shell.ok("tail", "diagnoses", "--from-beginning").splitlines()]
    assert lines[-1]["value"]["cause"] == "concept_drift"
    assert lines[-1]["key"] == f"turned|{digests[0]}|{said['window_start_ms']}|{said['window_end_ms']}"


def test_groups_get_what_the_rows_say_they_got(shell: Shell, digests: list[str]) -> None:
    """A deployment of its own, in which every prediction has its outcome: 600 requests, gold customers are older."""
    settings = {"bucket": "minute", "grace_ms": 1_000, "max_age_ms": 1_000_000_000_000, "segments": ["plan"]}
    (shell.folder / "fair.yaml").write_text(json.dumps(settings | {"fairness": {"protected": ["plan"]}}))
    created(shell, "fair", "--champion", digests[0], "--settings", shell.folder / "fair.yaml")
    rng = np.random.default_rng(2)
    plans = rng.choice(["basic", "gold"], 2 * ROWS)
    ages = rng.normal(size=2 * ROWS) + (plans == "gold")
    left = rng.random(2 * ROWS) < 0.5
    producer = Producer(shell.connection.config | {"partitioner": "murmur2_random"})
    requests, actuals = (shell.connection.layout.name(topic) for topic in (Topic.REQUESTS, Topic.ACTUALS))
    for number, (plan, age, gone) in enumerate(zip(plans.tolist(), ages.tolist(), left.tolist(), strict=True)):
        record = {"deployment": "fair", "association_id": f"fair-{number}", "timestamp": START + number}
        features = {"age": age, "income": 0.0, "plan": plan}
        producer.produce(requests, json.dumps(record | {"features": features}), f"fair-{number}")
        producer.produce(actuals, json.dumps(record | {"value": "yes" if gone else "no"}), f"fair-{number}")
    producer.flush(30)
    found: dict[str, Any] = {}
    rows = [int((plans == plan).sum()) for plan in ("basic", "gold")]

    def told() -> bool:
        answer = shell.run("fairness", "fair", "--json")
        read = json.loads(answer.stdout) if answer.exit_code == 0 else []
        found.update(read[0] if read else {})
        return [one["matched"] for one in found.get("groups", [])] == rows

    wait(told)
    basic = plans == "basic"
    ratios = {(one["metric"], one["segment"]): one for one in found["parities"]}
    shares = [(ages[group] >= 0).mean() for group in (basic, ~basic)]
    got = ratios["proportional_parity", "plan=basic"]
    assert (got["rate"], got["value"]) == pytest.approx((shares[0], shares[0] / shares[1]))
    assert (got["reference"], got["status"]) == ("plan=gold", "failing")
    assert 0.6 < got["baseline"] < 1.4  # of holdout, where plans are drawn by lot
    rates = [(ages[group & left] >= 0).mean() for group in (basic, ~basic)]
    got = ratios["true_favourable_rate_parity", "plan=basic"]
    assert (got["value"], got["n"]) == (pytest.approx(rates[0] / rates[1]), int((basic & left).sum()))
    said = shell.ok("fairness", "fair", "--metric", "proportional_parity")
    assert "by plan: favourable is yes; fair from 0.8 to 1.25" in said
    assert re.search(r"proportional_parity +basic .* gold .*unfair", said)
    told_of = shell.json("fairness", "fair", "--history", "--metric", "proportional_parity")
    assert isinstance(told_of, list)
    assert {one["segment"] for one in told_of} == {"plan=basic", "plan=gold"}
    assert "compares groups" in shell.run("metrics", "fair", "--metric", "equal_parity", "--window", "day").stderr
    features = {"age": 0.0, "income": 0.0, "plan": "trial"}
    record = {"deployment": "fair", "association_id": "new", "timestamp": START, "features": features}
    producer.produce(requests, json.dumps(record), "new")
    producer.flush(30)
    wait(lambda: "plan: training never saw 'trial' (1)" in shell.ok("metrics", "fair", "--feature", "plan"))


def test_a_deployment_that_protects_nobody_says_so(shell: Shell, served: str) -> None:
    assert "protects no feature" in shell.run("fairness", served).stderr
