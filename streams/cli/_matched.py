"""What commands that lay predictions beside actuals read: one model's matched rows in a range, all together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitors.periods import Range
from schemas.observation import Kind
from streams.cli import Ended
from streams.cli._shared import must_be, views
from streams.cli._windows import EVER, reader_of

if TYPE_CHECKING:
    from monitors.summary import Summary
    from monitors.windows import Series
    from schemas.package import Package


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
    if len(known) != 1:
        found = "nothing is known" if not known else f"{len(known)} models have a digest that begins so"
        raise Ended(f"{found} of what this asks for; `watchkeeper deployment show {deployment}` names the models.")
    return packages[known[0].model], buckets.total(known[0], Range(*between))
