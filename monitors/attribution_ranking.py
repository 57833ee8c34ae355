"""What moves a model's predictions in one window, feature by feature, and who has risen or fallen since holdout."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from schemas.observation import Metric

SHARE, MEAN = "attribution_share", "attribution_mean"


class Ranked(msgspec.Struct, frozen=True):
    """A feature's share of all attribution, its 95 % interval, and its rank by it, from 1; on holdout where known.

    `mean`: in which direction it moves the predictions, in the target's unit or in log-odds.
    """

    feature: str
    share: float
    rank: int
    low: float | None = None
    high: float | None = None
    before: float | None = None
    rank_before: int | None = None
    mean: float | None = None


def ranked(metrics: Iterable[Metric]) -> list[Ranked]:
    """From the metrics of one window of one model, the heaviest feature first; empty where nothing is explained.

    Features of equal share come by name.
    """
    shares: dict[str, Metric] = {}
    means: dict[str, float | None] = {}
    for one in metrics:
        if one.metric == SHARE and one.value is not None:
            shares[one.feature] = one
        elif one.metric == MEAN:
            means[one.feature] = one.value
    now = _ranks({name: one.value or 0.0 for name, one in shares.items()})
    before = _ranks({name: one.baseline for name, one in shares.items() if one.baseline is not None})
    return [
        Ranked(
            feature,
            shares[feature].value or 0.0,
            rank,
            shares[feature].low,
            shares[feature].high,
            shares[feature].baseline,
            before.get(feature),
            means.get(feature),
        )
        for feature, rank in now.items()
    ]


def _ranks(shares: dict[str, float]) -> dict[str, int]:
    return {name: place + 1 for place, name in enumerate(sorted(shares, key=lambda one: (-shares[one], one)))}
