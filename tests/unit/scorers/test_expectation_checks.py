"""Settings that expect what cannot be are refused with a sentence that names them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from schemas.deployment import DAY_MS, ChangeDetector, Settings
from schemas.expectations import CallerField, CustomMetric, QualityLimits, Timeliness
from scorers.expectation_checks import expectations_fault


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"slow_ms": float("nan")}, "slow_ms is nan"),
        ({"challenger_margin": -0.1}, "challenger_margin is -0.1"),
        ({"resolved_after_ms": 400 * DAY_MS}, "resolved_after_ms is"),
        ({"detectors": (ChangeDetector.ADWIN, ChangeDetector.ADWIN)}, "names adwin twice"),
        ({"quality": QualityLimits(0.1, 0.1)}, "quality must rise"),
        ({"caller_segments": {CallerField.CONSUMER: ()}}, "names 0 values"),
        ({"caller_segments": {CallerField.CONSUMER: tuple(map(str, range(51)))}}, "names 51 values"),
        ({"caller_segments": {CallerField.CONSUMER: ("web", "web")}}, "names web twice"),
        ({"caller_segments": {CallerField.CONSUMER: ("other",)}}, "stands for what is not named"),
        ({"caller_segments": {CallerField.HOST_IP: ("10.0.0.1/8",)}}, "neither an address nor a network"),
        ({"caller_segments": {CallerField.CONSUMER: ("web",)}, "segments": ("consumer",)}, "a segment already"),
        ({"timeliness": Timeliness(predictions="1 hour")}, "timeliness.predictions: '1 hour' is no duration"),
        ({"timeliness": Timeliness(actuals="PT30S")}, "a minute or more"),
        ({"timeliness": Timeliness(allowance="P1M")}, "timeliness.allowance"),
        ({"custom_metrics": (CustomMetric("Cost"),)}, "no name for a custom metric"),
        ({"custom_metrics": (CustomMetric("cost"), CustomMetric("cost"))}, "the name cost"),
        ({"custom_metrics": (CustomMetric("cost", unit=0.0),)}, "unit is 0.0"),
        ({"custom_metrics": (CustomMetric("cost", unit=1.7e308),)}, "unit is 1.7e+308"),
        ({"custom_metrics": (CustomMetric("cost", unit=5e-324),)}, "unit is 5e-324"),
        ({"custom_metrics": (CustomMetric("cost", at_risk=float("inf")),)}, "finite"),
        ({"custom_metrics": (CustomMetric("cost", at_risk=2.0, failing=1.0),)}, "must be above at_risk"),
        ({"custom_metrics": (CustomMetric("cost", at_risk=1.0, failing=2.0, above=False),)}, "must be below at_risk"),
        ({"custom_metrics": tuple(CustomMetric(f"c{n}") for n in range(51))}, "51 custom metrics"),
    ],
)
def test_what_cannot_be_is_refused(settings: dict[str, Any], says: str) -> None:
    assert says in expectations_fault(Settings(**settings))


def test_what_can_be_is_not_refused_and_survives_the_wire() -> None:
    settings = Settings(
        caller_segments={CallerField.CONSUMER: ("web", "app"), CallerField.REMOTE_IP: ("10.0.0.0/8", "::1")},
        timeliness=Timeliness("PT1H", "P1D"),
        custom_metrics=(CustomMetric("cost", at_risk=1.0, failing=2.0), CustomMetric("stock", above=False)),
    )
    assert not expectations_fault(settings)
    assert msgspec.json.decode(msgspec.json.encode(settings), type=Settings) == settings


def test_settings_of_before_expect_nothing_special() -> None:
    assert not expectations_fault(msgspec.json.decode(b'{"bucket": "hour"}', type=Settings))
