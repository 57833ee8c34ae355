"""How a worker ends: exit codes that tell the supervisor what a restart can mend."""

from __future__ import annotations

import asyncio
import logging
import os
from enum import IntEnum
from typing import NoReturn

from confluent_kafka import KafkaError, KafkaException

from infra.topics import LayoutError
from monitors.join_prediction import JoinFormatError
from monitors.table import StateFormatError
from streams.tables import StoreFormatError

log = logging.getLogger("watchkeeper")


class Exit(IntEnum):
    """Why a worker ended. FENCED and LAYOUT are not mended by a restart; the others are.

    LAYOUT: what is on the broker or on the disk is not what this program can go on from; the log says what to do.
    """

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


class CannotGoOn(RuntimeError):
    """What this worker finds is not what it can go on from; the text says what a person can do."""


FOR_A_PERSON = (LayoutError, StoreFormatError, StateFormatError, JoinFormatError, CannotGoOn)


def leave(error: BaseException) -> NoReturn:
    """End the process at once: staged state must not be used again, and the log is the truth."""
    if isinstance(error, asyncio.CancelledError):
        raise error
    code = exit_code(error)
    if code is Exit.LAYOUT:  # the sentence says it all
        log.critical("worker ends with exit code %d (%s): %s", code, code.name, error)
    else:
        log.critical("worker ends with exit code %d (%s)", code, code.name, exc_info=error)
    logging.shutdown()
    os._exit(code)


def exit_code(error: BaseException) -> Exit:
    """What the supervisor is told.

    >>> exit_code(Fenced("a twin")).name, exit_code(KeyError("a bug")).name
    ('FENCED', 'CRASH')
    >>> exit_code(StoreFormatError("written by a newer version")).name
    'LAYOUT'
    """
    if isinstance(error, Fenced):
        return Exit.FENCED
    if isinstance(error, FOR_A_PERSON):
        return Exit.LAYOUT
    if isinstance(error, KafkaException):
        fenced = error.args[0].code() == KafkaError.FENCED_INSTANCE_ID
        return Exit.FENCED if fenced else Exit.KAFKA
    return Exit.KAFKA if isinstance(error, OutcomeUnknown | Stuck | TimeoutError) else Exit.CRASH
