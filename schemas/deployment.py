"""A deployment, its settings, the commands that change it, and the records that say what was decided and what served.

The `deployments` topic carries the newest `Deployment` of each name; `governance` and `audit` keep every `Command` and
what became of it, for ever, so that the state at any past time can be rebuilt from the log.

These records pass over fields that they do not know: a worker reads what a newer governor wrote. Where a name that is
not known must be an error, `schemas.strict` looks for it (docs/decisions/0017).
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from schemas.expectations import CallerField, CustomMetric, QualityLimits, Timeliness
from schemas.fairness import Fairness
from schemas.package import Feature, Package, Target
from schemas.trigger import TriggerRule

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS


class Span(StrEnum):
    """Length of a bucket or window. Weeks start on Monday, all are in UTC."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


AGES_MS = {Span.HOUR: 7 * DAY_MS, Span.DAY: 90 * DAY_MS}
"""From which age on base buckets are at least so long, the shortest first (`monitors.ageing`)."""


class Importance(StrEnum):
    """How much harm a deployment can do; approval policies look at it."""

    LOW = "low"
    MODERATE = "moderate"
    HIGH = "high"
    CRITICAL = "critical"


class Severity(StrEnum):
    """How loud an alert is."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class DriftStatistic(StrEnum):
    """The ways in which a window's distribution may be compared with that of training (STATISTICS section 2)."""

    PSI = "psi"
    JENSEN_SHANNON = "jensen_shannon"
    KL = "kl"
    HELLINGER = "hellinger"
    TOTAL_VARIATION = "total_variation"
    KOLMOGOROV_SMIRNOV = "kolmogorov_smirnov"
    WASSERSTEIN = "wasserstein"
    CHI_SQUARED = "chi_squared"


class JointStatistic(StrEnum):
    """How the drift of all features together is measured; `Thresholds.statistics` may name these too."""

    DOMAIN_AUC = "domain_auc"
    RECONSTRUCTION_ERROR = "reconstruction_error"
    ATTRIBUTION_DRIFT = "attribution_drift"


class ChangeDetector(StrEnum):
    """The detectors of concept drift that `Settings.detectors` may name (STATISTICS section 9)."""

    ADWIN = "adwin"
    PAGE_HINKLEY = "page_hinkley"
    HDDM_A = "hddm_a"
    HDDM_W = "hddm_w"
    KSWIN = "kswin"


class Limits(msgspec.Struct, frozen=True):
    """Effect sizes from which a drift statistic is at risk and failing."""

    at_risk: float
    failing: float


class Thresholds(msgspec.Struct, frozen=True):
    """When a drift statistic is at risk and failing (STATISTICS section 3).

    `statistics`: limits by drift statistic or joint one, `features`: by feature and statistic, which go before them;
    what neither names has the statistic's default. `calibrated`: never below what the package's noise table says a
    window of that size has without drift in 1 % (at risk) and 0.1 % (failing) of cases.
    """

    psi_at_risk: float = 0.1
    psi_failing: float = 0.25
    statistics: dict[str, Limits] = {}
    features: dict[str, dict[str, Limits]] = {}
    calibrated: bool = False


class Compare(StrEnum):
    """What the limit of an alert rule is measured against.

    A number of its own; the value on holdout; the window before, or the same one a day, week, month or year ago; or the
    metric's own thresholds (of the settings, calibrated where those say so): bad where its status is surely at risk. Of
    a drift statistic that is where even the lower end of its interval is at the threshold; it is over below 0.8 of it.
    """

    ABSOLUTE = "absolute"
    BASELINE = "baseline"
    PREVIOUS = "previous"
    DAY_AGO = "day_ago"
    WEEK_AGO = "week_ago"
    MONTH_AGO = "month_ago"
    YEAR_AGO = "year_ago"
    STATUS = "status"


EARLIER = frozenset({Compare.PREVIOUS, Compare.DAY_AGO, Compare.WEEK_AGO, Compare.MONTH_AGO, Compare.YEAR_AGO})


class Control(StrEnum):
    """What a change rule keeps small over all features and buckets (STATISTICS section 4).

    Budget: false alerts a month (`limit` of them). E-LOND, Benjamini-Hochberg: the false share (`limit`) of what is
    found, in the whole stream or in each bucket.
    """

    BUDGET = "budget"
    E_LOND = "e_lond"
    BENJAMINI_HOCHBERG = "benjamini_hochberg"


CHANGE = "change"


class AlertRule(msgspec.Struct, frozen=True):
    """When an alert fires, and when it is over.

    `metric` is a metric's name (`psi`, `log_loss`, `data_error_rate`, ...). `feature` is a feature's name, "*" for each
    watched feature on its own, "" for metrics that have none. `segment` is "" for all rows, "plan=free" for one
    segment, "*" for each segment on its own. The rule looks at closed windows of the champion: a window is bad when the
    value is above (`above` true) or below `limit`; with a `compare` other than absolute, when value - reference passes
    it, with `ratio` value / reference (for quantities that are never below 0; a reference of 0 says nothing). For drift
    the lower end of the interval must be above: surely drifted, not perhaps. With `compare` status neither `limit` nor
    `clear` is read: the metric's thresholds say both.

    Fires when `windows` of the last `of` windows are bad; over when `clear_windows` in a row are beyond `clear`
    (default: 0.8 of the limit) on the good side. Windows with fewer than `min_rows` rows, or without a value, are
    neither good nor bad. Firing again within `cooldown` windows of a recovery re-opens the same alert. `severity` is
    that of the alert; with `by_status` it is critical where the metric is failing, and never falls while it fires.

    Rules with the same `alert` make one alert together, for each feature and segment: it fires with the first of them
    and is over with the last. Without, a rule has an alert of its own, with its name.

    The metric `change` is no metric but the change detector on base buckets: `control` says what its `limit` is. It
    needs no counting of windows; it is over after six without evidence.

    With `roll_up` a rule on a drift statistic reads hours, days and weeks, too, where its windows have too few rows for
    a status; all of its counts are then of such windows.
    """

    name: str
    metric: str
    limit: float
    feature: str = ""
    above: bool = True
    compare: Compare = Compare.ABSOLUTE
    min_rows: int = 1
    windows: int = 1
    of: int = 1
    clear: float | None = None
    clear_windows: int = 1
    severity: Severity = Severity.WARNING
    segment: str = ""
    ratio: bool = False
    cooldown: int = 0
    by_status: bool = False
    alert: str = ""
    control: Control = Control.BUDGET
    roll_up: bool = False

    @property
    def alert_name(self) -> str:
        """The alert that this rule is a part of."""
        return self.alert or self.name


CHANGE_CLEAR_WINDOWS = 6
DRIFT = "drift"
MATERIAL_DRIFT = AlertRule(
    "material-drift",
    "psi",
    0.1,
    feature="*",
    compare=Compare.STATUS,
    windows=2,
    of=3,
    clear_windows=6,
    by_status=True,
    alert=DRIFT,
    roll_up=True,
)
CHANGE_DETECTED = AlertRule(
    "change-detected",
    CHANGE,
    1.0,
    feature="*",
    clear_windows=CHANGE_CLEAR_WINDOWS,
    cooldown=24,
    severity=Severity.INFO,
    alert=DRIFT,
)
DEFAULT_RULES = (MATERIAL_DRIFT, CHANGE_DETECTED)


class Settings(msgspec.Struct, frozen=True):
    """Everything about a deployment that is set, not learned.

    `bucket` is the base bucket of event time and never changes; `drift_window` (drift and health) and `accuracy_window`
    are the windows that are evaluated, each a multiple of the bucket. A window closes `grace_ms` after its end in event
    time. The join waits `horizon_ms` for an actual. An event time more than `max_future_ms` after the record's Kafka
    timestamp, or more than `max_age_ms` before it, is a data error. `segments` are categorical or boolean features
    whose values split every metric. `excluded` features are neither watched nor counted in statuses; `starred` ones
    decide the drift status whatever importance the package gives them. `caller_segments` splits every metric by who
    asked, too: by field the values that are told apart (for the two addresses also networks, "10.0.0.0/8"), all others
    are "other". A request that took longer than `slow_ms` is slow. `quality`, `timeliness` and `custom_metrics` say
    what else is expected. `row_sample`: keep a sample of rows (the bins of their features, at most 1,000 for each model
    and bucket), which the domain classifier needs. `by_outcome_time`: keep accuracy by the time of the actual, too (as
    much again as by the time of the prediction, where both fall into as many buckets). `explanations`: every prediction
    that is served says what each feature moved it by, where the model can tell (a linear one). A challenger must be
    better or worse by more than `challenger_margin`, in units of the loss, and is equivalent within it. `cluster`: what
    makes rows belong together, as a customer does (a feature, or consumer, host_ip, remote_ip): verdicts on challengers
    then rest on clusters, and other intervals of accuracy, which take rows as independent, say so. `detectors` of
    concept drift ("adwin", ...) read the losses of single rows, which are kept for them only. `resolved_after_ms`: the
    age from which on the outcomes of predictions are taken to be in; 0: found from the delays of those that came, and
    the horizon where that is not possible. `triggers` tell programs to retrain, to roll back or to pause. `fairness`
    names the features between whose values metrics are compared, and which class is good to get.
    """

    importance: Importance = Importance.LOW
    bucket: Span = Span.HOUR
    drift_window: Span = Span.DAY
    accuracy_window: Span = Span.DAY
    grace_ms: int = 10 * MINUTE_MS
    horizon_ms: int = 365 * DAY_MS
    max_future_ms: int = 5 * MINUTE_MS
    max_age_ms: int = 365 * DAY_MS
    segments: tuple[str, ...] = ()
    caller_segments: dict[CallerField, tuple[str, ...]] = {}
    excluded: tuple[str, ...] = ()
    starred: tuple[str, ...] = ()
    row_sample: bool = False
    explanations: bool = False
    by_outcome_time: bool = False
    thresholds: Thresholds = Thresholds()
    drift_statistics: tuple[str, ...] = (DriftStatistic.PSI.value,)
    alert_rules: tuple[AlertRule, ...] = DEFAULT_RULES
    slow_ms: float = 1_000.0
    quality: QualityLimits = QualityLimits()
    timeliness: Timeliness = Timeliness()
    custom_metrics: tuple[CustomMetric, ...] = ()
    challenger_margin: float = 0.0
    cluster: str = ""
    detectors: tuple[ChangeDetector, ...] = ()
    resolved_after_ms: int = 0
    triggers: tuple[TriggerRule, ...] = ()
    fairness: Fairness = Fairness()


class Model(msgspec.Struct, frozen=True):
    """A package in use, by content address, with the names that people know it by."""

    digest: str
    name: str
    version: str


class Acknowledgement(msgspec.Struct, frozen=True):
    """Somebody has taken note of an alert, by the command that made this revision of the deployment."""

    alert: str
    by: str
    at_ms: int
    revision: int
    reason: str = ""


class Deployment(msgspec.Struct, frozen=True):
    """The current state of one deployment.

    `revision` counts accepted commands from 1. `features` and `target` are fixed at creation: they define the request
    schema, and every model served here must fit them. `acknowledged`: the newest alerts that somebody took note of.
    """

    name: str
    revision: int
    target: Target
    features: tuple[Feature, ...]
    champion: Model
    challengers: tuple[Model, ...] = ()
    settings: Settings = Settings()
    created_ms: int = 0
    changed_ms: int = 0
    acknowledged: tuple[Acknowledgement, ...] = ()


class RegisterPackage(msgspec.Struct, frozen=True, tag="register_package"):
    """Make a package known; its archive is already in the artifact store."""

    package: Package


class CreateDeployment(msgspec.Struct, frozen=True, tag="create_deployment"):
    """Serve a registered package under a new name."""

    champion: str
    challengers: tuple[str, ...] = ()
    settings: Settings = Settings()


class ChangeSettings(msgspec.Struct, frozen=True, tag="change_settings"):
    """Put new settings in the place of all the old ones."""

    settings: Settings


class ReplaceModel(msgspec.Struct, frozen=True, tag="replace_model"):
    """Serve another registered package (by digest) as champion."""

    champion: str


class SetChallengers(msgspec.Struct, frozen=True, tag="set_challengers"):
    """Shadow-score these registered packages (by digest) and no others."""

    challengers: tuple[str, ...]


class AcknowledgeAlert(msgspec.Struct, frozen=True, tag="acknowledge_alert"):
    """Take note of an alert, by its id: it stays open, and whoever is on call knows that somebody has it."""

    alert: str


Action = RegisterPackage | CreateDeployment | ChangeSettings | ReplaceModel | SetChallengers | AcknowledgeAlert


class Command(msgspec.Struct, frozen=True):
    """An act of governance: who wants what of which deployment (or package), when and why.

    `id` is the sender's, unique: the same id twice is answered once. `signature` and `signer` are for signed commands;
    unsigned ones are accepted only where the broker is on loopback.
    """

    id: str
    entity: str
    action: Action
    by: str
    at_ms: int
    reason: str = ""
    signer: str | None = None
    signature: str | None = None


class Audit(msgspec.Struct, frozen=True):
    """What became of a command. `before` and `after` are the entity's revisions (0 = did not exist).

    Each record holds the hash of the record before it (`previous`) and its own over all other fields: a changed or
    removed record breaks the chain.
    """

    sequence: int
    command: Command
    accepted: bool
    refusal: str
    before: int
    after: int
    at_ms: int
    previous: str
    hash: str


class Switch(msgspec.Struct, frozen=True):
    """From `first_offset` of a source partition on, `role` worked with this revision of the deployment."""

    deployment: str
    role: str
    revision: int
    digest: str
    topic: str
    partition: int
    first_offset: int
