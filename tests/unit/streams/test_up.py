"""When `watchkeeper up` ends of itself."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from streams.cli.run import GAVE_UP, STACK_GONE, _watched

if TYPE_CHECKING:
    from streams.supervisor import Fleet


def fleet(given_up: tuple[bool, ...]) -> Fleet:
    return cast("Fleet", SimpleNamespace(children=[SimpleNamespace(given_up=one) for one in given_up]))


def test_it_ends_with_the_servers_that_it_started() -> None:
    answers = iter((True, True, False))
    assert _watched(threading.Event(), fleet((False, True)), lambda: next(answers), look_s=0) == STACK_GONE
    assert next(answers, None) is None


def test_it_ends_when_every_worker_gave_up() -> None:
    assert _watched(threading.Event(), fleet((True, True)), lambda: True, look_s=0) == GAVE_UP


def test_told_to_stop_it_says_nothing() -> None:
    stop = threading.Event()
    stop.set()
    assert _watched(stop, fleet((False,)), lambda: False, look_s=0) == ""
