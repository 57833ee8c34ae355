"""`watchkeeper export`: labelled rows to a Parquet file, features beside what came true, to train the next model on."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from schemas.topics import DAY_MS, FOREVER, SPECS, Topic
from schemas.trigger import TriggerPhase
from streams.cli import Ended
from streams.cli._exporting import Gathering, Pace, begins_at, written
from streams.cli._shared import SHORTEST, Moment, as_json, connection, must_be, say, views, when
from streams.labelled import LabelledRows
from streams.tables import DiskStore

if TYPE_CHECKING:
    from schemas.trigger import Trigger

EVER_MS = 1 << 60


class Exported(msgspec.Struct, frozen=True):
    """What was written, and how many labelled rows were not: their request has gone, their actual is no class."""

    deployment: str
    file: str
    since_ms: int | None
    until_ms: int | None
    rows: int
    requests_gone: int
    invalid_actuals: int
    columns: dict[str, str]


@click.command()
@click.argument("deployment")
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The Parquet file.")
@click.option("--from", "since", type=Moment(), help="Predictions made from this time on, UTC.")
@click.option("--to", "until", type=Moment(), help="Predictions made before this time, UTC.")
@click.option("--trigger", "asked", metavar="ID", help="The data that this trigger asks to train on.")
@click.option("--features/--no-features", default=True, help="With what was asked; without, requests are not read.")
@click.option("--all-models", is_flag=True, help="With what every model said, challengers too.")
@as_json
def export(
    *,
    deployment: str,
    out: Path,
    since: int | None,
    until: int | None,
    asked: str | None,
    features: bool,
    all_models: bool,
    json: bool,
) -> None:
    """Write labelled rows to a Parquet file, to train on.

    Features, prediction and actual of each, in the order of time. Read from the retained topics as far as the joiner
    has come: corrections count, what was withdrawn or is forgotten is not there. Beside the file there must be room for
    the rows once more, in the form that they have on the topics.
    """
    kept = views()
    deployments = kept.deployments()
    must_be(deployment, deployments, "deployment")
    if asked is not None:
        if since is not None or until is not None:
            raise click.UsageError("a trigger says from when to when: leave out --from and --to.")
        since, until = _range_of(_trigger(kept.triggers(deployment), asked))
    if not out.parent.is_dir():
        raise Ended(f"there is no folder {out.parent} to write to.")
    there, chosen = connection(), deployments[deployment]
    between = -EVER_MS if since is None else since, EVER_MS if until is None else until
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as folder, Pace() as pace:
        store = DiskStore(Path(folder) / "rows")
        try:
            rows = LabelledRows(store, chosen, *between, features=features, all_models=all_models)
            gathering = Gathering(there, pace, begins_at(between[0], chosen.settings))
            gathering.read(Topic.OUTCOMES, rows.take_outcomes)
            rows.settle()
            if features:
                gathering.read(Topic.REQUESTS, rows.take_requests)
            schema, count = written(rows, Path(folder), out, pace)
        finally:
            store.close()
    done = Exported(deployment, str(out), since, until, count, rows.gone, rows.invalid, schema)
    if json:
        say(done)
        return
    _tell(done, gathering.cut)


def _trigger(known: list[Trigger], begins: str) -> Trigger:
    """The trigger by the beginning of its id."""
    found = [one for one in known if one.id.startswith(begins.lower())]
    if len(begins) < SHORTEST or len(found) > 1:
        raise Ended(f"{begins} is too short to name one trigger; `watchkeeper triggers` shows the ids.")
    if not found:
        raise Ended(f"there is no trigger {begins}; `watchkeeper triggers` shows the ids.")
    return found[0]


def _range_of(trigger: Trigger) -> tuple[int, int]:
    if trigger.train_from_ms is None or trigger.train_until_ms is None:
        raise Ended(f"trigger {trigger.id} asks to {trigger.action}: it names no data to train on.")
    if trigger.phase is TriggerPhase.RETRACTED:
        click.echo(f"trigger {trigger.id} was retracted; its data is exported all the same.", err=True)
    return trigger.train_from_ms, trigger.train_until_ms


def _tell(done: Exported, cut: list[Topic]) -> None:
    since = "the beginning" if done.since_ms is None else f"{when(done.since_ms)} UTC"
    until = "now" if done.until_ms is None else f"{when(done.until_ms)} UTC"
    click.echo(
        f"{done.file}: {done.rows:,} labelled rows of {done.deployment}, predictions from {since} to {until}; "
        f"{len(done.columns)} columns"
    )
    if done.requests_gone:
        click.echo(
            f"{done.requests_gone:,} labelled rows are left out: their requests have gone ({_kept(Topic.REQUESTS)}). "
            "`--no-features` writes them without."
        )
    if done.invalid_actuals:
        click.echo(f"{done.invalid_actuals:,} rows are left out: their actual is no class, or no number.")
    if Topic.OUTCOMES in cut:
        click.echo(f"Older outcomes have gone ({_kept(Topic.OUTCOMES)}): rows that were labelled then are not there.")


def _kept(topic: Topic) -> str:
    kept_ms = SPECS[topic].retention_ms
    return f"the topic {topic} keeps them " + (
        "for ever" if kept_ms == FOREVER else f"{kept_ms // DAY_MS} d by default"
    )
