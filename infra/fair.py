"""Fairness as plain values: what each group of a protected feature gets, over what the reference group gets.

For the demo's summary (with `--json`) and the report. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from schemas.observation import Status

if TYPE_CHECKING:
    from collections.abc import Iterator

GIVEN = "proportional_parity"
"""How often a group is predicted what is favourable."""

DESERVED = "true_favourable_rate_parity"
"""How often it is predicted of those of the group for whom it came true."""

RIGHT = "favourable_predictive_value_parity"
"""How often it came true of those of the group for whom it was predicted."""

_AGAINST_OUTCOMES = {
    DESERVED: "of those of whom it came true, it says so",
    RIGHT: "where it says so, it came true",
}


class Ratio(msgspec.Struct, frozen=True):
    """What a group gets of a model (`rate`, over `n` rows) over what the reference gets, with its 95 % interval.

    `on_holdout` is the same ratio in training; null where the package has none. Null, too, where `reason` says why.
    """

    model: str
    metric: str
    group: str
    n: int
    rate: float | None
    ratio: float | None
    low: float | None
    high: float | None
    on_holdout: float | None
    status: str
    reason: str


class Fair(msgspec.Struct, frozen=True):
    """One protected feature; `favourable` as "target = class". A ratio from `fair_from` to its inverse is fair.

    The champion's ratios come first.
    """

    feature: str
    favourable: str
    reference: str
    fair_from: float
    ratios: tuple[Ratio, ...]

    def of(self, model: str, metric: str) -> Iterator[Ratio]:
        """One metric of one model, group by group."""
        return (one for one in self.ratios if (one.model, one.metric) == (model, metric))


def sentence(found: Fair, model: str) -> str:
    """Who is farthest from fair in what is predicted, and whether that was to be seen on holdout.

    Or that nobody surely is, and then what fails of predictions against outcomes.
    """
    deserved = {one.group: one for one in found.of(model, DESERVED)}
    given = [one for one in found.of(model, GIVEN) if one.status == Status.FAILING]
    unknown = [one.group for one in found.of(model, GIVEN) if one.status == Status.UNKNOWN]
    more = f" Of {', '.join(unknown)} there are too few rows." if unknown else ""
    if not given:
        limits = f"{found.fair_from:g} or more than {1 / found.fair_from:g}"
        fair = f"Of no group the model surely says {found.favourable} less than {limits} times as often"
        return f"{fair} as of {found.reference}{_otherwise_unfair(found, model)}.{more}"
    worst = min(given, key=lambda one: min(one.ratio or 0.0, 1 / (one.ratio or 1.0)))
    limit = found.fair_from if (worst.ratio or 0.0) < 1 else 1 / found.fair_from
    said = (
        f"Of {worst.group} the model says {found.favourable} in {worst.rate or 0.0:.1%} of rows, {worst.ratio:.2f} "
        f"times as often as of {found.reference}, where {limit:g} would be fair"
    )
    true = deserved.get(worst.group)
    if true is not None and true.ratio is not None:
        said += f"; of those of whom it came true in {true.rate or 0.0:.1%}, {true.ratio:.2f} times"
        if true.on_holdout is not None:
            said += f" ({true.on_holdout:.2f} on holdout)"
    return f"{said}.{more}"


def _otherwise_unfair(found: Fair, model: str) -> str:
    said = ""
    for metric, words in _AGAINST_OUTCOMES.items():
        failing = [one for one in found.of(model, metric) if one.status == Status.FAILING]
        if failing:
            said += f"; but {words} {' and '.join(map(_times, failing))}"
    return said


def _times(one: Ratio) -> str:
    before = "" if one.on_holdout is None else f" ({one.on_holdout:.2f} on holdout)"
    return f"{one.ratio or 0.0:.2f} times as often of {one.group}{before}"
