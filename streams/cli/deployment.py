"""`watchkeeper deployment` and `watchkeeper audit`: governance by commands that the governor answers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec
import yaml

from schemas.deployment import (
    Audit,
    ChangeSettings,
    CreateDeployment,
    Deployment,
    Model,
    ReplaceModel,
    SetChallengers,
    Settings,
)
from schemas.request_schema import request_schema, request_schema_id, subject
from schemas.topics import Topic
from scorers.governance import verify_chain
from streams.catalog import Catalog
from streams.cli import Ended
from streams.cli._orders import order
from streams.cli._reading import begins, places_of, read, stops
from streams.cli._settings import fields, read_settings
from streams.cli._shared import SHORT, as_json, must_be, package_of, say, show, when
from streams.cli._shared import connection as connect_here

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.deployment import Action
    from streams.connection import Connection

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
because = click.option("--reason", default="", help="Why; it stays in the audit log.")


@click.group()
def deployment() -> None:
    """What is served under a name, how it is watched, by commands."""


@deployment.command("create")
@click.argument("name")
@click.option("--champion", required=True, metavar="DIGEST", help="The package to serve; the beginning is enough.")
@click.option("--challenger", "challengers", multiple=True, metavar="DIGEST", help="Score in its shadow; repeat it.")
@click.option("--settings", "file", type=FILE, help="YAML with what is not to be as by default.")
@because
@as_json
def create_of_deployment(
    name: str, *, champion: str, challengers: tuple[str, ...], file: Path | None, reason: str, json: bool
) -> None:
    """Serve a registered package under NAME."""
    connection = connect_here()
    catalog = Catalog(connection)
    digests = [package_of(catalog, digest).digest for digest in (champion, *challengers)]
    settings = read_settings(file) if file else Settings()
    _order(connection, name, CreateDeployment(digests[0], tuple(digests[1:]), settings), reason, json=json)


@deployment.command("list")
@as_json
def list_of_deployment(*, json: bool) -> None:
    """All deployments."""
    found = sorted(Catalog(connect_here()).deployments.values(), key=lambda one: one.name)
    if json:
        say(found)
        return
    rows = (
        (one.name, one.revision, one.target.type.value, _said(one.champion), ", ".join(map(_said, one.challengers)))
        for one in found
    )
    show("deployments", ("name", "revision", "target", "champion", "challengers"), rows)


@deployment.command("show")
@click.argument("name")
@as_json
def show_of_deployment(name: str, *, json: bool) -> None:
    """One deployment: models, features, settings."""
    found = _deployment(connect_here(), name)
    if json:
        say(found)
        return
    click.secho(f"{found.name}, revision {found.revision}, changed {when(found.changed_ms)} UTC", bold=True)
    click.echo(f"predicts {found.target.name} ({found.target.type.value}) {' / '.join(found.target.classes)}")
    click.echo(f"champion     {_said(found.champion)}")
    for model in found.challengers:
        click.echo(f"challenger   {_said(model)}")
    click.echo(f"features     {', '.join(feature.name for feature in found.features)}")
    click.echo("settings, as `watchkeeper deployment settings` reads them:")
    click.echo(yaml.safe_dump(msgspec.to_builtins(found.settings), sort_keys=False).rstrip())


def _print_fields(context: click.Context, _option: click.Parameter, wanted: bool) -> None:  # noqa: FBT001  # click's own
    if not wanted:
        return
    show("settings of a deployment", ("setting", "allowed", "unit", "default", "meaning"), map(_plain, fields()))
    context.exit()


def _plain(told: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(part.replace("[", r"\[") for part in told)


@deployment.command("settings")
@click.argument("name")
@click.argument("file", type=FILE)
@click.option(
    "--fields", is_flag=True, is_eager=True, expose_value=False, callback=_print_fields, help="Show every setting."
)
@because
@as_json
def settings_of_deployment(name: str, file: Path, *, reason: str, json: bool) -> None:
    """Put the settings in the YAML FILE in place of the old ones.

    Of all of them: what it leaves out is as by default.
    """
    _order(connect_here(), name, ChangeSettings(read_settings(file)), reason, json=json)


@deployment.command("replace")
@click.argument("name")
@click.argument("digest")
@click.option("--reason", required=True, help="Why; it stays in the audit log.")
@as_json
def replace_of_deployment(name: str, digest: str, *, reason: str, json: bool) -> None:
    """Serve the package DIGEST as champion of NAME.

    Workers switch between two batches.
    """
    connection = connect_here()
    catalog = Catalog(connection)
    champion = package_of(catalog, digest).digest
    must_be(name, catalog.deployments, "deployment")
    challengers = catalog.deployments[name].challengers
    _order(connection, name, ReplaceModel(champion), reason, json=json)
    if not json:
        for model in challengers:
            left = "goes, as it is the champion now" if model.digest == champion else "stays"
            click.echo(f"challenger {_said(model)} {left}")
        click.echo("the former champion is no challenger by itself: `watchkeeper deployment challengers` names them")


@deployment.command("challengers")
@click.argument("name")
@click.argument("digests", nargs=-1, metavar="[DIGEST]...")
@because
@as_json
def challengers_of_deployment(name: str, digests: tuple[str, ...], *, reason: str, json: bool) -> None:
    """Shadow-score with these packages and no others.

    None at all ends the shadow.
    """
    connection = connect_here()
    catalog = Catalog(connection)
    wanted = tuple(package_of(catalog, digest).digest for digest in digests)
    _order(connection, name, SetChallengers(wanted), reason, json=json)


@deployment.command("schema")
@click.argument("name")
def schema_of_deployment(name: str) -> None:
    """The Avro schema of requests to NAME, with subject and id."""
    found = _deployment(connect_here(), name)
    say({"subject": subject(name), "id": request_schema_id(found), "schema": request_schema(found)})


@click.group(invoke_without_command=True)
@click.option("--entity", metavar="NAME", help="Of this deployment, or package (digest), only.")
@as_json
@click.pass_context
def audit(context: click.Context, *, entity: str | None, json: bool) -> None:
    """Who wanted what, when and why, and what became of it."""
    if context.invoked_subcommand:
        return
    found = [msgspec.json.decode(body, type=Audit) for body in _log(connect_here())]
    chosen = [one for one in found if entity is None or one.command.entity.startswith(entity)]
    if entity is not None and not chosen:
        must_be(entity, {one.command.entity for one in found}, "deployment or package")
    if json:
        say(chosen)
        return
    rows = (
        (
            one.sequence,
            when(one.at_ms),
            one.command.by,
            type(one.command.action).__name__,
            one.command.entity[: SHORT * 3],
            f"{one.before} -> {one.after}" if one.accepted else f"refused: {one.refusal}",
            one.command.reason,
        )
        for one in chosen
    )
    show("audit", ("#", "when (UTC)", "who", "what", "of", "revision", "why"), rows)


@audit.command("verify")
def verify_of_audit() -> None:
    """Whether the log is what was written.

    Each record holds the hash of the one before it.
    """
    bodies = list(_log(connect_here()))
    broken = verify_chain(bodies)
    if broken is not None:
        raise Ended(f"the audit log is not what was written from record {broken} on.")
    last = msgspec.json.decode(bodies[-1], type=Audit).hash if bodies else "none"
    click.echo(f"{len(bodies)} records, the chain holds; last hash {last}")
    click.echo("A log whose end was cut off holds too: compare the last hash with the one you noted.")


def _order(connection: Connection, name: str, action: Action, reason: str, *, json: bool) -> None:
    answer = order(connection, name, action, reason=reason)
    if json:
        say(answer)
    else:
        click.echo(f"{name}: revision {answer.before} -> {answer.after}, audit record {answer.sequence}")


def _deployment(connection: Connection, name: str) -> Deployment:
    known = Catalog(connection).deployments
    must_be(name, known, "deployment")
    return known[name]


def _log(connection: Connection) -> Iterator[bytes]:
    places = places_of(connection, Topic.AUDIT)
    for messages in read(connection, begins(connection, places), stops(connection, places)):
        for message in messages:
            yield message.value() or b""


def _said(model: Model) -> str:
    return f"{model.name} {model.version} ({model.digest[:SHORT]})"
