"""The kill suite itself is ended in the middle: neither workers nor servers of it go on."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

TIMEOUT_S = 120.0


def running(home: Path) -> set[str]:
    """What runs of an installation: its workers are told of the folder, its servers are called with it."""
    found = set()
    for process in psutil.process_iter():
        try:
            line = " ".join(process.cmdline())
            if str(home) in line or process.environ().get("WATCHKEEPER_HOME") == str(home):
                found.add(line)
        except psutil.Error:
            continue  # it has just ended
    return found


def test_a_run_that_is_interrupted_leaves_no_process_behind(tmp_path: Path) -> None:
    home = tmp_path / "home"
    command = [sys.executable, "-m", "tests.faults", "--short", "--keep", str(home)]
    suite = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    limit = time.monotonic() + TIMEOUT_S
    while not any(" worker evaluator " in line for line in running(home)):
        assert suite.poll() is None
        assert time.monotonic() < limit
        time.sleep(0.5)
    suite.send_signal(signal.SIGINT)
    said, _ = suite.communicate(timeout=TIMEOUT_S)
    assert suite.returncode == 128 + signal.SIGINT
    assert "SIGINT: stopping all workers and servers" in said
    assert running(home) == set()
