"""What the demo found of outcomes that come late: what `challengers`, `diagnosis` and `coverage --as-of` say."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from msgspec.structs import replace

from infra.demo.questions import CANCELLATION
from infra.demo.report import LOSS_OF, day
from infra.demo.truth import Diagnosed, Hindsight, Turned, judged
from monitors.windows import Series
from schemas.deployment import DAY_MS
from schemas.observation import Kind
from streams.cli._as_of import known_as_of
from streams.cli._fairness import plain as fair
from streams.cli._fairness import shared_out
from streams.cli._windows import reader_of
from streams.cli.diagnosis import evidence

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.demo.report import Watched
    from infra.views import Views
    from monitors.as_of import AsOf
    from schemas.deployment import Deployment
    from schemas.diagnosis import Diagnosis
    from schemas.package import Package
    from streams.connection import Connection

LOOK_BACK = date(2016, 2, 29)
"""Three months after the first booking: fewer than half of the outcomes are known, those of the hasty."""

_RATE = "positive_rate"


def with_truth(
    found: Watched, deployment: Deployment, packages: Mapping[str, Package], views: Views, connection: Connection
) -> Watched:
    """With verdicts, diagnoses and fairness; that of cancellations with the end of February 2016 in hindsight."""
    names = {digest: package.name for digest, package in packages.items()}
    diagnoses = tuple(diagnosed(one, names) for one in views.diagnoses(deployment.name))
    found = replace(
        found,
        verdicts=judged(deployment, names, views.verdicts(deployment.name)),
        diagnoses=diagnoses,
        fairness=fair(shared_out(views, deployment), deployment, names),
    )
    if deployment.name != CANCELLATION.deployment:
        return found
    return replace(found, hindsight=_hindsight(deployment, packages, views, connection))


def diagnosed(one: Diagnosis, names: Mapping[str, str]) -> Diagnosed:
    """What was said of a month, with the model's name."""
    return Diagnosed(
        month=day(one.window_start_ms)[:7],
        model=names.get(one.model, one.model),
        cause=one.cause.value,
        also=tuple(cause.value for cause in one.also),
        rows=one.rows,
        coverage=one.coverage,
        reason=one.reason.value if one.reason else "",
        evidence=evidence(one),
    )


def _hindsight(
    deployment: Deployment, packages: Mapping[str, Package], views: Views, connection: Connection
) -> Hindsight | None:
    champion = Series(Kind.ACCURACY, deployment.champion.digest, "")
    buckets = reader_of(views, deployment, wanted=lambda series: series == champion, definitions=()).buckets
    midnight = datetime.combine(LOOK_BACK + timedelta(days=1), datetime.min.time(), UTC)
    known = known_as_of(connection, deployment, packages, buckets, int(midnight.timestamp() * 1_000))
    return plain(known[0], LOSS_OF[deployment.target.type]) if known else None


def plain(one: AsOf, loss: str) -> Hindsight:
    """The positive rate and a loss, as the summary has them."""
    then, cohort, median = one.then, one.then.resolved, one.then.delays[0]
    said = {each.metric: each for each in then.metrics}
    return Hindsight(
        day=LOOK_BACK.isoformat(),
        expected=then.labels.expected,
        matched=then.labels.matched,
        coverage=then.labels.coverage,
        coverage_now=one.now.coverage,
        metrics=tuple(
            Turned(
                each.metric,
                each.then,
                said[each.metric].lowest,
                said[each.metric].highest,
                said[each.metric].resolved,
                each.pending,
                each.now,
                said[each.metric].reason or "",
            )
            for name in (_RATE, loss)
            for each in one.metrics
            if each.metric == name
        ),
        resolved_share=cohort.x if cohort else None,
        resolved_age_days=cohort.age_ms / DAY_MS if cohort else None,
        resolved_rows=cohort.labels.expected if cohort else 0,
        resolved_coverage=cohort.labels.coverage if cohort else None,
        median_days=None if median.age_ms is None else median.age_ms / DAY_MS,
        matched_median_days=None if median.naive_ms is None else median.naive_ms / DAY_MS,
    )
