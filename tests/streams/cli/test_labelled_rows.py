"""Rows one by one: forgotten, corrected, withdrawn, and written out to train on when a trigger asks for it."""

from __future__ import annotations

import json

import polars as pl
from confluent_kafka import Producer
from sklearn.linear_model import LogisticRegression

from schemas.topics import Topic
from tests.streams.cli.scene import ROWS, START, Shell, wait


def told_once_more(shell: Shell, deployment: str) -> None:
    """A correction of id-3 and a withdrawal of id-7; id-1 was forgotten before."""
    producer = Producer(shell.connection.config | {"partitioner": "murmur2_random"})
    for number, word in ((3, {"value": "yes", "was_acted_on": True}), (7, {"withdrawn": True})):
        record = {"deployment": deployment, "association_id": f"id-{number}", "timestamp": START + number * 1_000}
        producer.produce(shell.connection.layout.name(Topic.ACTUALS), json.dumps(record | word), f"id-{number}")
    producer.flush(30)


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
