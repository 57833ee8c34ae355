"""The command line as a person uses it, against the real chain: what goes in, what comes out, what is said when not."""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner, Result
from confluent_kafka import Producer
from sklearn.linear_model import LogisticRegression

from infra.local.stack import Stack
from infra.settings import load
from schemas.topics import Topic
from scorers.formats.linear import LinearModel, Link, NumericTerm
from streams import roles
from streams.cli import watchkeeper
from streams.connection import Connection, connect
from streams.supervisor import Fleet

ROWS = 300
START = 1_700_000_000_000
SETTINGS = """
bucket: minute
drift_window: minute
accuracy_window: minute
grace_ms: 1000
max_age_ms: 1000000000000
segments: [plan]
alert_rules:
  - {name: drift, metric: psi, feature: "*", limit: 0.05, min_rows: 10}
triggers:
  - {name: fresh-data, new_labels: 100, train_on: P1D, resolved: false}
"""


@dataclass(frozen=True)
class Shell:
    """Runs commands in an installation of its own."""

    environment: dict[str, str]
    folder: Path
    connection: Connection

    def run(self, *words: object, input: str | None = None) -> Result:  # noqa: A002  # click's word
        runner = CliRunner(env=self.environment)
        return runner.invoke(watchkeeper, [str(word) for word in words], input=input)

    def json(self, *words: object) -> Any:  # noqa: ANN401  # each test knows what it asks for
        result = self.run(*words, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    def ok(self, *words: object) -> str:
        result = self.run(*words)
        assert result.exit_code == 0, result.output
        return result.stdout


@pytest.fixture(scope="module")
def shell(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    folder = tmp_path_factory.mktemp("cli")
    environment = {
        "WATCHKEEPER_HOME": str(stack.home),
        "WATCHKEEPER_PREFIX": f"cli-{secrets.token_hex(4)}",
        "WATCHKEEPER_PARTITIONS": "2",
        "WATCHKEEPER_ARTIFACTS": str(folder / "artifacts"),
    }
    found = Shell(environment, folder, connect(load(environment)))
    found.ok("topics", "create")
    fleet = Fleet(folder / "logs", os.environ | environment)
    fleet.start(roles.names())
    yield found
    fleet.stop()


@pytest.fixture(scope="module")
def digests(shell: Shell) -> list[str]:
    """Three registered packages, the champion first."""
    rng = np.random.default_rng(0)
    plans = rng.choice(["basic", "gold"], 500)
    rows = pl.DataFrame({"age": rng.normal(size=500), "income": rng.normal(size=500), "plan": plans})
    truth = rng.random(500) < 1 / (1 + np.exp(-rows["age"].to_numpy()))
    rows.write_csv(shell.folder / "training.csv")
    rows.with_columns(left=pl.Series(["yes" if one else "no" for one in truth])).write_parquet(
        shell.folder / "holdout.parquet"
    )
    found = []
    for number, slope in enumerate((1.0, 0.8, 0.1)):
        model = LinearModel(Link.LOGIT, 0.0, {"age": NumericTerm(slope)})
        (shell.folder / "linear.json").write_bytes(model.artifact())
        built = shell.json(*build(shell.folder, number), "--class", "no", "--class", "yes")
        found.append(shell.ok("package", "register", shell.folder / f"{number}.zip").strip())
        assert isinstance(built, dict)
        assert built["digest"] == found[-1]
    return found


def build(folder: Path, number: int) -> list[object]:
    data = ["--training", folder / "training.csv", "--holdout", folder / "holdout.parquet", "--actual", "left"]
    names = [
        "--name",
        f"slope-{number}",
        "--version",
        "1",
        "--target",
        "left",
        "--type",
        "binary",
        "--protected",
        "plan",
    ]
    return ["package", "build", "--model", folder / "linear.json", *names, *data, "-o", folder / f"{number}.zip"]


@pytest.fixture(scope="module")
def served(shell: Shell, digests: list[str]) -> str:
    """A deployment that has worked: 300 requests, 150 actuals, one unreadable record."""
    (shell.folder / "settings.yaml").write_text(SETTINGS)
    models = ["--champion", digests[0][:16], "--challenger", digests[1], "--challenger", digests[2]]
    shell.ok("deployment", "create", "churn", *models, "--settings", shell.folder / "settings.yaml")
    producer = Producer(shell.connection.config | {"partitioner": "murmur2_random"})
    requests, actuals = (shell.connection.layout.name(topic) for topic in (Topic.REQUESTS, Topic.ACTUALS))
    rng = np.random.default_rng(1)
    for number in range(ROWS):
        features = {
            "age": rng.normal() + number / 100,
            "income": rng.normal(),
            "plan": str(rng.choice(["basic", "gold"])),
        }
        record = {"deployment": "churn", "association_id": f"id-{number}", "timestamp": START + number * 1_000}
        producer.produce(requests, json.dumps(record | {"features": features}), f"id-{number}")
        if number % 2:
            producer.produce(
                actuals, json.dumps(record | {"value": "yes" if number % 4 == 1 else "no"}), f"id-{number}"
            )
    producer.produce(requests, b"garbage", b"unreadable")
    producer.produce(actuals, b"garbage", b"unreadable")
    producer.flush(30)
    wait(lambda: matched(shell) >= ROWS // 2)
    return "churn"


def wait(until: Callable[[], object], seconds: float = 60) -> None:
    limit = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < limit, "it does not come"
        time.sleep(0.5)


def skipped(shell: Shell, role: str) -> int:
    workers = [one["heartbeat"] for one in shell.json("status", "--workers")]
    return sum(one["skipped"] for one in workers if one["role"] == role)


def matched(shell: Shell) -> int:
    result = shell.run("metrics", "churn", "--metric", "auc", "--json")
    found = json.loads(result.stdout) if result.exit_code == 0 else []
    champion = {one["model"] for one in found}
    return int(sum(one["n"] for one in found) // max(1, len(champion)))


def test_packages_are_listed_and_shown_by_the_beginning_of_their_digest(shell: Shell, digests: list[str]) -> None:
    listed = shell.json("package", "list")
    assert isinstance(listed, list)
    assert {one["digest"] for one in listed} == set(digests)
    assert "holdout rows" in shell.ok("package", "show", digests[0][:10])
    assert shell.json("package", "show", shell.folder / "0.zip") == shell.json("package", "show", digests[0])
    assert "slope-1" in shell.ok("package", "list")


def test_what_is_wrong_with_a_package_is_said_in_a_sentence(shell: Shell, digests: list[str]) -> None:
    no_class = shell.run(*build(shell.folder, 9))
    assert (no_class.exit_code, no_class.stderr.count("\n")) == (1, 1)
    assert "none of the classes" in no_class.stderr
    assert "no package feedfeed" in shell.run("package", "show", "feedfeed").stderr
    assert "too short" in shell.run("package", "show", "feed").stderr
    assert "NAME:TYPE" in shell.run(*build(shell.folder, 9), "--feature", "age=number").stderr
    assert len(digests) == 3


def test_a_deployment_shows_what_it_serves(shell: Shell, served: str, digests: list[str]) -> None:
    shown = shell.json("deployment", "show", served)
    assert isinstance(shown, dict)
    assert shown["champion"]["digest"] == digests[0]
    assert shown["settings"]["drift_window"] == "minute"
    assert "slope-0 1" in shell.ok("deployment", "show", served)
    assert served in shell.ok("deployment", "list")
    schema = json.loads(shell.ok("deployment", "schema", served))
    assert (schema["subject"], schema["schema"]["type"]) == ("requests-churn", "record")


def test_settings_are_read_strictly(shell: Shell, served: str) -> None:
    wrong = shell.folder / "wrong.yaml"
    wrong.write_text("bukket: minute\n")
    result = shell.run("deployment", "settings", served, wrong)
    assert result.exit_code == 1
    assert "bukket is not known, did you mean bucket?" in result.stderr
    assert "a list of text" in shell.ok("deployment", "settings", "--fields")


def test_a_refusal_is_the_governors_sentence_and_exit_code_1(shell: Shell, served: str, digests: list[str]) -> None:
    result = shell.run("deployment", "replace", served, digests[0], "--reason", "none")
    assert result.exit_code == 1
    assert "is the champion of churn already" in result.stderr
    assert "the chain holds" in shell.ok("audit", "verify")
    assert "CreateDeployment" in shell.ok("audit", "--entity", served)


def test_status_says_how_deployments_and_workers_are(shell: Shell, served: str) -> None:
    standing = next(one for one in shell.json("status") if one["name"] == served)
    assert standing["name"] == served
    assert standing["requests"] == ROWS
    said = shell.ok("status")
    assert "accuracy is unknown: no alert rule looks at it" in said, said
    workers = shell.json("status", "--workers")
    assert isinstance(workers, list)
    assert {one["heartbeat"]["role"] for one in workers} == set(roles.names())
    assert not any(one["stale"] for one in workers)
    wait(lambda: skipped(shell, "joiner") == 1)
    assert "scorer/1" in shell.ok("status", "--workers")


def test_lag_is_told_by_role_and_partition_and_nothing_is_silent(shell: Shell, served: str) -> None:
    found = shell.json("status", "--lag")
    assert isinstance(found, list)
    assert {one["role"] for one in found} == set(roles.names())
    assert all(one["lag"] == max(0, one["end"] - one["committed"]) for one in found)
    assert sum(one["committed"] for one in found if (one["role"], one["topic"]) == ("scorer", "requests")) == ROWS + 1
    assert "projector" in shell.ok("status", "--lag")
    assert "was heard of for" not in shell.run("status").stderr, served


def test_windows_of_any_length_are_read_from_the_buckets(shell: Shell, served: str) -> None:
    minutes = shell.json("metrics", served, "--metric", "requests")
    (hour,) = shell.json("metrics", served, "--metric", "requests", "--window", "hour", "--model", minutes[0]["model"])
    assert hour["value"] == ROWS
    words = ("--metric", "psi", "--feature", "age", "--window", "minute", "--compare", "previous")
    compared = shell.json("metrics", served, *words)
    assert isinstance(compared, list)
    assert [one["before"] is None for one in compared][:2] == [True, True] or compared[0]["before"] is None
    assert any(one["before"] is not None and one["metric"]["value"] is not None for one in compared)
    assert "against the window before" in shell.ok("metrics", served, *words)
    assert "closed" in shell.ok("metrics", served, "--sliding", "2m", "--window", "minute", "--metric", "auc")


def test_predicted_classes_are_read_at_another_threshold(shell: Shell, served: str) -> None:
    words = ("metrics", served, "--metric", "recall", "--window", "hour")
    now, never = (shell.json(*words, *more) for more in ((), ("--threshold", "1")))
    assert isinstance(now, list)
    assert isinstance(never, list)
    assert now[0]["value"] > 0 == never[0]["value"]
    refused = shell.run("metrics", served, "--metric", "auc", "--threshold", "0.3")
    assert "does not rest on a threshold" in refused.stderr


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
    shell.ok("deployment", "create", "turned", "--champion", digests[0], "--settings", shell.folder / "turned.yaml")
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
    shell.ok("deployment", "create", "fair", "--champion", digests[0], "--settings", shell.folder / "fair.yaml")
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


def test_segments_are_ranked_by_what_they_add_to_a_change(shell: Shell, served: str) -> None:
    words = ("segments", served, "--metric", "log_loss", "--at", "2023-11-14T22:16:30")
    found = shell.json(*words)
    assert isinstance(found, dict)
    (dimension,) = found["dimensions"]
    assert dimension["name"] == "plan"
    assert dimension["adds_up"]
    added = sum(one["mix"] + one["effect"] for one in dimension["contributions"])
    assert added == pytest.approx(dimension["after"] - dimension["before"], abs=1e-9)
    assert "log_loss by plan" in shell.ok(*words)


def test_a_report_is_written_that_stands_alone(shell: Shell, served: str) -> None:
    file = shell.folder / "report.html"
    assert str(file) in shell.ok("report", served, "--html", file)
    page = file.read_text()
    sections = "Feature by feature", "Accuracy", "While outcomes come in", "Challengers", "Service health"
    for words in (*sections, "income", "<svg", "slope-0 1"):
        assert words in page
    assert "http" not in page.replace("http-equiv", "")
    assert shell.run("report", "chrun", "--html", file).exit_code == 1


def test_logs_of_one_role_are_shown(shell: Shell) -> None:
    (Path(shell.environment["WATCHKEEPER_HOME"]) / "logs").mkdir(exist_ok=True)
    (Path(shell.environment["WATCHKEEPER_HOME"]) / "logs" / "scorer-9.log").write_text("one\ntwo\nthree\n")
    shown = shell.ok("logs", "--role", "scorer", "-n", 2)
    assert shown.splitlines()[-2:] == ["two", "three"]
    assert "did you mean scorer?" in shell.run("logs", "--role", "scoerr").stderr


def test_an_unknown_deployment_is_an_error_with_what_was_meant(shell: Shell, served: str) -> None:
    for words in (
        ("metrics", "chrun"),
        ("alerts", "chrun"),
        ("audit", "--entity", "chrun"),
        ("deployment", "show", "chrun"),
    ):
        result = shell.run(*words)
        assert (result.exit_code, result.stdout) == (1, ""), words
        assert f"did you mean {served}?" in result.stderr


def test_servers_say_where_they_are_and_that_they_answer(shell: Shell) -> None:
    servers = shell.json("status", "--servers")
    assert isinstance(servers, list)
    assert {one["name"]: one["answers"] for one in servers} == {"kafka": True, "redis": True}
    assert "@" not in shell.ok("status", "--servers")


def test_metrics_and_alerts_are_shown_and_filtered(shell: Shell, served: str) -> None:
    found = shell.json("metrics", served, "--metric", "psi", "--feature", "age", "--from", "2023-11-14T22:14:00")
    assert isinstance(found, list)
    assert {one["feature"] for one in found} == {"age"}
    assert min(one["window_start_ms"] for one in found) >= START + 40_000
    assert "psi" in shell.ok("metrics", served, "--metric", "psi")
    assert isinstance(shell.json("alerts", served, "--open"), list)


def test_an_alert_that_was_acknowledged_stays_open_and_is_in_the_audit_log(shell: Shell, served: str) -> None:
    wait(lambda: firing(shell, served))
    alert, *others = firing(shell, served)
    said = shell.ok("alerts", "acknowledge", alert["id"][:12], "--reason", "we look into it")
    assert f"{served}: alert {alert['id']} acknowledged, audit record" in said
    wait(lambda: phase(shell, served, alert["id"]) == "acknowledged")
    assert {one["id"] for one in others} <= {one["id"] for one in firing(shell, served)}
    assert alert["id"] in {one["id"] for one in shell.json("alerts", served, "--open")}
    audits = shell.json("audit", "--entity", served)
    assert isinstance(audits, list)
    (audit,) = [one for one in audits if one["command"]["action"]["type"] == "acknowledge_alert"]
    assert audit["accepted"]
    assert (audit["command"]["reason"], audit["command"]["action"]["alert"]) == ("we look into it", alert["id"])
    assert "acknowledged" in shell.ok("alerts", served)
    again = shell.run("alerts", "acknowledge", alert["id"])
    assert (again.exit_code, again.stdout) == (1, "")
    assert "is acknowledged already" in again.stderr
    assert "there is no alert feedfeed" in shell.run("alerts", "acknowledge", "feedfeed").stderr


def test_a_status_that_a_minute_has_too_few_rows_for_rests_on_a_longer_time(shell: Shell, served: str) -> None:
    found = shell.json("metrics", served, "--metric", "psi")
    assert isinstance(found, list)
    small = [one for one in found if one.get("reason") == "too_few_rows"]
    assert small
    shown = shell.ok("metrics", served, "--metric", "psi")
    assert "by the hour to its end" in shown
    standing = next(one for one in shell.json("status") if one["name"] == served)
    newest = max(one["window_start_ms"] for one in found if one.get("closed"))
    names = {f"psi of {one['feature']}" for one in small if one["window_start_ms"] == newest}
    assert names <= standing["roll_ups"].keys()
    if names:
        assert "the newest window has too few rows for " in shell.ok("status")


def firing(shell: Shell, deployment: str) -> list[dict[str, str]]:
    found = shell.json("alerts", deployment, "--open")
    assert isinstance(found, list)
    return [one for one in found if one["phase"] == "firing"]


def phase(shell: Shell, deployment: str, alert: str) -> str:
    (one,) = [one for one in shell.json("alerts", deployment) if one["id"] == alert]
    return str(one["phase"])


@pytest.mark.parametrize("topic", list(Topic))
def test_every_topic_can_be_read(shell: Shell, served: str, topic: Topic) -> None:
    lines = [json.loads(line) for line in shell.ok("tail", topic, "-n", 3).splitlines()]
    silent = {Topic.ALERTS, Topic.TRIGGERS, Topic.DETECTIONS, Topic.CUSTOM_METRICS}  # nothing changed, nobody reported
    silent |= {Topic.DIAGNOSES}  # a day is not over
    assert 0 < len(lines) <= 3 or topic in silent, served
    assert all("unreadable" not in (line["value"] or {}) or line["key"] == "unreadable" for line in lines)


def test_tail_finds_all_records_of_a_key(shell: Shell, served: str) -> None:
    (line,) = shell.ok("tail", "predictions", "--key", "id-7").splitlines()
    assert json.loads(line)["value"]["deployment"] == served
    lines = shell.ok("tail", "shadow-predictions", "--from-beginning").splitlines()
    assert len(lines) == 2 * ROWS
    assert shell.run("tail", "requests", "--partition", 7).exit_code == 2


def test_a_dead_letter_is_replayed_with_its_key(shell: Shell, served: str) -> None:
    listed = shell.json("dead-letters", "list")
    assert isinstance(listed, list)
    position = listed[0]["position"]
    assert position.startswith("requests-")
    shown = json.loads(shell.ok("dead-letters", "show", position))
    assert (shown["size_bytes"], shown["value_text"], shown["key_text"]) == (7, "garbage", "unreadable")
    assert shell.run("dead-letters", "replay", position, input="n\n").exit_code == 1
    assert "1 record(s) produced again" in shell.ok("dead-letters", "replay", position, "--yes")
    wait(lambda: len(shell.json("dead-letters", "list")) == 2)
    assert "there is no dead letter" in shell.run("dead-letters", "show", "requests-0-99999").stderr
    assert served


@pytest.mark.parametrize("role", ["joiner", "evaluator", "governor"])
def test_tables_are_what_their_input_makes_of_nothing(shell: Shell, served: str, role: str) -> None:
    result = shell.run("verify", role, "--json")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["holds"], found["warnings"]) == (0, True, []), found
    assert found["equal"] > 0
    assert served


def test_a_table_that_was_tampered_with_is_found(shell: Shell, served: str) -> None:
    producer = Producer(shell.connection.config)
    producer.produce(shell.connection.layout.name(Topic.JOIN_CHANGELOG), b"x", b"churn\0stranger", partition=0)
    producer.flush(30)
    result = shell.run("verify", "joiner")
    assert result.exit_code == 1
    assert "only in the table: partition 0 ['churn', 'stranger']" in result.stdout
    producer.produce(shell.connection.layout.name(Topic.JOIN_CHANGELOG), None, b"churn\0stranger", partition=0)
    producer.flush(30)
    assert served


def test_a_forgotten_row_leaves_the_join_and_the_command_says_where_copies_stay(shell: Shell, served: str) -> None:
    said = shell.ok("forget", served, "id-1", "--yes")
    assert shell.connection.layout.name(Topic.REQUESTS) in said
    assert "400 d" in said
    assert "the views in Redis" in said

    def kinds() -> list[str]:
        lines = shell.ok("tail", "outcomes", "--key", "id-1").splitlines()
        return [json.loads(line)["value"]["kind"] for line in lines]

    wait(lambda: kinds()[-1] == "forgotten")
    assert "holds" in shell.ok("verify", "joiner")


def test_views_are_rebuilt_and_stores_of_a_running_role_are_not_touched(shell: Shell, served: str) -> None:
    assert "views rebuilt" in shell.ok("views", "rebuild")
    assert served in shell.ok("status")
    result = shell.run("rebuild", "joiner", "--yes")
    assert result.exit_code == 1
    assert "joiner/1 runs" in result.stderr


def test_a_replacement_is_in_the_audit_log_with_its_reason(shell: Shell, served: str, digests: list[str]) -> None:
    said = shell.ok("deployment", "replace", served, digests[1], "--reason", "it is better")
    assert f"({digests[1][:12]}) goes" in said
    assert f"({digests[2][:12]}) stays" in said
    before, after = re.findall(r"revision (\d+) -> (\d+)", shell.ok("deployment", "challengers", served, digests[0]))[0]
    assert int(after) == int(before) + 1
    audits = shell.json("audit", "--entity", served)
    assert isinstance(audits, list)
    assert "it is better" in [one["command"]["reason"] for one in audits]


def told_once_more(shell: Shell, deployment: str) -> None:
    """A correction of id-3 and a withdrawal of id-7; id-1 was forgotten before."""
    producer = Producer(shell.connection.config | {"partitioner": "murmur2_random"})
    for number, word in ((3, {"value": "yes", "was_acted_on": True}), (7, {"withdrawn": True})):
        record = {"deployment": deployment, "association_id": f"id-{number}", "timestamp": START + number * 1_000}
        producer.produce(shell.connection.layout.name(Topic.ACTUALS), json.dumps(record | word), f"id-{number}")
    producer.flush(30)


def test_a_trigger_names_the_data_and_a_model_is_trained_on_its_export(shell: Shell, served: str) -> None:
    told_once_more(shell, served)
    out = shell.folder / "rows.parquet"

    def rows() -> pl.DataFrame:
        shell.ok("export", served, "--out", out, "--all-models")
        return pl.read_parquet(out)

    wait(lambda: {"id-1", "id-7"}.isdisjoint(rows()["association_id"]) and rows()["was_acted_on"].any())
    found, whole = rows(), out.read_bytes()
    assert rows().equals(found)
    assert out.read_bytes() == whole
    assert found.height == ROWS // 2 - 2
    assert found.filter(pl.col("association_id") == "id-3")["actual"].to_list() == ["yes"]
    assert found["timestamp"].is_sorted()
    assert found.filter(pl.col("association_id") == "id-9")["timestamp"].dt.epoch("ms").to_list() == [START + 9_000]
    kinds = [found.schema[name] for name in ("age", "income", "plan", "prediction", "probability", "actual")]
    assert kinds == [pl.Float64, pl.Float64, pl.String, pl.String, pl.Float64, pl.String]
    assert set(found["predictions"].list.len()) == {3}
    model = LogisticRegression().fit(found.select("age", "income").to_numpy(), found["actual"].to_list())
    assert set(model.classes_) == {"no", "yes"}

    wait(lambda: shell.json("triggers", served))  # alone this test is faster than the evaluator
    triggers = shell.json("triggers", served)
    assert isinstance(triggers, list)
    (asked,) = triggers
    assert (asked["name"], asked["action"], asked["grounds"][0]["id"]) == ("fresh-data", "retrain", "labels")
    assert "rows were labelled since" in shell.ok("triggers", served)
    event = json.loads(shell.ok("tail", "triggers", "-n", 1))["value"]
    assert (event["type"], event["data"]) == ("watchkeeper.trigger.retrain", asked)
    done = shell.json("export", served, "--out", out, "--trigger", asked["id"][:10], "--no-features")
    assert isinstance(done, dict)
    assert (done["since_ms"], done["until_ms"]) == (asked["train_from_ms"], asked["train_until_ms"])
    within = found.filter(pl.col("timestamp").dt.epoch("ms") < asked["train_until_ms"])
    assert pl.read_parquet(out)["association_id"].to_list() == within["association_id"].to_list()
    assert "plan" not in done["columns"]


def test_an_export_of_nothing_says_so_and_leaves_what_was_there(shell: Shell, served: str) -> None:
    out = shell.folder / "kept.parquet"
    out.write_bytes(b"kept")
    result = shell.run("export", served, "--out", out, "--from", "2030-01-01")
    assert (result.exit_code, out.read_bytes()) == (1, b"kept")
    assert "no labelled rows" in result.stderr
    assert list(shell.folder.glob(".kept*")) == []
    assert shell.run("export", served, "--out", out, "--from", "2030-01-01", "--trigger", "abcdef").exit_code == 2
    assert "no trigger feedfeed" in shell.run("export", served, "--out", out, "--trigger", "feedfeed").stderr


def test_a_command_without_a_governor_says_what_it_waits_for(shell: Shell) -> None:
    alone = shell.environment | {"WATCHKEEPER_PREFIX": f"none-{secrets.token_hex(4)}"}
    quiet = Shell(alone, shell.folder, connect(load(alone)))
    quiet.ok("topics", "create")
    program = [sys.executable, "-m", "streams.cli", "deployment", "challengers", "churn"]
    waiting = subprocess.Popen(program, env=os.environ | alone, stderr=subprocess.PIPE, text=True)
    try:
        assert waiting.stderr is not None
        assert "no governor has been heard of lately" in waiting.stderr.readline()
        assert "waiting for the governor" in waiting.stderr.readline()
    finally:
        waiting.kill()
        waiting.wait()
        if waiting.stderr is not None:
            waiting.stderr.close()


def test_without_servers_a_command_says_so(tmp_path: Path) -> None:
    runner = CliRunner(env={"WATCHKEEPER_HOME": str(tmp_path)})
    result = runner.invoke(watchkeeper, ["status"])
    assert result.exit_code == 1
    assert "watchkeeper up" in result.stderr
    assert runner.invoke(watchkeeper, ["tail", "nonsense"]).exit_code == 2
