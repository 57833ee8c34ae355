"""Fairness of one model over a range of time, read from its base buckets: every group, every metric, with the rates.

Rules:
- What needs predictions only is of all of them; what needs actuals is of those that are old enough for their outcomes
  to be in (`monitors.resolved`), in whole buckets, or of all, where none of any group is pending. Where some are and no
  prediction is old enough, it is `not_resolved`, not `empty`: outcomes may well be there.
- Definitions, intervals and statuses are those of the windows (`monitors.metrics.parity`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import msgspec

from monitors.delays_by_age import curve_of
from monitors.fair_holdout import holdout_tallies
from monitors.fair_windows import COMPARED, protected_feature, reference_of
from monitors.metrics.parity import QUANTITIES, Groups, fair_status, parity
from monitors.metrics.tallies import tally
from monitors.periods import Range
from monitors.resolved import resolved_cohort
from monitors.rollup import Buckets
from monitors.summary import Summary
from monitors.windows import Series, window_of
from schemas.deployment import Deployment, Settings
from schemas.observation import Kind, Reason, Status
from schemas.package import Package


class Group(msgspec.Struct, frozen=True):
    """One group: its answered rows, and of those that are old enough how many outcomes are in."""

    segment: str
    predicted: int
    expected: int
    matched: int
    coverage: float | None


class GroupParity(msgspec.Struct, frozen=True):
    """What a group gets (`rate`, over `n` rows) over what the group `reference` gets, as `value`, with 95 % intervals.

    `baseline` is the same ratio on holdout. Null exactly where `reason` says why, as in a metric.
    """

    metric: str
    segment: str
    reference: str
    n: int
    rate: float | None
    rate_low: float | None
    rate_high: float | None
    value: float | None
    low: float | None
    high: float | None
    baseline: float | None
    status: Status
    borderline: bool
    reason: Reason | None


class Fairness(msgspec.Struct, frozen=True):
    """One protected feature of one model. `resolved_until_ms`: predictions from before are old enough."""

    deployment: str
    model: str
    feature: str
    favourable: str
    fair_from: float
    start_ms: int
    end_ms: int
    resolved_until_ms: int
    groups: tuple[Group, ...]
    parities: tuple[GroupParity, ...]


def fairness(
    buckets: Buckets, model: str, *, deployment: Deployment, package: Package, as_of_ms: int
) -> Iterator[Fairness]:
    """Each protected feature that has groups in the buckets; `as_of_ms` is the newest event time."""
    settings = deployment.settings
    extent = buckets.extent()
    if extent is None:
        return
    old_ms = _resolved_until(buckets, model, settings, as_of_ms)
    for feature in settings.fairness.protected:
        found = {
            kind: [
                one
                for one in buckets.series
                if (one.kind, one.model) == (kind, model)
                and protected_feature(one.segment, settings.fairness) == feature
            ]
            for kind in COMPARED
        }
        if any(found.values()):
            yield _of_feature(buckets, found, feature, extent, old_ms, deployment, package)


def _resolved_until(buckets: Buckets, model: str, settings: Settings, as_of_ms: int) -> int:
    age_ms = settings.resolved_after_ms
    if not age_ms:
        rows = list(buckets.each(Series(Kind.ACCURACY, model, "")))
        cohort = resolved_cohort(rows, curve_of(rows, settings.bucket, as_of_ms), settings.bucket, as_of_ms)
        age_ms = settings.horizon_ms if cohort is None else cohort.age_ms
    return window_of(as_of_ms - age_ms, settings.bucket)[0]


def _of_feature(
    buckets: Buckets,
    found: dict[Kind, list[Series]],
    feature: str,
    extent: Range,
    old_ms: int,
    deployment: Deployment,
    package: Package,
) -> Fairness:
    declared = deployment.settings.fairness
    everything = {one.segment: buckets.total(one, extent) for one in found[Kind.ACCURACY]}
    if not any(tally(Kind.ACCURACY, one, package, declared).pending for one in everything.values()):
        old_ms = extent.end_ms
    old = {one.segment: buckets.total(one, Range(extent.start_ms, old_ms)) for one in found[Kind.ACCURACY]}
    asked = {one.segment: buckets.total(one, extent) for one in found[Kind.PREDICTIONS]}
    waits = bool(old) and old_ms < extent.end_ms and not any(one.count("expected") > 0 for one in old.values())
    holdout = holdout_tallies(package, feature, declared)
    compared = {}
    for kind, summaries in ((Kind.PREDICTIONS, asked), (Kind.ACCURACY, old)):
        tallies = {segment: tally(kind, one, package, declared) for segment, one in sorted(summaries.items())}
        compared[kind] = Groups("", tallies, reference_of(feature, declared), holdout)
    segments = sorted({*asked, *old})
    return Fairness(
        deployment.name,
        package.digest,
        feature,
        declared.favourable or package.target.classes[1],
        declared.fair_from,
        extent.start_ms,
        extent.end_ms,
        old_ms,
        tuple(_group(each, compared[Kind.PREDICTIONS], old.get(each, Summary())) for each in segments),
        tuple(
            _parity(name, each, compared[kind], declared.fair_from, waits=waits and kind is Kind.ACCURACY)
            for name, (kind, _) in QUANTITIES.items()
            for each in segments
        ),
    )


def _group(segment: str, asked: Groups, old: Summary) -> Group:
    predicted = asked.tallies[segment].predicted if segment in asked.tallies else 0
    expected, matched = max(old.count("expected"), 0), max(old.count("matched"), 0)
    return Group(segment, predicted, expected, matched, min(matched / expected, 1.0) if expected else None)


def _parity(name: str, segment: str, groups: Groups, fair_from: float, *, waits: bool) -> GroupParity:
    found = parity(replace(groups, segment=segment), QUANTITIES[name][1])
    judged, ratio, rate = fair_status(found.ratio, fair_from), found.ratio, found.rate
    return GroupParity(
        name,
        segment,
        found.reference,
        ratio.n,
        rate.value if rate else None,
        rate.low if rate else None,
        rate.high if rate else None,
        ratio.value,
        ratio.low,
        ratio.high,
        ratio.baseline,
        judged.status,
        judged.borderline,
        Reason.NOT_RESOLVED if waits else ratio.reason or judged.reason,
    )
