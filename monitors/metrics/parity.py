"""Fairness: what a group gets, over what the reference group gets (STATISTICS section 11).

The groups are the segments of one protected feature, in one window. Which outcome is favourable is declared. With
`f` favourable, each metric is a quantity of a group over that of the reference:

    proportional_parity                      P(predicted f)
    equal_parity                             how many are predicted f
    favourable_balance                       mean score of f given actual f
    unfavourable_balance                     mean score of f given actual not f
    true_favourable_rate_parity              P(predicted f | actual f)
    true_unfavourable_rate_parity            P(predicted not f | actual not f)
    favourable_predictive_value_parity       P(actual f | predicted f)
    unfavourable_predictive_value_parity     P(actual not f | predicted not f)

Rules:
- The reference is declared, or it is the group with the greatest quantity (of those with enough rows, and not what is
  "other" or "missing"), metric by metric. Of several groups the greatest is great by chance, too: a declared one is
  better. The reference's own ratio is 1, without an interval.
- A group needs 100 rows, and 30 of those that the quantity is a share or mean of; else `too_few_rows`.
- Metrics that need actuals have no value (`not_resolved`) until all predictions of the window are old enough that their
  outcomes should be in, or none of any group is pending: outcomes that come later for one group than for another look
  like unfairness. Each carries the coverage of its group.
- Intervals: Wilson's of each share (the score interval of a count, the delta method for a mean, its binning added), put
  together on the logarithmic scale (MOVER: Zou & Donner, Statistics in Medicine 2008).
- Status: fair from `fair_from` to its inverse. Unfair is failing where the interval is surely outside, else at risk and
  borderline; unknown where the interval holds the limit and is too wide to say more (section 3, on the log scale).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from math import exp, hypot, inf, log, sqrt

from monitors.metrics import targets
from monitors.metrics.intervals import Z, wilson
from monitors.metrics.protocol import Judgement, Metric, Value
from monitors.metrics.tallies import MeanScore, Tally
from monitors.summary import Summary
from schemas.deployment import Settings
from schemas.fairness import MISSING, OTHER
from schemas.observation import Kind, Reason, Status
from schemas.package import Package

LEAST_ROWS = 100
LEAST_OF_CLASS = 30

_WIDEST = 50.0  # natural logarithm: an interval wider than this says nothing


@dataclass(frozen=True, slots=True)
class Groups:
    """The groups of a protected feature by segment ("sex=f"), in one window of one model.

    `segment` is the one that is asked about; `reference` the declared one, "" for none. `holdout`: the same groups on
    holdout, where the package has them. `resolved`: whether outcomes are taken to be in.
    """

    segment: str
    tallies: Mapping[str, Tally]
    reference: str = ""
    holdout: Mapping[str, Tally] | None = None
    resolved: bool = True


@dataclass(frozen=True, slots=True)
class Rate:
    """What a group gets, with its 95 % interval, over `n` rows."""

    value: float
    low: float
    high: float
    n: int


Quantity = Callable[[Tally], Rate | None]


@dataclass(frozen=True, slots=True)
class Parity:
    """A ratio, with the rates that it is of and the segment that it is measured by; None, "" where there is none."""

    ratio: Value
    rate: Rate | None
    reference: str = ""


def proportion(hits: int, n: int) -> Rate | None:
    """A share of rows with Wilson's interval; None of too few rows."""
    return Rate(hits / n, *wilson(hits, n), n) if n >= LEAST_OF_CLASS else None


def amount(rows: int, n: int) -> Rate | None:
    """A number of rows as a Poisson mean with its score interval, which for parts of the same rows is the right one."""
    if n < LEAST_OF_CLASS:
        return None
    middle, reach = rows + Z * Z / 2, Z * sqrt(rows + Z * Z / 4)
    return Rate(float(rows), max(middle - reach, 0.0), middle + reach, n)


def mean_score(score: MeanScore) -> Rate | None:
    """A mean of scores; its interval is even on the logarithmic scale, so that it stays above 0, and ends at 1."""
    if score.n < LEAST_OF_CLASS or not score.value:
        return None
    reach = exp(min((Z * score.sd / sqrt(score.n) + score.reach) / score.value, _WIDEST))
    return Rate(score.value, score.value / reach, min(score.value * reach, 1.0), score.n)


def ratio(group: Rate, reference: Rate) -> tuple[float, float, float]:
    """The ratio of two independent rates and its 95 % interval; the reference must be above 0.

    >>> score, low, high = ratio(proportion(300, 1000), proportion(450, 1000))  # the example of STATISTICS section 11
    >>> f"{score:.3f} [{low:.3f}, {high:.3f}]"
    '0.667 [0.593, 0.749]'
    """
    value = group.value / reference.value
    if not value:
        return 0.0, 0.0, group.high / reference.value
    up = hypot(log(group.high / group.value), log(reference.value / reference.low))
    if not group.low:
        return value, 0.0, value * exp(up)
    down = hypot(log(group.value / group.low), log(reference.high / reference.value))
    return value, value * exp(-down), value * exp(up)


def parity(groups: Groups, quantity: Quantity) -> Parity:
    """One group against the reference, whatever is resolved."""
    mine = groups.tallies.get(groups.segment, Tally())
    rates = {segment: rate for segment, one in groups.tallies.items() if (rate := _rate(one, quantity))}
    baseline = _on_holdout(groups, quantity)
    rate = rates.get(groups.segment)
    reference = groups.reference or _most_favoured(rates)
    if rate is None or reference not in rates:
        reason = Reason.TOO_FEW_ROWS if mine.predicted else Reason.EMPTY
        return Parity(Value(None, n=rate.n if rate else mine.predicted, baseline=baseline, reason=reason), rate)
    if groups.segment == reference:
        return Parity(Value(1.0, n=rate.n, baseline=baseline), rate, reference)
    if not rates[reference].value:
        value = Value(None, n=rate.n, baseline=baseline, reason=Reason.ZERO_DENOMINATOR)
        return Parity(value, rate, reference)
    return Parity(Value(*ratio(rate, rates[reference]), rate.n, baseline), rate, reference)


def _rate(of: Tally, quantity: Quantity) -> Rate | None:
    return quantity(of) if of.predicted >= LEAST_ROWS else None


def _most_favoured(rates: Mapping[str, Rate]) -> str:
    """Of those alike the first by name."""
    named = [segment for segment in sorted(rates) if segment.partition("=")[2] not in {OTHER, MISSING}]
    return max(named, key=lambda segment: rates[segment].value, default="")


def _on_holdout(groups: Groups, quantity: Quantity) -> float | None:
    if groups.holdout is None:
        return None
    return parity(replace(groups, tallies=groups.holdout, holdout=None), quantity).ratio.value


def fair_status(value: Value, fair_from: float) -> Judgement:
    """The status of a ratio; see the rules above.

    >>> fair_status(Value(0.667, 0.593, 0.749), 0.8)
    Judgement(status=<Status.FAILING: 'failing'>, borderline=False, reason=None)
    >>> fair_status(Value(0.667, 0.461, 0.964), 0.8)  # the same of 100 rows each
    Judgement(status=<Status.UNKNOWN: 'unknown'>, borderline=False, reason=<Reason.TOO_FEW_ROWS: 'too_few_rows'>)
    """
    if value.value is None:
        return Judgement(Status.UNKNOWN, reason=value.reason)
    low = value.value if value.low is None else value.low
    high = value.value if value.high is None else value.high
    borderline = any(low <= limit <= high for limit in (fair_from, 1 / fair_from))
    error = (log(high / low) if low > 0 else inf) / (2 * Z)
    if borderline and error > -log(fair_from) / 3:
        return Judgement(Status.UNKNOWN, reason=Reason.TOO_FEW_ROWS)
    if fair_from <= value.value <= 1 / fair_from:
        return Judgement(Status.PASSING, borderline)
    return Judgement(Status.AT_RISK if borderline else Status.FAILING, borderline)


def _judge(value: Value, feature: str, settings: Settings, closed: bool) -> Judgement:  # noqa: FBT001  # as every judge
    del feature, closed
    return fair_status(value, settings.fairness.fair_from)


QUANTITIES: dict[str, tuple[Kind, Quantity]] = {
    "proportional_parity": (Kind.PREDICTIONS, lambda one: proportion(one.favoured, one.predicted)),
    "equal_parity": (Kind.PREDICTIONS, lambda one: amount(one.favoured, one.predicted)),
    "favourable_balance": (Kind.ACCURACY, lambda one: mean_score(one.score_if)),
    "unfavourable_balance": (Kind.ACCURACY, lambda one: mean_score(one.score_unless)),
    "true_favourable_rate_parity": (Kind.ACCURACY, lambda one: proportion(one.hits, one.hits + one.misses)),
    "true_unfavourable_rate_parity": (
        Kind.ACCURACY,
        lambda one: proportion(one.rejections, one.rejections + one.false_alarms),
    ),
    "favourable_predictive_value_parity": (
        Kind.ACCURACY,
        lambda one: proportion(one.hits, one.hits + one.false_alarms),
    ),
    "unfavourable_predictive_value_parity": (
        Kind.ACCURACY,
        lambda one: proportion(one.rejections, one.rejections + one.misses),
    ),
}
"""By metric: what summaries its tallies are of, and what is compared."""


def _alone(summary: Summary, package: Package, feature: str = "") -> Value:
    """Of one summary there is nothing to compare."""
    del summary, package, feature
    return Value(None, reason=Reason.NOT_APPLICABLE)


def _among(name: str, groups: Groups) -> Value:
    kind, quantity = QUANTITIES[name]
    found = parity(groups, quantity).ratio
    if kind is Kind.ACCURACY and not groups.resolved and found.reason is None:
        return replace(found, value=None, low=None, high=None, reason=Reason.NOT_RESOLVED)
    return found


METRICS = tuple(
    Metric(name, kind, targets.classification, _alone, judge=_judge, among=partial(_among, name))
    for name, (kind, _) in QUANTITIES.items()
)
