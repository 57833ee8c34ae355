"""`watchkeeper calibration`: predicted against actual, for rows that were told alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from monitors.periods import Range
from monitors.predicted_actual import cells
from schemas.observation import Kind
from schemas.package import TargetType
from streams.cli import Ended
from streams.cli._shared import SHORT, Moment, as_json, must_be, say, show, views
from streams.cli._windows import EVER, reader_of

if TYPE_CHECKING:
    from monitors.predicted_actual import Cell
    from monitors.windows import Series


@click.command()
@click.argument("deployment")
@click.option("--model", default="", help="A model by the beginning of its digest; default: the champion.")
@click.option("--segment", default="", help='This segment only, as "country=PT"; default: all rows.')
@click.option("--from", "since", type=Moment(), help="Predictions made at this time or later.")
@click.option("--to", "until", type=Moment(), help="Predictions made before this time.")
@as_json
def calibration(deployment: str, *, model: str, segment: str, since: int | None, until: int | None, json: bool) -> None:
    """The mean prediction of DEPLOYMENT beside the mean actual, from the lowest predictions to the highest.

    Of all matched rows. Labels that come fast are not like those that come late: see `watchkeeper coverage`.
    """
    kept = views()
    deployments = kept.deployments()
    must_be(deployment, deployments, "deployment")
    digest = model.lower() or deployments[deployment].champion.digest

    def is_wanted(series: Series) -> bool:
        return series.kind is Kind.ACCURACY and series.segment == segment and series.model.startswith(digest)

    between = EVER[0] if since is None else since, EVER[1] if until is None else until
    buckets = reader_of(kept, deployments[deployment], wanted=is_wanted, between=between).buckets
    packages = kept.packages()
    known = [series for series in buckets.series if series.model in packages]
    if len(known) != 1:
        found = "nothing is known" if not known else f"{len(known)} models have a digest that begins so"
        raise Ended(f"{found} of what this asks for; `watchkeeper deployment show {deployment}` names the models.")
    package = packages[known[0].model]
    if package.target.type is TargetType.MULTICLASS:
        raise Ended(
            f"{deployment} predicts classes; `watchkeeper metrics {deployment}` has their precision and recall."
        )
    told = cells(buckets.total(known[0], Range(*between)), package)
    if json:
        say(told)
        return
    title = f"predicted against actual: {deployment}, {package.name} {package.version} ({package.digest[:SHORT]})"
    show(title, ("rows", "predicted (mean)", "actual (mean)", "95 % interval"), map(_row, told))


def _row(one: Cell) -> tuple[object, ...]:
    interval = "" if one.low is None or one.high is None else f"{one.low:.4g} to {one.high:.4g}"
    return f"{one.rows:,}", f"{one.predicted:.4g}", f"{one.actual:.4g}", interval
