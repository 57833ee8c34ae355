"""`watchkeeper verify` and `watchkeeper rebuild`: is a role's table what its input makes of nothing; make it anew."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING

import click
import msgspec

from schemas.observation import Heartbeat
from schemas.topics import Topic
from streams.cli import Ended
from streams.cli._decoding import key_text
from streams.cli._shared import as_json, load, say
from streams.cli._verification import VERIFIED, Finding
from streams.connection import connect
from streams.views import TopicView

if TYPE_CHECKING:
    from collections.abc import Iterable

    from streams.connection import Connection

SHOWN = 10
CHANGELOGS = {"joiner": Topic.JOIN_CHANGELOG, "evaluator": Topic.WINDOWS_CHANGELOG}
SILENT_MS = 10_000


@click.command()
@click.argument("role", type=click.Choice(sorted(VERIFIED)))
@as_json
def verify(*, role: str, json: bool) -> None:
    """Compare the tables of ROLE with a fresh fold of its input.

    Exit code 1 where they differ. Reads the changelog and the input into memory and changes nothing. Workers may run;
    between batches is best.
    """
    finding = VERIFIED[role](connect(load()))
    if json:
        say(_plain(finding))
    else:
        _print(finding)
    if not finding.holds:
        raise SystemExit(1)


@click.command()
@click.argument("role", type=click.Choice(sorted(CHANGELOGS)))
@click.option("--yes", is_flag=True, help="Do not ask.")
def rebuild(*, role: str, yes: bool) -> None:
    """Remove this machine's local stores of ROLE.

    Its workers restore them from the changelog when they start. The truth is the changelog, which is not touched, so
    nothing can be lost. Stop the workers of ROLE first. To compute tables anew from the input instead, use a new prefix
    and replay: docs/operations.md says how.
    """
    settings = load()
    folder = settings.home / "state" / settings.prefix / role
    if alive := _alive(connect(settings), role):
        raise Ended(f"{', '.join(alive)} runs: stop it first, or its store is removed under its feet.")
    stores = sorted(path for path in folder.glob("*/*") if path.is_dir())
    if not stores:
        click.echo(f"{role}: no local stores in {folder}; its tables are restored from the changelog anyway")
        return
    click.echo(f"{role}: {len(stores)} local stores in {folder}, restored from {CHANGELOGS[role]} at the next start")
    if not yes:
        click.confirm("Remove them?", abort=True)
    for path in stores:
        shutil.rmtree(path)
    click.echo("removed")


def _alive(connection: Connection, role: str) -> list[str]:
    view = TopicView(connection, Topic.HEARTBEATS, _decode)
    view.close()
    now_ms = time.time_ns() // 1_000_000
    said = [one for one in view.rows.values() if one.role == role and now_ms - one.at_ms < SILENT_MS]
    return sorted(f"{one.role}/{one.worker}" for one in said)


def _decode(body: bytes) -> Heartbeat:
    return msgspec.json.decode(body, type=Heartbeat)


def _plain(finding: Finding) -> dict[str, object]:
    groups = ("different", "only_in_table", "only_in_replay")
    counts = {name: getattr(finding, name) for name in ("equal", "expired", "records", "warnings")}
    return {"role": finding.role, "holds": finding.holds, **counts} | {
        name: _keys(finding, getattr(finding, name)) for name in groups
    }


def _keys(finding: Finding, places: Iterable[tuple[int, bytes]]) -> list[dict[str, object]]:
    topic = CHANGELOGS.get(finding.role, Topic.AUDIT)
    return [{"partition": number, "key": key_text(topic, key)} for number, key in places]


def _print(finding: Finding) -> None:
    for text in finding.warnings:
        click.secho(f"warning: {text}", fg="yellow", err=True)
    said = "holds" if finding.holds else "DIFFERS"
    click.echo(f"{finding.role}: {said}; {finding.equal:,} keys equal, folded from {finding.records:,} records")
    if finding.expired:
        click.echo(f"{finding.expired:,} keys beyond their horizon are left out: when they are swept is the clock's")
    for name, places in (
        ("different", finding.different),
        ("only in the table", finding.only_in_table),
        ("only in the fold", finding.only_in_replay),
    ):
        for one in _keys(finding, places[:SHOWN]):
            click.echo(f"  {name}: partition {one['partition']} {one['key']}")
        if len(places) > SHOWN:
            click.echo(f"  {name}: {len(places) - SHOWN:,} more")
