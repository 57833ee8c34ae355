"""Packages and deployments by command: what is listed, refused, recorded, and what a mistake is answered with."""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner

from infra.settings import load
from streams.cli import watchkeeper
from streams.connection import connect
from tests.streams.cli.scene import Shell, build


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


def test_a_replacement_is_in_the_audit_log_with_its_reason(shell: Shell, served: str, digests: list[str]) -> None:
    said = shell.ok("deployment", "replace", served, digests[1], "--reason", "it is better")
    assert f"({digests[1][:12]}) goes" in said
    assert f"({digests[2][:12]}) stays" in said
    before, after = re.findall(r"revision (\d+) -> (\d+)", shell.ok("deployment", "challengers", served, digests[0]))[0]
    assert int(after) == int(before) + 1
    audits = shell.json("audit", "--entity", served)
    assert isinstance(audits, list)
    assert "it is better" in [one["command"]["reason"] for one in audits]


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
    assert result.exit_code == 3
    assert "watchkeeper up" in result.stderr
    assert runner.invoke(watchkeeper, ["tail", "nonsense"]).exit_code == 2
