"""Whom a deployment must not treat worse: what `schemas.deployment.Settings` declares of fairness.

By default nothing is protected and nothing is compared. What is protected is split by already: metrics of fairness read
the summaries of segments and add nothing to what is counted.
"""

from __future__ import annotations

import msgspec

OTHER, MISSING = "other", "missing"
"""The values of a segment that stand for no one value."""


class Fairness(msgspec.Struct, frozen=True):
    """Between which groups which outcome is to be shared out alike.

    `protected`: features of `segments`, or fields of `caller_segments`, whose values are the groups. `favourable`: the
    class that is good for whom it is predicted; "" is the positive class of a binary target. `decision_threshold`: a
    binary score counts as positive from here on, where that is not the package's own threshold. `reference`: by
    protected feature the value that its groups are measured by; where there is none, each metric is measured by the
    group that it favours most. A ratio from `fair_from` to 1 / `fair_from` is fair.
    """

    protected: tuple[str, ...] = ()
    favourable: str = ""
    decision_threshold: float | None = None
    reference: dict[str, str] = {}
    fair_from: float = 0.8
