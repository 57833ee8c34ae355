"""What groups of protected features get, read from the views' base buckets: for `fairness`, the report, the demo."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.fair import Fair, Ratio
from monitors.fair_windows import COMPARED, protected_feature
from monitors.fairness import fairness
from streams.cli._windows import EVER, reader_of, watermark_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

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


def plain(found: Iterable[Fairness], deployment: Deployment, names: Mapping[str, str]) -> tuple[Fair, ...]:
    """As plain values with the models' names: one for each protected feature, its models in the order given."""
    by_feature: dict[str, list[Fairness]] = {}
    for one in found:
        by_feature.setdefault(one.feature, []).append(one)
    return tuple(
        Fair(
            feature,
            f"{deployment.target.name} = {models[0].favourable}",
            deployment.settings.fairness.reference.get(feature, "the group that gets most"),
            models[0].fair_from,
            tuple(ratio for one in models for ratio in _ratios(one, names.get(one.model, one.model))),
        )
        for feature, models in by_feature.items()
    )


def _ratios(one: Fairness, model: str) -> Iterable[Ratio]:
    for each in one.parities:
        yield Ratio(
            model,
            each.metric,
            each.segment.partition("=")[2],
            each.n,
            each.rate,
            each.value,
            each.low,
            each.high,
            each.baseline,
            each.status.value,
            each.reason.value if each.reason else "",
        )
