"""`watchkeeper confusion`: the classes that were predicted beside those that came true."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from monitors.predicted_actual import confusion as confusion_of
from streams.cli import Ended
from streams.cli._matched import asks_for_matched, matched
from streams.cli._shared import SHORT, say, show

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitors.predicted_actual import Confusion


@click.command()
@asks_for_matched
def confusion(deployment: str, *, model: str, segment: str, since: int | None, until: int | None, json: bool) -> None:
    """Rows by the class that came true and the one predicted.

    Of all matched rows of DEPLOYMENT. Labels that come fast are not like those that come late: see `watchkeeper
    coverage`.
    """
    package, summary = matched(deployment, model, segment, (since, until))
    found = confusion_of(summary, package)
    if found is None:
        raise Ended(
            f"no matched row of {deployment} has a class; `watchkeeper calibration {deployment}` is of numbers."
        )
    if json:
        say(found)
        return
    title = f"rows by actual and predicted class: {deployment}, {package.name} {package.version}"
    columns = ("actual", *(f"said {name}" for name in found.classes), "rows", "said rightly")
    show(f"{title} ({package.digest[:SHORT]})", columns, _rows(found))


def _rows(found: Confusion) -> Iterator[tuple[object, ...]]:
    for place, (name, said) in enumerate(zip(found.classes, found.rows, strict=True)):
        every = sum(said)
        yield name, *(f"{rows:,}" for rows in said), f"{every:,}", f"{said[place] / every:.1%}" if every else ""
