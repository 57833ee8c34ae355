"""Each file has workers of its own: what one changes, another does not see."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator

import numpy as np
import polars as pl
import pytest
from confluent_kafka import Producer

from infra.local.stack import Stack
from infra.settings import load
from schemas.topics import Topic
from scorers.formats.linear import LinearModel, Link, NumericTerm
from streams import roles
from streams.connection import connect
from streams.supervisor import Fleet
from tests.streams.cli.scene import ROWS, SETTINGS, START, Shell, build, matched, wait


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
