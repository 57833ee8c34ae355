"""`watchkeeper calibration`: predicted against actual, for rows that were told alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from monitors.predicted_actual import cells
from schemas.package import TargetType
from streams.cli import Ended
from streams.cli._matched import asks_for_matched, matched
from streams.cli._shared import SHORT, say, show

if TYPE_CHECKING:
    from monitors.predicted_actual import Cell


@click.command()
@asks_for_matched
def calibration(deployment: str, *, model: str, segment: str, since: int | None, until: int | None, json: bool) -> None:
    """Mean predictions beside mean actuals, from low to high.

    Of all matched rows of DEPLOYMENT. Labels that come fast are not like those that come late: see `watchkeeper
    coverage`.
    """
    package, summary = matched(deployment, model, segment, (since, until))
    if package.target.type is TargetType.MULTICLASS:
        raise Ended(
            f"{deployment} predicts classes; `watchkeeper confusion {deployment}` lays them beside actual ones."
        )
    told = cells(summary, package)
    if json:
        say(told)
        return
    title = f"predicted against actual: {deployment}, {package.name} {package.version} ({package.digest[:SHORT]})"
    show(title, ("rows", "predicted (mean)", "actual (mean)", "95 % interval"), map(_row, told))


def _row(one: Cell) -> tuple[object, ...]:
    interval = "" if one.low is None or one.high is None else f"{one.low:.4g} to {one.high:.4g}"
    return f"{one.rows:,}", f"{one.predicted:.4g}", f"{one.actual:.4g}", interval
