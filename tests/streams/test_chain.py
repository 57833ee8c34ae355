"""The main job on the real broker: one answer for each request, the join, windows, governance, views."""

from __future__ import annotations

import json
import os
import signal
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import polars as pl
import pytest
import redis
from click.testing import CliRunner

from schemas.deployment import AlertRule, CreateDeployment, ReplaceModel, SetChallengers, Span, Switch
from schemas.deployment import Settings as DeploymentSettings
from schemas.expectations import Aggregate, CallerField, CustomMetric, Timeliness
from schemas.observation import Finding, Status
from schemas.topics import Topic
from scorers.governance import verify_chain
from streams.cli import watchkeeper
from streams.client import Refused, command, submit
from tests.streams.chain_scene import Chain, archive, start

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from infra.local.stack import Stack


@pytest.fixture(scope="module")
def chain(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    chain = start(stack, tmp_path_factory.mktemp("chain"))
    yield chain
    chain.fleet.stop()


def actual(chain: Chain, association_id: str, value: object) -> None:
    body = {"deployment": "loans", "association_id": association_id, "timestamp": chain.now_ms + 50, "value": value}
    chain.send(Topic.ACTUALS, association_id, body)


def test_a_request_has_one_prediction_and_one_of_each_challenger(chain: Chain) -> None:
    chain.ask("a-1")
    (answer,) = chain.predictions("a-1")
    assert (answer["deployment"], answer["model"]) == ("loans", chain.packages[0].digest)
    assert answer["label"] in {"no", "yes"}
    assert answer["probabilities"] == pytest.approx([1 - answer["value"], answer["value"]])
    assert answer["segments"] == ["plan=basic"]
    shadows = chain.predictions("a-1", topic=Topic.SHADOW_PREDICTIONS, each=2)
    assert {row["model"] for row in shadows} == {package.digest for package in chain.packages[1:3]}


def test_the_same_request_again_is_answered_again_and_counted_as_repeated(chain: Chain) -> None:
    chain.ask("again")
    chain.predictions("again")
    chain.ask("again")
    chain.predictions("again", each=2)
    repeated = [row for row in chain.outcomes("again", 3) if row["kind"] == "repeated"]
    assert len(repeated) == 3, "champion and both challengers"


def test_an_actual_is_joined_corrected_and_withdrawn(chain: Chain) -> None:
    actual(chain, "j-1", "yes")  # comes first
    chain.ask("j-1")
    (matched, *_) = chain.outcomes("j-1")
    assert (matched["kind"], matched["label"], matched["previous_label"]) == ("matched", "yes", None)
    before = len(chain.outcomes("j-1"))
    actual(chain, "j-1", "no")
    corrected = chain.outcomes("j-1", before + 1)[-1]
    assert (corrected["kind"], corrected["label"], corrected["previous_label"]) == ("corrected", "no", "yes")
    gone = {"deployment": "loans", "association_id": "j-1", "timestamp": chain.now_ms + 60, "withdrawn": True}
    chain.send(Topic.ACTUALS, "j-1", gone)
    withdrawn = chain.outcomes("j-1", before + 2)[-1]
    assert (withdrawn["kind"], withdrawn["label"], withdrawn["previous_label"]) == ("withdrawn", None, "no")


def test_an_actual_for_an_unknown_deployment_is_rejected(chain: Chain) -> None:
    body = {"deployment": "nobody", "association_id": "r-1", "timestamp": chain.now_ms, "value": 1}
    chain.send(Topic.ACTUALS, "r-1", body)
    (outcome,) = chain.outcomes("r-1")
    assert (outcome["kind"], outcome["reason"]) == ("rejected", "unknown_deployment")


def test_metrics_reach_the_views_with_coverage(chain: Chain) -> None:
    ids = [f"m-{number}" for number in range(200)]
    minute = (chain.now_ms // 60_000 - 30) * 60_000
    for number, one in enumerate(ids):
        chain.producer.produce(
            chain.connection.layout.name(Topic.REQUESTS), json.dumps(chain.request(one, timestamp=minute + number)), one
        )
        if number % 2:
            body = {"deployment": "loans", "association_id": one, "timestamp": minute + 500, "value": "yes"}
            chain.producer.produce(chain.connection.layout.name(Topic.ACTUALS), json.dumps(body), one)
    for number in range(24):  # some to each partition, so that the window closes
        chain.send(Topic.REQUESTS, f"later-{number}", chain.request(f"later-{number}"))
    chain.producer.flush(30)
    views, champion = chain.views(), chain.packages[0].digest

    def complete() -> dict[str, Any] | None:
        found = {
            metric.metric: metric
            for metric in views.metrics("loans")
            if metric.window_start_ms == minute
            and metric.model == champion
            and not metric.segment
            and not metric.feature
        }
        done = "requests" in found and found["requests"].value == 200 and "coverage" in found
        sampled = "domain_auc" in found and found["domain_auc"].n == 200
        return found if done and sampled and found["coverage"].value == 0.5 else None

    found = chain.wait(complete)
    assert found["domain_auc"].status is Status.FAILING  # 200 times the same request
    assert found["log_loss"].n == 100
    assert found["log_loss"].coverage == 0.5
    by_segment = [metric for metric in views.metrics("loans") if metric.segment == "plan=basic"]
    assert any(metric.metric == "requests" and metric.value == 200 for metric in by_segment)


def test_who_asked_and_what_was_wrong_with_it_reach_the_views(chain: Chain) -> None:
    asked = DeploymentSettings(
        bucket=Span.MINUTE,
        drift_window=Span.MINUTE,
        accuracy_window=Span.MINUTE,
        grace_ms=1_000,
        caller_segments={CallerField.CONSUMER: ("web", "app"), CallerField.HOST_IP: ("10.0.0.0/8",)},
        custom_metrics=(CustomMetric("cost", Aggregate.SUM),),
        timeliness=Timeliness(predictions="PT1H"),
    )
    champion = chain.packages[0].digest
    submit(chain.connection, command("watched", CreateDeployment(champion, (), asked)), 60)
    minute = (chain.now_ms // 60_000 - 30) * 60_000
    for number in range(600):
        one, consumer = f"w-{number}", ("web", "app", "script")[number % 3]
        changed: dict[str, Any] = {"deployment": "watched", "timestamp": minute + number, "consumer": consumer}
        if consumer == "app":  # this application sends a text for a number, and an address of ours
            changed |= {"features": {"amount": "ten"}, "host_ip": f"10.0.{number // 256}.{number % 256}"}
        elif consumer == "web":  # and this one a feature that nobody asked for, and a plan that training never had
            changed |= {"features": {"amuont": 10.0, "plan": "platinum"}}
        name = chain.connection.layout.name(Topic.REQUESTS)
        chain.producer.produce(name, json.dumps(chain.request(one, **changed)), one)
        if consumer == "script":
            body = {"deployment": "watched", "association_id": one, "timestamp": minute + 500, "value": "yes"}
            chain.producer.produce(chain.connection.layout.name(Topic.ACTUALS), json.dumps(body), one)
    for value in (1.5, "broken", 2.5):
        spent = {"deployment": "watched", "metric": "cost", "value": value, "timestamp": minute + 1}
        chain.producer.produce(chain.connection.layout.name(Topic.CUSTOM_METRICS), json.dumps(spent), "watched")
    chain.producer.flush(30)
    views = chain.views()

    def complete() -> dict[tuple[str, str, str], Any] | None:
        found = {
            (metric.metric, metric.feature, metric.segment): metric.value
            for metric in views.metrics("watched")
            if metric.window_start_ms == minute or metric.metric in {"prediction_timeliness", "custom_refused"}
        }
        flow, matched = found.get(("unanswered", "", "")), found.get(("coverage", "", "consumer=other"))
        spent = found.get(("custom", "cost", ""))
        done = found.get(("requests", "", "")) == 600 and flow == 0 and matched == 1 and spent == 4
        done = done and found.get(("custom_refused", "", "")) == 1
        return found if done and ("wrong_type_rate", "amount", "consumer=app") in found else None

    found = chain.wait(complete)
    assert found["consumers", "", ""] == 3
    assert found["data_error_rate", "", "consumer=app"] == found["data_error_rate", "", "host_ip=10.0.0.0/8"] == 1
    assert found["data_error_rate", "", "consumer=web"] == 0
    assert found["wrong_type_rate", "amount", "consumer=app"] == 1
    assert found["wrong_type_rate", "amount", ""] == pytest.approx(1 / 3)
    assert found["unseen_rate", "plan", "consumer=web"] == 1
    assert found["unseen_rate", "plan", ""] == 0.5
    assert found["requests", "", "consumer=other"] == 200
    assert found["load_per_minute_peak", "", ""] == 600
    assert found["unknown_feature_rate", "", "consumer=web"] == 1
    assert found["prediction_timeliness", "", ""] == 0


def test_what_moves_the_predictions_is_told_watched_and_shown(chain: Chain, stack: Stack, tmp_path: Path) -> None:
    minute = (chain.now_ms // 60_000 - 30) * 60_000
    asked = DeploymentSettings(
        bucket=Span.MINUTE,
        drift_window=Span.MINUTE,
        grace_ms=1_000,
        segments=("plan",),
        explanations=True,
        alert_rules=(AlertRule("moved", "attribution_drift", 0.2),),
    )
    champion, *others = (package.digest for package in chain.packages)
    submit(chain.connection, command("explained", CreateDeployment(champion, (others[0],), asked)), 60)
    ids = [f"x-{number}" for number in range(300)]
    for number, one in enumerate(ids):  # amounts hardly differ any more, ages do
        features = {"amount": 10.0 + number % 2, "age": float(number % 90), "plan": ("gold", "basic")[number % 2]}
        body = chain.request(one, deployment="explained", timestamp=minute + number, features=features)
        chain.producer.produce(chain.connection.layout.name(Topic.REQUESTS), json.dumps(body), one)
    for number in range(24):  # some to each partition, so that the window closes
        chain.send(Topic.REQUESTS, f"xl-{number}", chain.request(f"xl-{number}", deployment="explained"))
    chain.send(
        Topic.ACTUALS, "x-1", {"deployment": "explained", "association_id": "x-1", "timestamp": minute, "value": "yes"}
    )
    rows = chain.predictions(*ids)
    moved = np.array([[abs(row["explanations"][name]) for name in ("amount", "age", "plan")] for row in rows])
    assert all(row["explanations"] is None for row in chain.predictions("a-1"))
    assert {row["model"] for row in chain.outcomes("x-1")[0]["predictions"]} <= {champion, others[0]}
    views = chain.views()

    def complete() -> dict[tuple[str, str], Any] | None:
        found = {
            (metric.metric, metric.feature): metric
            for metric in views.metrics("explained")
            if metric.window_start_ms == minute and metric.model == champion and not metric.segment
        }
        drift = found.get(("attribution_drift", ""))
        return found if drift is not None and drift.closed and drift.n == len(ids) else None

    found = chain.wait(complete)
    for place, name in enumerate(("amount", "age", "plan")):
        share = moved.mean(axis=0)[place] / moved.mean(axis=0).sum()
        assert found["attribution_share", name].value == pytest.approx(share, abs=1e-9)
    assert found["attribution_drift", ""].status is Status.FAILING
    alerts = chain.wait(lambda: [one for one in views.alerts() if one.deployment == "explained"])
    assert [(one.metric, one.rule) for one in alerts] == [("attribution_drift", "moved")]
    shell = CliRunner(env={"WATCHKEEPER_HOME": str(stack.home), "WATCHKEEPER_PREFIX": chain.settings.prefix})
    until = datetime.fromtimestamp(minute / 1000 + 60, UTC).isoformat()
    told = json.loads(shell.invoke(watchkeeper, ["attributions", "explained", "--to", until, "--json"]).stdout)
    assert told["window_start_ms"] == minute
    ranks = {one["feature"]: (one["rank"], one["rank_before"]) for one in told["features"]}
    assert ranks["amount"] == (3, 1), "what moved most on holdout moves least"
    assert [one["rank"] for one in told["features"]] == [1, 2, 3]
    table = shell.invoke(watchkeeper, ["attributions", "explained", "--to", until, "--segment", "plan=gold"])
    assert "age" in table.stdout
    page = tmp_path / "report.html"
    done = shell.invoke(watchkeeper, ["report", "explained", "--html", str(page)])
    assert done.exit_code == 0, done.output
    assert "What moves the predictions" in page.read_text()
    assert "attribution drift" in page.read_text()


def test_a_verdict_knows_which_rows_belong_together(chain: Chain, stack: Stack) -> None:
    minute = (chain.now_ms // 60_000 - 30) * 60_000
    asked = DeploymentSettings(
        bucket=Span.MINUTE, accuracy_window=Span.MINUTE, grace_ms=1_000, cluster="consumer", resolved_after_ms=60_000
    )
    champion, *others = (package.digest for package in chain.packages)
    submit(chain.connection, command("clustered", CreateDeployment(champion, (others[0],), asked)), 60)
    ids = [f"c-{number}" for number in range(60)]
    for number, one in enumerate(ids):
        body = chain.request(one, deployment="clustered", timestamp=minute + number, consumer=f"shop-{number % 3}")
        chain.producer.produce(chain.connection.layout.name(Topic.REQUESTS), json.dumps(body), one)
        told = {"deployment": "clustered", "association_id": one, "timestamp": minute + 500, "value": "yes"}
        chain.producer.produce(chain.connection.layout.name(Topic.ACTUALS), json.dumps(told), one)
    for number in range(24):  # some to each partition, so that the rows are old
        chain.send(Topic.REQUESTS, f"cl-{number}", chain.request(f"cl-{number}", deployment="clustered"))
    assert len({row["cluster"] for row in chain.predictions(*ids)}) == 3
    chain.ask("no-cluster")
    assert [row["cluster"] for row in chain.predictions("no-cluster")] == [None], "its deployment declares none"
    views = chain.views()
    found = chain.wait(lambda: [one for one in views.verdicts("clustered") if one.n == len(ids)])[-1]
    assert (found.cluster, found.clusters, found.finding) == ("consumer", 3.0, Finding.UNDECIDED)
    shell = CliRunner(env={"WATCHKEEPER_HOME": str(stack.home), "WATCHKEEPER_PREFIX": chain.settings.prefix})
    shown = " ".join(shell.invoke(watchkeeper, ["challengers", "clustered"]).stdout.split())
    assert "undecided" in shown
    (told_of,) = json.loads(shell.invoke(watchkeeper, ["challengers", "clustered", "--json"]).stdout)
    assert told_of["clusters"] == 3.0


def test_a_replacement_switches_at_one_offset_of_each_partition_without_a_gap(chain: Chain) -> None:
    old, new = chain.packages[0], chain.package("fourth", 1.2)
    ids = [f"s-{number}" for number in range(3_000)]
    for number, one in enumerate(ids):
        if number == 1_000:
            audit = submit(chain.connection, command("loans", ReplaceModel(new.digest), reason="better on holdout"), 60)
        chain.producer.produce(chain.connection.layout.name(Topic.REQUESTS), json.dumps(chain.request(one)), one)
        chain.producer.poll(0)
        time.sleep(0.001)
    chain.producer.flush(30)
    answers = pl.DataFrame(chain.predictions(*ids)).filter(pl.col("association_id").is_in(ids))
    assert set(answers["model"].unique()) == {old.digest, new.digest}
    switches = [msgspec.json.decode(message.value() or b"", type=Switch) for message in chain.read(Topic.SWITCHES)]
    for (partition,), rows in answers.partition_by(["source_partition"], as_dict=True).items():
        firsts = [
            switch.first_offset
            for switch in switches
            if (switch.role, switch.partition, switch.digest) == ("scorer", partition, new.digest)
        ]
        assert len(firsts) == 1
        served = rows.with_columns(by_new=pl.col("model") == new.digest)
        assert (served["by_new"] == (served["source_offset"] >= firsts[0])).all()
    assert (answers["revision"].max(), audit.after) == (audit.after, audit.before + 1)
    chain.packages[0] = new


def test_a_challenger_that_cannot_be_loaded_never_touches_what_is_served(chain: Chain) -> None:
    broken = chain.package("broken", 0.5)
    path = chain.settings.artifacts / broken.digest[:2] / f"{broken.digest}.zip"
    path.write_bytes(path.read_bytes()[:-100])
    submit(chain.connection, command("loans", SetChallengers((broken.digest, chain.packages[1].digest))), 60)
    chain.ask("untouched")
    (answer,) = chain.predictions("untouched")
    assert answer["error_kind"] is None
    submit(chain.connection, command("loans", SetChallengers(tuple(p.digest for p in chain.packages[1:3]))), 60)


def test_a_command_that_may_not_be_obeyed_is_refused_with_a_reason_and_changes_nothing(chain: Chain) -> None:
    with pytest.raises(Refused, match="0000"):
        submit(chain.connection, command("loans", ReplaceModel("0" * 64)), 60)
    records = [message.value() or b"" for message in chain.read(Topic.AUDIT)]
    assert verify_chain(records) is None
    audit = chain.audits()[-1]
    assert (audit.accepted, audit.after) == (False, audit.before)


def test_views_come_back_when_redis_has_lost_them(chain: Chain) -> None:
    before = len(chain.views().metrics("loans"))
    redis.Redis.from_url(chain.settings.redis_address()).flushall()
    chain.wait(lambda: len(chain.views().metrics("loans")) >= before)
    assert chain.views().deployments()["loans"].name == "loans"


def test_a_worker_killed_is_started_again_and_answers(chain: Chain) -> None:
    scorer = next(child for child in chain.fleet.children if child.role == "scorer")
    os.kill(scorer.process.pid, signal.SIGKILL)
    chain.ask("after the kill")
    (answer,) = chain.predictions("after the kill")
    assert answer["error_kind"] is None
    assert scorer.exits == [-signal.SIGKILL]


def test_archives_of_the_same_model_have_the_same_digest() -> None:
    assert archive("same", 1.0) == archive("same", 1.0)
