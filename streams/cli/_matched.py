"""What commands that lay predictions beside actuals read: one model's matched rows in a range, all together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from monitors.periods import Range
from monitors.windows import Series
from schemas.observation import Kind
from streams.cli import Ended
from streams.cli._shared import as_json, made_between, must_be, of_model, of_segment, views
from streams.cli._windows import EVER, reader_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitors.summary import Summary
    from schemas.deployment import Deployment
    from schemas.package import Package


def asks_for_matched(command: Callable[..., None]) -> Callable[..., None]:
    """With what `matched` has to know, and --json."""
    chosen = of_model(of_segment(made_between(as_json(command))))
    return click.argument("deployment")(chosen)


def matched(deployment: str, model: str, segment: str, asked: tuple[int | None, int | None]) -> tuple[Package, Summary]:
    """A model by the beginning of its digest ("": the champion), and its accuracy sums in the range; Ended."""
    kept = views()
    deployments = kept.deployments()
    must_be(deployment, deployments, "deployment")
    digest = model.lower() or deployments[deployment].champion.digest

    def is_wanted(series: Series) -> bool:
        return series.kind is Kind.ACCURACY and series.segment == segment and series.model.startswith(digest)

    since, until = asked
    between = EVER[0] if since is None else since, EVER[1] if until is None else until
    buckets = reader_of(kept, deployments[deployment], wanted=is_wanted, between=between).buckets
    packages = kept.packages()
    known = [series for series in buckets.series if series.model in packages]
    if not known and any(is_wanted(_series(name)) for name in kept.series(deployment)):
        raise Ended(f"nothing is known of what this asks for: {_unmatched(asked)}.")
    if not known and not segment and any(one.startswith(digest) for one in _models(deployments[deployment])):
        raise Ended(f"nothing is known of what this asks for: {_unmatched((None, None))}.")
    if len(known) != 1:
        found = "nothing is known" if not known else f"{len(known)} models have a digest that begins so"
        raise Ended(f"{found} of what this asks for; `watchkeeper deployment show {deployment}` names the models.")
    total = buckets.total(known[0], Range(*between))
    if total.count("matched") <= 0:
        raise Ended(f"nothing is known of what this asks for: {_unmatched(asked)}.")
    return packages[known[0].model], total


def _unmatched(asked: tuple[int | None, int | None]) -> str:
    return "no outcome is matched yet" if asked == (None, None) else "no outcome is matched in that range"


def _series(name: str) -> Series:
    kind, model, segment = name.split("|", 2)
    return Series(Kind(kind), model, segment)


def _models(deployment: Deployment) -> list[str]:
    return [one.digest for one in (deployment.champion, *deployment.challengers)]
