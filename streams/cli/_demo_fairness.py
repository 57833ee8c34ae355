"""What the demo found of fairness: what `watchkeeper fairness` says, as plain values with the models' names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.demo.fair import Fair, Ratio

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from monitors.fairness import Fairness
    from schemas.deployment import Deployment


def plain(found: Iterable[Fairness], deployment: Deployment, names: Mapping[str, str]) -> tuple[Fair, ...]:
    """One for each protected feature with all its models, in the order in which they are found."""
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
