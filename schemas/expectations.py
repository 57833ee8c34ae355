"""What a deployment is expected to be like besides its model: who calls, how clean, how fast, how often.

All of it is part of `schemas.deployment.Settings`, with defaults, so that a deployment of before these were there reads
as one that expects nothing special.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

CALLER_VALUES = 50
"""Most values of a caller's field, and of a feature, that metrics are split by; all others are "other"."""


CUSTOM = "custom"
"""The metric whose feature is the name of a custom metric."""


class CallerField(StrEnum):
    """What a request says of who asked."""

    CONSUMER = "consumer"
    HOST_IP = "host_ip"
    REMOTE_IP = "remote_ip"


class QualityLimits(msgspec.Struct, frozen=True):
    """From how far above the baseline's own rate a rate of bad values is at risk and failing (0.01: one point)."""

    at_risk: float = 0.01
    failing: float = 0.05


class Timeliness(msgspec.Struct, frozen=True):
    """How often predictions and actuals are expected: an ISO 8601 duration of fixed length ("PT1H"), or "" for never.

    Time is cut into slots of that length from 1970-01-01 on. What arrives up to `allowance` after a slot's end, while
    nothing came in it, is late; nothing by then is missed.
    """

    predictions: str = ""
    actuals: str = ""
    allowance: str = "PT10M"


class Aggregate(StrEnum):
    """What a custom metric's reports of a window come to.

    A gauge is the newest: the mean of the reports in the last sixtieth of a bucket that has one.
    """

    SUM = "sum"
    MEAN = "mean"
    GAUGE = "gauge"


class CustomMetric(msgspec.Struct, frozen=True):
    """A number that somebody reports: its name, how reports are put together, and where it is at risk and failing.

    With `above` false it is low values that are bad. `unit` is a number near the usual size of a report: sums are exact
    to 2^-33 of the power of two next above it, and a report beyond 2^37 of it is refused.
    """

    name: str
    aggregate: Aggregate = Aggregate.MEAN
    at_risk: float | None = None
    failing: float | None = None
    above: bool = True
    unit: float = 1.0
