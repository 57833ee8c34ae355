"""What the demo says of outcomes that come late: verdicts, diagnoses, and a day as it was and as it turned out.

Plain structures for `--json` and for the tables of `infra.demo.show_truth`. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from schemas.observation import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from schemas.deployment import Deployment
    from schemas.observation import Verdict


class Judged(msgspec.Struct, frozen=True):
    """A challenger beside a champion, as of the last word on them: the loss that it saves, `mean` ± `radius`.

    Of `n` rows whose age says that their outcomes are in, made before `until_ms`; `decided_n` of them were enough for
    the finding, null where it is undecided. `retracted`: an earlier finding does not rest on its rows any more.
    `overtaken`: the finding stands, but all rows by now speak against it.
    `known_mean` is of all `known_n` rows with an outcome, resolved or not: no verdict may be read from it.
    """

    challenger: str
    champion: str
    serves: bool
    finding: str
    loss: str = ""
    mean: float | None = None
    radius: float | None = None
    n: int = 0
    until_ms: int | None = None
    decided_n: int | None = None
    overtaken: bool = False
    retracted: bool = False
    known_mean: float | None = None
    known_n: int = 0


class Diagnosed(msgspec.Struct, frozen=True):
    """What may have been the matter in a month of a model that served; `evidence` in words, `coverage` of outcomes.

    `cause` fits first, `also` fit as well; `reason` says why causes that need outcomes cannot be told.
    """

    month: str
    model: str
    cause: str
    also: tuple[str, ...]
    rows: int
    coverage: float | None
    reason: str
    evidence: str


class Turned(msgspec.Struct, frozen=True):
    """One metric of the same predictions: as known then (with bounds, of rates, and of the resolved cohort), and since.

    `pending` is of those whose outcome came later, `now` of all. `warning` is what was said beside `then`.
    """

    metric: str
    then: float | None
    lowest: float | None
    highest: float | None
    resolved: float | None
    pending: float | None
    now: float | None
    warning: str


class Hindsight(msgspec.Struct, frozen=True):
    """What was known of the champion's predictions at the end of a day, and what became of them.

    `resolved_*` describe the cohort that was old enough then; null where none was. Days until an outcome: the median as
    it was to be expected then, and that of the matched alone.
    """

    day: str
    expected: int
    matched: int
    coverage: float | None
    coverage_now: float | None
    metrics: tuple[Turned, ...]
    resolved_share: float | None = None
    resolved_age_days: float | None = None
    resolved_rows: int = 0
    resolved_coverage: float | None = None
    median_days: float | None = None
    matched_median_days: float | None = None


def judged(deployment: Deployment, names: Mapping[str, str], verdicts: Iterable[Verdict]) -> tuple[Judged, ...]:
    """The last word on each challenger beside the champion that serves, then on those beside earlier ones.

    A challenger of which nothing was said is undecided. `names` are of models, by digest.
    """
    last = {(one.champion, one.challenger): one for one in verdicts}
    champion = deployment.champion.digest
    now = [(champion, one.digest) for one in deployment.challengers]
    return tuple(_judged([*now, *(pair for pair in last if pair not in now)], names, last, champion))


def _judged(
    pairs: Iterable[tuple[str, str]],
    names: Mapping[str, str],
    last: Mapping[tuple[str, str], Verdict],
    champion: str,
) -> Iterator[Judged]:
    for pair in pairs:
        served, challenger = (names.get(digest, digest) for digest in pair)
        said = last.get(pair)
        if said is None:
            yield Judged(challenger, served, pair[0] == champion, Finding.UNDECIDED.value)
            continue
        yield Judged(
            challenger,
            served,
            pair[0] == champion,
            said.finding.value,
            loss=said.loss,
            mean=said.mean,
            radius=said.radius,
            n=said.n,
            until_ms=said.until_ms if said.n else None,
            decided_n=None if said.decision is None or said.retracted else said.decision.n,
            overtaken=said.overtaken,
            retracted=said.retracted,
            known_mean=said.known_mean,
            known_n=said.known_n,
        )
