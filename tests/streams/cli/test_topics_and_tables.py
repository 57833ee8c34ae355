"""Topics read and dead letters replayed; tables proved, found out, and views rebuilt."""

from __future__ import annotations

import json
from typing import Any

import pytest
from confluent_kafka import Producer

from schemas.topics import Topic
from tests.streams.cli.scene import ROWS, Shell, wait


@pytest.mark.parametrize("topic", list(Topic))
def test_every_topic_can_be_read(shell: Shell, served: str, topic: Topic) -> None:
    silent = {Topic.ALERTS, Topic.TRIGGERS, Topic.DETECTIONS, Topic.CUSTOM_METRICS}  # nothing changed, nobody reported
    silent |= {Topic.DIAGNOSES}  # a day is not over

    def lines() -> list[dict[str, Any]]:
        return [json.loads(line) for line in shell.ok("tail", topic, "-n", 3).splitlines()]

    wait(lambda: topic in silent or lines())  # the evaluator may not have come to it yet
    found = lines()
    assert len(found) <= 3, served
    assert all("unreadable" not in (line["value"] or {}) or line["key"] == "unreadable" for line in found)


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


def test_views_are_rebuilt_and_stores_of_a_running_role_are_not_touched(shell: Shell, served: str) -> None:
    assert "views rebuilt" in shell.ok("views", "rebuild")
    assert served in shell.ok("status")
    result = shell.run("rebuild", "joiner", "--yes")
    assert result.exit_code == 1
    assert "joiner/1 runs" in result.stderr
