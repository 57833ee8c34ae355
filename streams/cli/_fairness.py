"""What groups of protected features get, read from the views' base buckets: for `fairness`, the report, the demo."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitors.fair_windows import COMPARED, protected_feature
from monitors.fairness import fairness
from streams.cli._windows import EVER, reader_of, watermark_of

if TYPE_CHECKING:
    from infra.views import Views
    from monitors.fairness import Fairness
    from monitors.windows import Series
    from schemas.deployment import Deployment


def shared_out(
    kept: Views, deployment: Deployment, *, model: str = "", between: tuple[int, int] = EVER
) -> list[Fairness]:
    """Each protected feature of the models whose digests begin so; the champion first. Between two times, in ms."""
    declared = deployment.settings.fairness

    def is_read(series: Series) -> bool:
        is_group = not series.segment or protected_feature(series.segment, declared)
        return series.kind in COMPARED and series.model.startswith(model) and bool(is_group)

    as_of_ms = watermark_of(kept, deployment.name)
    if as_of_ms is None or not declared.protected:
        return []
    buckets = reader_of(kept, deployment, wanted=is_read, definitions=(), between=between).buckets
    packages = kept.packages()
    models = {series.model for series in buckets.series} & packages.keys()
    return [
        one
        for digest in sorted(models, key=lambda digest: (digest != deployment.champion.digest, digest))
        for one in fairness(buckets, digest, deployment=deployment, package=packages[digest], as_of_ms=as_of_ms)
    ]
