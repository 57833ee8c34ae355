"""The fairness reference of a package: what its model gave each group on holdout.

Kept are the vectors of the groups' summaries that fairness reads (`monitors.metrics.tallies`), so that the same holdout
answers for whatever a deployment declares favourable, at any threshold.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from monitors.folds.outcomes import fold_outcomes
from monitors.folds.terms import AGAINST_REST
from monitors.metrics.tallies import Tally, tally
from monitors.summary import Summary
from schemas.deployment import Span
from schemas.fairness import Fairness
from schemas.observation import Kind
from schemas.package import Package

_READ = ("matched", "confusion", "positives", "negatives")


def holdout_groups(outcomes: pl.DataFrame, package: Package) -> dict[str, bytes]:
    """Encoded summaries by segment, of holdout as outcomes with segments (`monitors.baseline.holdout_outcomes`)."""
    folded = fold_outcomes(outcomes, {"": package}, Span.DAY)
    return {
        segment: Summary({name: counts for name, counts in found.counts.items() if _is_read(name)}).encode()
        for (kind, _, segment, _), found in sorted(folded.items())
        if kind is Kind.ACCURACY and segment
    }


def holdout_tallies(package: Package, feature: str, fairness: Fairness) -> Mapping[str, Tally] | None:
    """The tallies of a feature's groups on holdout by segment; None where the package has none of it."""
    found = {
        segment: tally(Kind.ACCURACY, Summary.decode(body), package, fairness)
        for segment, body in package.baseline.groups.items()
        if segment.partition("=")[0] == feature
    }
    return found or None


def _is_read(name: str) -> bool:
    return name in _READ or name.startswith(AGAINST_REST)
