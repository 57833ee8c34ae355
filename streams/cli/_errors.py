"""From what went wrong to a sentence for people and an exit code. Loaded only when something did."""

from __future__ import annotations

import redis
from confluent_kafka import KafkaException

from infra.artifacts import ArtifactError
from infra.local.errors import StackError
from infra.settings import NotRunningError, SettingsError
from infra.topics import LayoutError
from scorers.package import PackageError
from streams.cli import NO_ANSWER, Ended
from streams.client import Refused, Unanswered
from streams.exits import CannotGoOn
from streams.views import ViewBehind

_SAID_NO = (SettingsError, StackError, LayoutError, CannotGoOn, Refused, PackageError, ArtifactError)


def ended(error: Exception) -> Ended | None:
    """How a command ends by this error; None where it is a bug, which shows its traceback."""
    if isinstance(error, NotRunningError | Unanswered | ViewBehind):  # the first is a SettingsError too
        return Ended(error, NO_ANSWER)
    if isinstance(error, _SAID_NO):
        return Ended(error)
    if isinstance(error, KafkaException):
        return Ended(f"Kafka does not answer as it should: {error.args[0].str()}.", NO_ANSWER)
    if isinstance(error, redis.ConnectionError | redis.TimeoutError):
        return Ended(f"Redis does not answer: {error}. Its views are not needed for scoring.", NO_ANSWER)
    return None
