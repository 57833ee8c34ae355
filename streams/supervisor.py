"""The supervisor: one process for each worker, started again when it ends, unless a restart cannot mend it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from streams.exits import Exit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

BACKOFF_S = (0.2, 1.0, 2.0, 5.0, 10.0)
CALM_S = 30.0  # a worker that ran this long starts again without delay
PATIENCE_S = 20.0
PROGRAM = (sys.executable, "-m", "streams.cli", "worker")
LOOK_S = 0.1


@dataclass(slots=True)
class Child:
    """One worker: its process now, how often and why it ended; `once` is added to the environment of its next start."""

    role: str
    worker: str
    process: subprocess.Popen[bytes]
    started: float
    exits: list[int] = field(default_factory=list)
    rested: int = 0
    start_at: float | None = None
    given_up: bool = False
    once: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """How people call it."""
        return f"{self.role}/{self.worker}"


class Fleet:
    """Workers of this machine. `environment` is what they get; their output goes to one log file each in `logs`.

    `program` is called with a role and `--name` and the worker's name. Processes are started and noted by a thread of
    their own, which no signal interrupts: a caller that leaves by one has no worker that `stop` does not know.
    """

    def __init__(
        self,
        logs: Path,
        environment: Mapping[str, str] | None = None,
        report: Callable[[str], None] = print,
        program: Sequence[str] = PROGRAM,
    ) -> None:
        self.children: list[Child] = []
        self._retired: list[Child] = []
        self._logs, self._report, self._program = logs, report, program
        self._environment = dict(os.environ if environment is None else environment)
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._starter = ThreadPoolExecutor(1, "starter")
        self._thread: threading.Thread | None = None

    def start(self, roles: Sequence[str], workers: Sequence[str] = ("1",), **extra: str) -> None:
        """Start a worker of each role under each of these names; `extra` is added to the environment."""
        self._logs.mkdir(parents=True, exist_ok=True)
        for role in roles:
            for worker in workers:
                self._starter.submit(self._add, role, worker, extra).result()
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)
            self._thread.start()

    def stop(self, patience_s: float = PATIENCE_S) -> None:
        """Tell all to stop, wait, and kill those that do not."""
        self._stopping.set()
        self._starter.shutdown()
        if self._thread is not None:
            self._thread.join()
        known = (*self.children, *self._retired)
        running = [child.process for child in known if child.process.poll() is None]
        for process in running:
            process.send_signal(signal.SIGTERM)
            process.send_signal(signal.SIGCONT)  # one that a fault test has stopped would not hear it
        limit = time.monotonic() + patience_s
        for process in running:
            try:
                process.wait(max(0.0, limit - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def retire(self, child: Child, patience_s: float = PATIENCE_S) -> None:
        """Tell one worker to stop, for good."""
        with self._lock:
            self._retired.append(child)
            self.children.remove(child)
        child.process.terminate()
        try:
            child.process.wait(patience_s)
        except subprocess.TimeoutExpired:
            child.process.kill()
            child.process.wait()

    def alive(self) -> bool:
        """Whether every worker runs or is about to."""
        return not any(child.given_up for child in self.children)

    def _add(self, role: str, worker: str, extra: Mapping[str, str]) -> None:
        child = Child(role, worker, self._spawn(role, worker, extra), time.monotonic())
        with self._lock:
            self.children.append(child)

    def _spawn(self, role: str, worker: str, extra: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        with (self._logs / f"{role}-{worker}.log").open("ab") as out:
            return subprocess.Popen(
                [*self._program, role, "--name", worker],
                env=self._environment | dict(extra or {}),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the supervisor, which stops them in order
            )

    def _watch(self) -> None:
        while not self._stopping.wait(LOOK_S):
            with self._lock:
                for child in self.children:
                    self._look(child)

    def _look(self, child: Child) -> None:
        if child.given_up:
            return
        now = time.monotonic()
        if child.start_at is not None:
            if now >= child.start_at:
                self._start_again(child, now)
            return
        code = child.process.poll()
        if code is None:
            return
        child.exits.append(code)
        if code in (Exit.FENCED, Exit.LAYOUT):
            child.given_up = True
            self._report(f"{child.name} ended with {Exit(code).name} and is not started again; see its log")
            return
        child.rested = 0 if now - child.started > CALM_S else min(child.rested + 1, len(BACKOFF_S) - 1)
        child.start_at = now + BACKOFF_S[child.rested]
        if code:
            self._report(
                f"{child.name} ended with {code} and is started again in {BACKOFF_S[child.rested]} s; see its log"
            )

    def _start_again(self, child: Child, now: float) -> None:
        try:
            process = self._spawn(child.role, child.worker, child.once)
        except OSError as error:  # no memory, no file handles: the supervisor must live on
            self._report(f"{child.name} cannot be started: {error}; tried again in {BACKOFF_S[-1]:.0f} s")
            child.start_at = now + BACKOFF_S[-1]
            return
        child.process, child.started, child.start_at, child.once = process, now, None, {}
