"""The report of a run: what was done to whom, what was compared and how much of it, how long it took, what is wrong."""

from __future__ import annotations

from dataclasses import dataclass, field

TITLES = {
    "seconds": "how long it took, in seconds",
    "faults": "what was done, how often",
    "kills": "SIGKILLs by role, those at fail points and a second one at a start among them",
    "points": "fail points at which a worker was killed or stopped, by role",
    "exits": "how workers ended, by role and exit code (-9: SIGKILL, -15 or 0: SIGTERM)",
    "aborted": "records of transactions that never committed, by the role that wrote them: nobody may see them",
    "compared": "what was compared with the ledger, or with a clean computation from it and from the log; rows of each",
}


@dataclass(slots=True)
class Report:
    """What a run did and found, for people and programs; `TITLES` says what the numbers are of."""

    seed: int
    standby: bool = False
    workers: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    requests: int = 0
    requests_per_s: float = 0.0
    faults: dict[str, int] = field(default_factory=dict)
    kills: dict[str, int] = field(default_factory=dict)
    points: dict[str, int] = field(default_factory=dict)
    exits: dict[str, int] = field(default_factory=dict)
    aborted: dict[str, int] = field(default_factory=dict)
    compared: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)


def text(report: Report) -> str:
    """The report for people.

    >>> done = Report(7, False, {"scorer": 3, "joiner": 2}, {"drain": 12.5, "check": 30.0}, 100_000, 2_200.0)
    >>> done.kills |= {"scorer": 21}
    >>> print(text(done))
    seed 7: 100,000 requests at 2,200/s, 5 workers (scorer 3, joiner 2), tables without copies, in 42 s
    <BLANKLINE>
    how long it took, in seconds
      drain                                                            12.5
      check                                                            30.0
    <BLANKLINE>
    SIGKILLs by role, those at fail points and a second one at a start among them
      scorer                                                             21
    <BLANKLINE>
    nothing lost, nothing doubled, nothing wrong
    """
    workers = ", ".join(f"{role} {count}" for role, count in report.workers.items())
    took_s, copies = sum(report.seconds.values()), "with" if report.standby else "without"
    head = (
        f"seed {report.seed}: {report.requests:,} requests at {report.requests_per_s:,.0f}/s, "
        f"{sum(report.workers.values())} workers ({workers}), tables {copies} copies, in {took_s:,.0f} s"
    )
    lines = [head]
    for name, title in TITLES.items():
        found: dict[str, float] = getattr(report, name)
        if found:
            in_order = found.items() if name == "seconds" else sorted(found.items())
            lines += ["", title, *(f"  {what:<56} {number:>12,}" for what, number in in_order)]
    lines += ["", *(f"FAILED  {failure}" for failure in report.failures)]
    count = len(report.failures)
    return "\n".join([*lines, f"{count} failures" if count else "nothing lost, nothing doubled, nothing wrong"])
