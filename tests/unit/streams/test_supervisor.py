"""The supervisor's own rules that need no broker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from streams.supervisor import Fleet

SLEEPER = (sys.executable, "-c", "import time; time.sleep(60)")


class CalledAwayError(Exception):
    """What the handler of the test's signal raises."""


def test_a_caller_that_is_interrupted_as_a_worker_starts_leaves_none_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worst moment: the process runs, and nobody has noted it yet."""
    spawned: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen

    def interrupted(*given: Any, **named: Any) -> subprocess.Popen[bytes]:  # noqa: ANN401  # as they come
        spawned.append(popen(*given, **named))
        os.kill(os.getpid(), signal.SIGUSR1)
        return spawned[-1]

    def leave(_number: int, _frame: FrameType | None) -> None:
        raise CalledAwayError

    before = signal.signal(signal.SIGUSR1, leave)
    monkeypatch.setattr(subprocess, "Popen", interrupted)
    fleet = Fleet(tmp_path, report=lambda _text: None, program=SLEEPER)
    try:
        with pytest.raises(CalledAwayError):
            fleet.start(["scorer"])
    finally:
        signal.signal(signal.SIGUSR1, before)
        fleet.stop()
    assert [process.poll() for process in spawned] == [-signal.SIGTERM]
