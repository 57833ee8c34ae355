"""`watchkeeper triggers`: what programs were asked to do with a deployment, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from schemas.trigger import TriggerAction, TriggerPhase
from streams.cli._shared import SHORT, as_json, must_be, say, show, views, when

if TYPE_CHECKING:
    from schemas.trigger import Trigger


@click.command()
@click.argument("deployment")
@as_json
def triggers(deployment: str, *, json: bool) -> None:
    """What programs were asked to do: retrain, roll back, pause.

    Those for DEPLOYMENT, the oldest first. The setting `triggers` says when. Programs read them from the topic
    `triggers`; nothing here acts on them. `export --trigger ID` writes the data that a retraining is to use.
    """
    kept = views()
    deployments = kept.deployments()
    must_be(deployment, deployments, "deployment")
    found = kept.triggers(deployment)
    if json:
        say(found)
        return
    columns = ("id", "at (UTC)", "trigger", "asks to", "predictions to train on (UTC)", "why")
    is_on = deployments[deployment].settings.triggers
    why_none = "" if is_on else "there are no rules: give some in `triggers` of its settings"
    show(f"{deployment}: triggers", columns, map(_row, found), why_none)


def _row(one: Trigger) -> tuple[object, ...]:
    retracted = one.phase is TriggerPhase.RETRACTED
    asks = f"[strike]{one.action}[/] retracted" if retracted else str(one.action)
    if one.action is TriggerAction.ROLLBACK and one.previous:
        asks += f" to {one.previous[:SHORT]}"
    data = ""
    if one.train_from_ms is not None and one.train_until_ms is not None:
        data = f"{when(one.train_from_ms)} to {when(one.train_until_ms)}"
    return one.id[:SHORT], when(one.at_ms), one.name, asks, data, "; ".join(ground.text for ground in one.grounds)
