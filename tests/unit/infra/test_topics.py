"""What is said of the topics' configuration."""

from __future__ import annotations

import pytest

from infra.topics import BOUNDS, bounds
from schemas.topics import SPECS, Topic

ASKED = {"message.timestamp.after.max.ms": "300000", "max.message.bytes": str(4 << 20)}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, []),
        ({"message.timestamp.after.max.ms": "1000"}, []),
        ({"max.message.bytes": str(8 << 20)}, []),
        (
            {"message.timestamp.after.max.ms": "360000"},
            ["has message.timestamp.after.max.ms 360000, 300000 is asked: timestamps further ahead of the broker pass"],
        ),
        (
            {"max.message.bytes": "1048588"},
            ["has max.message.bytes 1048588, 4194304 is asked: larger records are refused by the broker"],
        ),
    ],
)
def test_a_topic_that_takes_more_or_less_than_asked_is_said_and_stops_nobody(
    changed: dict[str, str], said: list[str]
) -> None:
    findings = bounds("requests", SPECS[Topic.REQUESTS], ASKED | changed)
    assert [one.text for one in findings] == said
    assert not any(one.fatal for one in findings)


def test_what_a_broker_does_not_tell_and_what_a_topic_does_not_ask_is_not_judged() -> None:
    assert bounds("requests", SPECS[Topic.REQUESTS], {}) == []
    assert bounds("metrics", SPECS[Topic.METRICS], dict.fromkeys(BOUNDS, "1")) == []


def test_clocks_ahead_are_bounded_where_applications_write_and_nowhere_else() -> None:
    bounded = {topic for topic, spec in SPECS.items() if "message.timestamp.after.max.ms" in spec.config}
    assert bounded == {Topic.REQUESTS, Topic.ACTUALS, Topic.CUSTOM_METRICS}
    assert not any("before" in key for spec in SPECS.values() for key in spec.config)  # a history may be replayed
