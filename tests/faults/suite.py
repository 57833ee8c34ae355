"""A run: load, faults, ending, drain, check. The short form takes some three minutes, the long one up to twenty.

Both run 2,200 requests a second through 15 workers, two or three of each role. The long form deals every fault to every
role, 20 kills to each; the short one two kills to each role, and three workers sleep.
"""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from streams.failpoints import FailPoint
from tests.faults.chaos import BRIEFLY_S, IN_TRANSACTION, STOPPED_S, Chaos, met, points_of
from tests.faults.check import aborted, check
from tests.faults.drain import NotDrainedError, drain
from tests.faults.ending import end
from tests.faults.findings import Findings
from tests.faults.load import Load
from tests.faults.report import Report
from tests.faults.scene import lay_out

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tests.faults.ledger import Ledger
    from tests.faults.scene import Scene

ROLES = ("scorer", "shadow", "joiner", "observer", "evaluator", "governor", "projector")
WORKERS = {"scorer": 3, "shadow": 2, "joiner": 2, "observer": 2, "evaluator": 2, "governor": 2, "projector": 2}
STOPS = (
    (FailPoint.BEFORE_COMMIT, STOPPED_S),
    (FailPoint.BEFORE_BEGIN, STOPPED_S),
    (FailPoint.BEFORE_COMMIT, BRIEFLY_S),
)
EVERY_FAULT = ("SIGTERM", "joined and left", "broker killed", "Redis killed and emptied")
"""Of the long form, besides kills and stops; as `Chaos.done` names them."""
WARM_UP_S = 4.0
PER_S, LEAST_PER_S = 2_200, 2_000
DRAINED_IN_S = 400.0
SAMPLED_FROM = 200_000  # requests from which on aborted records are counted in one partition only

Step = tuple["Callable[..., object]", tuple[object, ...]]


@dataclass(frozen=True, slots=True)
class Plan:
    """How a run goes. `kills` per role, `per_s` requests, `pauses_s` between faults."""

    seed: int
    kills: int
    per_s: float
    workers: dict[str, int]
    everything: bool = True
    pauses_s: tuple[float, float] = (0.5, 2.0)
    least_requests: int = 0
    least_per_s: float = 0.0
    program: Sequence[str] | None = None

    @property
    def standby(self) -> bool:
        """Whether workers keep copies of all tables of their role: of half of the seeds."""
        return self.seed % 2 == 1


def short(seed: int) -> Plan:
    """A kill at random and one before the commit for each role; a joiner and an evaluator are stopped."""
    return Plan(seed, 2, PER_S, WORKERS, everything=False, pauses_s=(0.5, 1.5))


def long(seed: int, kills: int = 20) -> Plan:
    """Everything, under at least 2,000 requests a second and 100,000 in all."""
    return Plan(seed, kills, PER_S, WORKERS, least_requests=100_000, least_per_s=LEAST_PER_S)


def run(home: Path, plan: Plan, say: Callable[[str], None]) -> Report:
    """Run a plan on a stack in `home`."""
    report, began = Report(plan.seed, plan.standby, dict(plan.workers)), time.monotonic()
    program = [] if plan.program is None else [plan.program]
    scene = lay_out(home, plan.workers, *program, standby=plan.standby)
    say(f"{len(scene.fleet.children)} workers{' with copies' * plan.standby}, topics under {scene.prefix}")
    load = Load(scene, plan.per_s, plan.seed)
    chaos = Chaos(scene, random.Random(plan.seed), lambda text: say(f"{load.ledger.count:>9,} requests  {text}"))
    over = threading.Event()
    threading.Thread(target=chaos.watch, args=(over,), name="watcher", daemon=True).start()
    try:
        report.seconds["set-up"] = time.monotonic() - began
        report.seconds["load and faults"] = _under_load(load, chaos, plan)
        report.seconds["ending"] = _ended(load.ledger, chaos, say)
        _count(report, load, chaos)
        report.seconds["drain"] = _drained(scene, report, say)
    finally:
        over.set()
        scene.fleet.stop()
    _look_back(scene, load.ledger, plan, report, say)
    report.seconds = {name: round(seconds, 1) for name, seconds in report.seconds.items()}
    return report


def _under_load(load: Load, chaos: Chaos, plan: Plan) -> float:
    began = time.monotonic()
    load.start()
    time.sleep(WARM_UP_S)
    for act, arguments in steps(chaos, plan):
        act(*arguments)
        time.sleep(chaos.rng.uniform(*plan.pauses_s))
    chaos.settle()
    _top_up(chaos, plan)
    while load.ledger.count < plan.least_requests and load.is_alive():
        time.sleep(0.5)
    load.finish()
    return time.monotonic() - began


def _ended(ledger: Ledger, chaos: Chaos, say: Callable[[str], None]) -> float:
    say("the load has ended; what can be sent only when all is joined")
    began = time.monotonic()
    end(ledger, chaos)
    chaos.settle()
    return time.monotonic() - began


def _count(report: Report, load: Load, chaos: Chaos) -> None:
    report.requests, report.requests_per_s = load.ledger.count, round(load.ledger.count / load.seconds, 1)
    report.kills, report.faults, report.points = dict(chaos.kills()), dict(chaos.done), dict(chaos.points)
    for child in chaos.scene.fleet.children:
        for code in child.exits:
            name = f"{child.role} {code}"
            report.exits[name] = report.exits.get(name, 0) + 1
        if child.given_up:
            report.failures.append(f"{child.name} ended with {child.exits[-1]} and was not started again")


def steps(chaos: Chaos, plan: Plan) -> list[Step]:
    """The faults of a plan in the order that its seed gives. A pair of kills is one at random and one at a point."""
    found: list[Step] = []
    for role in ROLES:
        names = points_of(role) if plan.everything else [FailPoint.BEFORE_COMMIT]
        for number in range((plan.kills + 1) // 2):
            point = names[number % len(names)]
            passes = 1 if point not in IN_TRANSACTION else chaos.rng.randint(1, 8)
            found.append((chaos.kill_at, (role, point, passes)))
        if plan.everything and role not in ("governor", "projector"):
            found += [(chaos.stop_at, (role, *stop, chaos.rng.randint(1, 4))) for stop in STOPS]
            found.append((chaos.come_and_go, (role,)))
        if plan.everything:
            found.append((chaos.roll, (role,)))
    if not plan.everything:
        found.append((chaos.stop_at, ("joiner", *chaos.rng.choice(STOPS), chaos.rng.randint(1, 4))))
        found.append((chaos.stop_at, ("evaluator", FailPoint.BEFORE_COMMIT, BRIEFLY_S, chaos.rng.randint(1, 4))))
    else:
        found += [(chaos.kill_broker, ()), (chaos.kill_redis, ())]
    chaos.rng.shuffle(found)
    return found


def _top_up(chaos: Chaos, plan: Plan) -> None:
    """More kills where a point was not reached."""
    for role in ROLES:
        for _ in range(plan.kills):
            if chaos.kills()[role] >= plan.kills:
                break
            chaos.kill(role)
            time.sleep(chaos.rng.uniform(*plan.pauses_s))
    chaos.settle()


def _drained(scene: Scene, report: Report, say: Callable[[str], None]) -> float:
    say("waiting until everything is worked off")
    began = time.monotonic()
    try:
        return drain(scene, DRAINED_IN_S)
    except NotDrainedError as error:
        report.failures.append(str(error))
        return time.monotonic() - began


def _look_back(scene: Scene, ledger: Ledger, plan: Plan, report: Report, say: Callable[[str], None]) -> None:
    say("comparing with the ledger")
    began = time.monotonic()
    findings: Findings = check(scene, ledger)
    report.failures += findings.faults
    report.compared = dict(findings.numbers)
    report.aborted = aborted(scene, sample=ledger.count > SAMPLED_FROM)
    report.failures += shortcomings(plan, report)
    report.seconds["check"] = time.monotonic() - began


def shortcomings(plan: Plan, report: Report) -> list[str]:
    """Why a run proved less than was asked, whatever the checker found."""
    found = []
    if not any(report.aborted.values()) and not met(report.points):
        found.append("no fault met an open transaction: this run proved nothing")
    counts = {role: report.kills.get(role, 0) for role in ROLES}
    few = {role: count for role, count in counts.items() if count < plan.kills}
    found += [f"{role} was killed {count} times, {plan.kills} were asked" for role, count in few.items()]
    kinds = ("SIGSTOP", *(EVERY_FAULT if plan.everything else ()))
    missed = [kind for kind in kinds if not any(name.startswith(kind) and n for name, n in report.faults.items())]
    found += [f"a fault was planned that never came about: {kind}" for kind in missed]
    if (reached := report.requests_per_s) < plan.least_per_s:
        found.append(f"the load was {reached:,.0f} requests/s, at least {plan.least_per_s:,.0f} were asked")
    if report.requests < plan.least_requests:
        found.append(f"there were {report.requests:,} requests, at least {plan.least_requests:,} were asked")
    return found
