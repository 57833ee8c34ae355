"""How commands are found, how settings are read and told, and how a mistyped name is met."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from schemas.deployment import Settings, Span
from schemas.package import Package, Target, TargetType
from streams import cli
from streams.cli import Ended, watchkeeper
from streams.cli._found import commands
from streams.cli._settings import fields, read_settings
from streams.cli._shared import package_of
from streams.replay import FixedCatalog

FOLDER = Path(cli.__file__).parent


def test_commands_told_from_source_are_those_that_the_modules_define() -> None:
    loaded: dict[str | None, str] = {}
    for module in pkgutil.iter_modules([str(FOLDER)]):
        if module.name.startswith("_"):
            continue
        found = vars(importlib.import_module(f"streams.cli.{module.name}")).values()
        defined = [one for one in found if isinstance(one, click.Command) and one is not watchkeeper]
        groups = [one for one in defined if isinstance(one, click.Group)]
        nested = {id(one) for group in groups for one in group.commands.values()}
        loaded |= {one.name: module.name for one in defined if id(one) not in nested}
    assert {name: listed.module for name, listed in commands(FOLDER).items()} == loaded


def test_help_loads_no_command() -> None:
    program = "import sys, streams.cli; streams.cli.watchkeeper(['--help'], standalone_mode=False); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert not loaded & {"numpy", "polars", "redis", "faust", "confluent_kafka", "rich"}
    assert "dead-letters" in done.stdout


def test_a_mistyped_command_is_answered_with_the_one_that_was_meant() -> None:
    result = CliRunner().invoke(watchkeeper, ["statsu"])
    assert result.exit_code == 2
    assert "Did you mean status?" in result.stderr


def test_every_setting_is_told_with_what_it_may_be_and_its_default() -> None:
    told = {one.name: one for one in fields()}
    assert told["grace_ms"].unit == "ms"
    assert told["bucket"].allowed == "minute, hour, day, week, month"
    assert told["bucket"].default == '"hour"'
    assert told["alert_rules[].metric"].default == "must be given"
    assert all(one.allowed != "any" for one in told.values())
    assert set(Settings.__struct_fields__) <= {name.partition(".")[0].removesuffix("[]") for name in told}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("bukket: hour", "bukket is not known, did you mean bucket?"),
        ("bucket: hourr", "did you mean hour?"),
        ("alert_rules: [{name: a, metrik: psi, limit: 1}]", "alert_rules[0].metrik is not known, did you mean metric?"),
        ("alert_rules: [{name: a, metric: psj, limit: 1}]", "did you mean psi?"),
        ("thresholds: {psi_faling: 1}", "did you mean psi_failing?"),
        ("grace_ms: soon", "Expected `int`"),
        ("[1", "cannot be read as YAML"),
    ],
)
def test_what_is_wrong_with_settings_is_said_with_what_was_meant(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text(text)
    with pytest.raises(Ended) as said:
        read_settings(file)
    assert words in str(said.value)


def test_settings_that_are_right_are_read_and_an_empty_file_is_all_defaults(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("bucket: minute\nstarred: [age]\nalert_rules: [{name: a, metric: psi, limit: 0.2}]")
    found = read_settings(file)
    assert (found.bucket, found.starred, found.alert_rules[0].limit) == (Span.MINUTE, ("age",), 0.2)
    file.write_text("")
    assert read_settings(file) == Settings()


def test_a_digest_is_found_by_its_beginning_and_refused_where_that_is_short_or_not_enough() -> None:
    target = Target("left", TargetType.REGRESSION)
    packages = [Package("p", "1", digest, target, (), "linear") for digest in ("abcdef01", "abcdef02", "fedcba01")]
    catalog = FixedCatalog((), packages)
    assert package_of(catalog, "FEDCBA").digest == "fedcba01"
    for digest, words in (
        ("fed", "too short"),
        ("abcdef", "2 packages begin with abcdef: abcdef01, abcdef02"),
        ("abcdff", "no package"),
    ):
        with pytest.raises(Ended) as said:
            package_of(catalog, digest)
        assert words in str(said.value)


def groups(command: click.Command = watchkeeper, path: str = "") -> Iterator[tuple[str, click.Group]]:
    """Every command that has commands, by what one types to get there."""
    if isinstance(command, click.Group):
        yield path, command
        asked = click.Context(command)
        for name in command.list_commands(asked):
            found = command.get_command(asked, name)
            assert found is not None
            yield from groups(found, f"{path} {name}".strip())


@pytest.mark.parametrize(("path", "group"), list(groups()))
def test_no_list_of_commands_is_cut_off_in_a_terminal_of_80_columns(path: str, group: click.Group) -> None:
    said = CliRunner().invoke(watchkeeper, [*path.split(), "--help"], terminal_width=80).stdout
    names = group.list_commands(click.Context(group))
    listed = [line for line in said.partition("Commands:")[2].splitlines() if line]
    assert [line.split()[0] for line in listed] == names, "one line for each"
    assert not [line for line in listed if line.endswith("...") or len(line.split()) == 1]


def commands_of() -> Iterator[tuple[str, click.Command]]:
    for name, group in groups():
        asked = click.Context(group)
        for child in group.list_commands(asked):
            found = group.get_command(asked, child)
            assert found is not None
            yield f"{name} {child}".strip(), found


@pytest.mark.parametrize(("path", "command"), list(commands_of()))
def test_every_option_says_what_it_is_for(path: str, command: click.Command) -> None:
    options = [one for one in command.params if isinstance(one, click.Option)]
    assert [one.name for one in options if not one.help] == [], path
