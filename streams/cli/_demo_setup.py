"""What the demo sets up: model packages, and three deployments with their settings and alert rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from infra.demo.bookings import LIVE_DAY
from infra.demo.questions import CANCELLATION, PRICE, QUESTIONS, Question
from infra.demo.report import LEAST_ROWS, LOSS_OF
from infra.demo.train import train
from schemas.deployment import (
    CHANGE_DETECTED,
    DAY_MS,
    MATERIAL_DRIFT,
    AlertRule,
    Compare,
    CreateDeployment,
    Importance,
    Settings,
    Severity,
    Span,
)
from schemas.fairness import Fairness
from schemas.package import Package, TargetType
from streams.client import command, submit
from streams.packages import build_package, register

if TYPE_CHECKING:
    from collections.abc import Callable

    from infra.artifacts import ArtifactStore
    from infra.demo.train import Trained
    from streams.connection import Connection

ACCURACY_RULE = "accuracy-drop"
WORSE_BY_HOTEL = AlertRule(
    "worse-than-last-month",
    "rmse",
    1.5,
    segment="*",
    compare=Compare.PREVIOUS,
    ratio=True,
    min_rows=500,
    clear=1.2,
)
"""The error of one hotel's prices, half as much again as in the month before."""

WORSE_BY = {TargetType.BINARY: 0.5, TargetType.REGRESSION: 25.0, TargetType.MULTICLASS: 0.6}
"""By how much a month's loss may exceed the one on holdout: nats, euros, nats. The models know one autumn only: other
seasons make them worse anyway."""

FAIRNESS = Fairness(protected=("customer_type",), favourable="false", reference={"customer_type": "Transient"})
"""Who is predicted to come, and may be spared a deposit. Where guests are from would be the feature to protect, but the
file learns it at check-in: whoever cancels is from Portugal (DATA.md)."""

_EPOCH_ORDINAL = 719_163


def deploy(
    connection: Connection, store: ArtifactStore, report: Callable[[str], None]
) -> dict[str, dict[str, Package]]:
    """Train, build, register and deploy; answers packages by deployment and model name, the champion first."""
    deployed = {}
    for question in QUESTIONS:
        models = train(question)
        packages = [register(connection, store, archive_of(model)) for model in models]
        champion, *challengers = packages
        action = CreateDeployment(
            champion.digest, tuple(package.digest for package in challengers), settings_for(question)
        )
        submit(connection, command(question.deployment, action, reason="the demo's models of 2015-11-30"))
        deployed[question.deployment] = {package.name: package for package in packages}
        report(f"{question.deployment}: {champion.name}, shadowed by {', '.join(one.name for one in challengers)}")
    return deployed


def settings_for(question: Question) -> Settings:
    """Daily buckets, weekly drift, monthly accuracy; horizon and age as a replay of years ago needs them.

    Each question shows something of its own: cancellations the change detector, segments of the market, a sample of
    rows for the domain classifier and fairness between kinds of customers; prices segments by hotel and a comparison
    with the month before.
    """
    kind = question.target.type
    rules = (
        replace(MATERIAL_DRIFT, min_rows=LEAST_ROWS),
        AlertRule(
            ACCURACY_RULE,
            LOSS_OF[kind],
            WORSE_BY[kind],
            compare=Compare.BASELINE,
            min_rows=1_000,
            severity=Severity.CRITICAL,
        ),
        AlertRule("data-errors", "data_error_rate", 0.01, min_rows=100, severity=Severity.CRITICAL),
    )
    plain = Settings(
        importance=Importance.MODERATE,
        bucket=Span.DAY,
        drift_window=Span.WEEK,
        accuracy_window=Span.MONTH,
        grace_ms=DAY_MS,
        horizon_ms=800 * DAY_MS,
        max_age_ms=20 * 365 * DAY_MS,
        alert_rules=rules,
    )
    if question is CANCELLATION:
        more = (*rules, CHANGE_DETECTED)
        segments = ("market_segment", *FAIRNESS.protected)
        return replace(plain, segments=segments, fairness=FAIRNESS, row_sample=True, alert_rules=more)
    if question is PRICE:
        return replace(plain, segments=("hotel",), alert_rules=(*rules, WORSE_BY_HOTEL))
    return plain


def archive_of(model: Trained) -> bytes:
    """The package of a trained model, with its baseline of the training rows and how much they wandered in time."""
    metadata = Package(
        name=model.name,
        version="1",
        digest="",
        target=model.question.target,
        features=model.features,
        format="onnx",
        created_ms=(LIVE_DAY.toordinal() - _EPOCH_ORDINAL) * DAY_MS,
        authors=("Watchkeeper demo",),
        description=model.description,
        training_data="hotel bookings made from 2015-07-01 with outcomes before 2015-12-01 (infra/demo/DATA.md)",
        hyperparameters=model.hyperparameters,
    )
    truth = model.holdout[model.question.target.name].to_list()
    protected = [one.name for one in model.features if one.name in settings_for(model.question).fairness.protected]
    return build_package(metadata, model.onnx, model.train, model.holdout, truth, model.made_ms, protected)
