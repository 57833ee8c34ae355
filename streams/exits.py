"""How a worker ends: exit codes that tell the supervisor what a restart can mend."""

from __future__ import annotations

import asyncio
import logging
import os
from enum import IntEnum
from typing import NoReturn

from confluent_kafka import KafkaError, KafkaException

log = logging.getLogger("watchkeeper")


class Exit(IntEnum):
    """Why a worker ended. FENCED and LAYOUT are not mended by a restart; the others are."""

    DONE = 0
    CRASH = 70
    KAFKA = 75
    FENCED = 77
    LAYOUT = 78


class Fenced(RuntimeError):
    """Another worker has this worker's name: this one must end and stay ended."""


class OutcomeUnknown(RuntimeError):
    """Whether the transaction was committed cannot be known here; only a new start can tell."""


class Stuck(RuntimeError):
    """There was something to do, and nothing was done for too long."""


def leave(error: BaseException) -> NoReturn:
    """End the process at once: staged state must not be used again, and the log is the truth."""
    if isinstance(error, asyncio.CancelledError):
        raise error
    code = exit_code(error)
    log.critical("worker ends with exit code %d (%s)", code, code.name, exc_info=error)
    logging.shutdown()
    os._exit(code)


def exit_code(error: BaseException) -> Exit:
    """What the supervisor is told.

    >>> exit_code(Fenced("a twin")).name, exit_code(KeyError("a bug")).name
    ('FENCED', 'CRASH')
    """
    if isinstance(error, Fenced):
        return Exit.FENCED
    if isinstance(error, KafkaException):
        fenced = error.args[0].code() == KafkaError.FENCED_INSTANCE_ID
        return Exit.FENCED if fenced else Exit.KAFKA
    return Exit.KAFKA if isinstance(error, OutcomeUnknown | Stuck | TimeoutError) else Exit.CRASH
