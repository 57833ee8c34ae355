"""Where `watchkeeper forget` says that copies stay."""

from __future__ import annotations

from schemas.topics import Topic
from streams.cli.forget import COPIES

OF_NO_ROW = {
    Topic.CUSTOM_METRICS,
    Topic.METRICS,
    Topic.VERDICTS,
    Topic.DETECTIONS,
    Topic.DIAGNOSES,
    Topic.ALERTS,
    Topic.TRIGGERS,
    Topic.GOVERNANCE,
    Topic.AUDIT,
    Topic.DEPLOYMENTS,
    Topic.PACKAGES,
    Topic.SWITCHES,
    Topic.HEARTBEATS,
}
"""Topics whose records are of deployments, windows or workers."""


def test_every_topic_that_may_have_something_of_one_row_is_named() -> None:
    assert set(Topic) - OF_NO_ROW == set(COPIES)
