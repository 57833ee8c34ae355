"""The three questions that the demo's deployments answer, each of the same bookings."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from infra.demo.bookings import FEATURES
from schemas.package import Feature, Target, TargetType


class Wire(StrEnum):
    """How an application writes its requests and outcomes."""

    JSON = "json"
    AVRO = "avro"


@dataclass(frozen=True, slots=True)
class Question:
    """A deployment as an application sees it. `truth` is the column of the bookings with the outcome."""

    deployment: str
    target: Target
    truth: str
    features: tuple[Feature, ...]
    wire: Wire


CANCELLATION = Question(
    "booking-cancellation",
    Target("is_canceled", TargetType.BINARY, classes=("false", "true")),
    "is_canceled",
    FEATURES,
    Wire.JSON,
)
PRICE = Question(
    "booking-price",
    Target("adr", TargetType.REGRESSION),
    "adr",
    tuple(feature for feature in FEATURES if feature.name != "adr"),
    Wire.AVRO,
)
OUTCOME = Question(
    "booking-outcome",
    Target("reservation_status", TargetType.MULTICLASS, classes=("Canceled", "Check-Out", "No-Show")),
    "reservation_status",
    FEATURES,
    Wire.AVRO,
)
QUESTIONS = (CANCELLATION, PRICE, OUTCOME)
