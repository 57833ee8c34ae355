"""What monitoring says: summaries and progress between observer and evaluator, metrics and alerts to the world."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from schemas.deployment import Severity


class Reason(StrEnum):
    """Why a metric has no value, or what to know about the value it has (STATISTICS section 0)."""

    EMPTY = "empty"
    TOO_FEW_ROWS = "too_few_rows"
    NO_BASELINE = "no_baseline"
    ONE_CLASS = "one_class"
    NO_POSITIVES = "no_positives"
    NO_NEGATIVES = "no_negatives"
    CONSTANT_BASELINE = "constant_baseline"
    ALL_MISSING = "all_missing"
    ZERO_VARIANCE = "zero_variance"
    ZERO_DENOMINATOR = "zero_denominator"
    NONPOSITIVE_VALUE = "nonpositive_value"
    NOT_RESOLVED = "not_resolved"
    DELAY_BIAS = "delay_bias"
    CLUSTERED = "clustered"
    HEAVY_TAILED = "heavy_tailed"
    UNCALIBRATED = "uncalibrated"
    ILL_CONDITIONED = "ill_conditioned"
    BASELINE_UNSTABLE = "baseline_unstable"
    NO_PROBABILITY = "no_probability"
    OVERFLOW = "overflow"
    NOT_APPLICABLE = "not_applicable"


class Status(StrEnum):
    """The colour of a metric, a feature or a deployment."""

    PASSING = "passing"
    AT_RISK = "at_risk"
    FAILING = "failing"
    UNKNOWN = "unknown"


class Kind(StrEnum):
    """Which stage a summary is of: inputs, what was answered, or what came true; the flow from one to the other.

    Of a deployment as a whole, with the model "": when things arrived, and the numbers that its owners report.
    Outcomes are accuracy by the time of the actual, where that is kept too.
    Pairs are of a challenger, beside the champion whose digest is in the place of the segment. Losses are those of
    single rows, where a deployment has detectors.
    """

    FEATURES = "features"
    PREDICTIONS = "predictions"
    ACCURACY = "accuracy"
    FLOW = "flow"
    PREDICTION_ARRIVALS = "prediction_arrivals"
    ACTUAL_ARRIVALS = "actual_arrivals"
    CUSTOM = "custom"
    PAIRS = "pairs"
    OUTCOMES = "outcomes"
    LOSSES = "losses"


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """A delta to one bucket: `body` is an encoded `monitors.summary.Summary`, to be added.

    `model` is a package digest; `segment` is "" for all rows, else "feature=value"; `bucket_ms` is the bucket's start.
    """

    kind: Kind
    model: str
    segment: str
    bucket_ms: int
    body: bytes


class Summary(msgspec.Struct, frozen=True, array_like=True, tag="summary"):
    """Deltas of one deployment from one transaction of an observer."""

    deployment: str
    entries: tuple[Entry, ...]


class Progress(msgspec.Struct, frozen=True, array_like=True, tag="progress"):
    """How far an observer has read one source partition; the evaluator's only clock.

    `event_ms`: greatest accepted event time by deployment, for those that advanced since the last record of this source
    partition. `caught_up`: nothing was left to read at `tick_ms` (the observer's clock).
    """

    topic: str
    partition: int
    next_offset: int
    caught_up: bool
    tick_ms: int
    event_ms: dict[str, int]


SummaryRecord = Summary | Progress


class AccuracyState(StrEnum):
    """How much of the truth an accuracy value knows."""

    ESTIMATE = "estimate"
    PARTIAL = "partial"
    FINAL = "final"


class Metric(msgspec.Struct, frozen=True, omit_defaults=True):
    """One metric of one window.

    `feature` is "" where the metric is of no feature; `segment` "" for all rows. `value` is null exactly where `reason`
    says why; `low`, `high` are a 95 % interval. `coverage` is matched over expected. `revision` counts what was said of
    this window after it closed; `state` is for accuracy metrics only. `borderline`: the interval holds a threshold of
    the status, so that a few rows more may change it. `estimate`: what the metric was expected to be of all predictions
    of the window without any of their actuals, where that can be told; it is the value where the state is `estimate`.
    `bound`: the value of the rows themselves is within `value` +- `bound`, proven, where they are counted in bins; null
    where the value is exact or has no such proof.
    """

    deployment: str
    model: str
    metric: str
    window_start_ms: int
    window_end_ms: int
    n: int
    feature: str = ""
    segment: str = ""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    baseline: float | None = None
    coverage: float | None = None
    status: Status | None = None
    reason: Reason | None = None
    closed: bool = False
    revision: int = 0
    revision_reason: str = ""
    state: AccuracyState | None = None
    borderline: bool = False
    estimate: float | None = None
    bound: float | None = None


class Finding(StrEnum):
    """What is found of a challenger beside its champion."""

    BETTER = "better"
    WORSE = "worse"
    EQUIVALENT = "equivalent"
    UNDECIDED = "undecided"


class Decision(msgspec.Struct, frozen=True):
    """A verdict that was given: on the rows of predictions before `until_ms`, by their sums as they were then.

    `clusters`: how many there effectively were, where it rests on clusters; null where on rows.
    """

    finding: Finding
    until_ms: int
    n: int
    mean: float
    radius: float
    alpha: float = 0.05
    margin: float = 0.0
    clusters: float | None = None


class Verdict(msgspec.Struct, frozen=True, omit_defaults=True):
    """A challenger beside its champion on the same rows, over predictions before `until_ms`; told in a window.

    `mean` +- `radius` is the mean of loss of the champion - loss of the challenger (positive: the challenger is better)
    over `n` rows whose age alone says that their outcomes are in; it holds at any time that one looks. `log_for` and
    `log_against`: logarithms of the evidence; half of a verdict needs ln(2 / alpha). `finding` is `decision`'s once
    there is one; `retracted`: the last decision does not rest on its rows any more, since these were revised.
    `clipped`: rows beyond `scale`, where the evidence counts them as `scale`. `unusable`: rows where a model said
    nothing that has a loss. `known_n`, `known_mean`: of all rows known, resolved or not: no verdict may be read from
    these. Of the resolved predictions of the champion, from the first bucket on that has pairs: `expected` are all,
    `expired` those that no outcome reached, `unpaired` those with an outcome that are in no pair, as a model failed or
    was not asked. The verdict says nothing of these. `cluster`: what makes rows belong together, where the deployment
    declares that; `n`, `mean`, `radius` and the evidence are then of the rows that came with one, and `clusters` is how
    many clusters of one size these are worth: below 100 nothing is decided. `unclustered`: resolved pairs without one.
    """

    deployment: str
    champion: str
    challenger: str
    window_start_ms: int
    window_end_ms: int
    until_ms: int
    loss: str
    finding: Finding
    n: int
    mean: float | None = None
    radius: float | None = None
    log_for: float = 0.0
    log_against: float = 0.0
    alpha: float = 0.05
    margin: float = 0.0
    scale: float = 1.0
    clipped: int = 0
    unusable: int = 0
    known_n: int = 0
    known_mean: float | None = None
    decision: Decision | None = None
    retracted: bool = False
    sequence: int = 1
    expected: int = 0
    expired: int = 0
    unpaired: int = 0
    cluster: str = ""
    clusters: float | None = None
    unclustered: int = 0

    @property
    def overtaken(self) -> bool:
        """Whether all resolved rows by now speak against a verdict that still stands on its own.

        A verdict is of the rows that decided it. Where models do not stay to each other as they were, later ones may
        say otherwise: the interval lies beyond 0 on the other side.
        """
        if self.mean is None or self.radius is None:
            return False
        better, worse = self.finding is Finding.BETTER, self.finding is Finding.WORSE
        return (better and self.mean + self.radius < 0) or (worse and self.mean - self.radius > 0)


class Detection(msgspec.Struct, frozen=True, omit_defaults=True):
    """A detector found that the losses of a model changed: at the row of the prediction of this time.

    `bucket_ms` is the start of its bucket. `retracted`: losses were revised, and it is found there no more.
    `approximate`: the bucket has more rows than are kept one by one. Evidence of concept drift, not a proof: losses
    change with the data, too.
    """

    deployment: str
    model: str
    detector: str
    at_ms: int
    bucket_ms: int
    rows: int
    retracted: bool = False
    approximate: bool = False


class AlertPhase(StrEnum):
    """Where an alert is in its life."""

    PENDING = "pending"
    FIRING = "firing"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    RETRACTED = "retracted"


OPEN_PHASES = (AlertPhase.PENDING, AlertPhase.FIRING, AlertPhase.ACKNOWLEDGED)


class Evidence(msgspec.Struct, frozen=True, omit_defaults=True):
    """A window that an alert rests on; `reference` is what the rule compares it with, where it does."""

    window_start_ms: int
    window_end_ms: int
    value: float
    n: int
    low: float | None = None
    baseline: float | None = None
    revision: int = 0
    reference: float | None = None


class Alert(msgspec.Struct, frozen=True, omit_defaults=True):
    """The state of one alert: the `data` of its CloudEvent. `sequence` counts the changes of this alert from 1.

    `alert` is its name; `rule` the one, of those that share the alert, which led to this change.
    """

    id: str
    deployment: str
    rule: str
    metric: str
    feature: str
    segment: str
    model: str
    severity: Severity
    phase: AlertPhase
    sequence: int
    since_ms: int
    changed_ms: int
    limit: float
    windows: tuple[Evidence, ...] = ()
    late: bool = False
    text: str = ""
    alert: str = ""


class AlertEvent(msgspec.Struct, frozen=True, omit_defaults=True):
    """An alert's change of state as a CloudEvent 1.0 in structured JSON. `time` is event time, RFC 3339."""

    id: str
    source: str
    type: str
    subject: str
    time: str
    data: Alert
    specversion: str = "1.0"
    datacontenttype: str = "application/json"


class DeadLetter(msgspec.Struct, frozen=True):
    """What could not be read: where it was, why, how large, and its first 64 kB (base64 in JSON)."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    reason: str
    size_bytes: int
    key: bytes | None
    value: bytes


class Heartbeat(msgspec.Struct, frozen=True):
    """What a worker says of itself.

    `partitions`: lag in records by "topic-partition". `restoring`: share done, 0 to 1, of each changelog partition.
    `skipped`: records that this process read and could not use, as no dead letter is theirs; its log or
    docs/bad-input.md says why.
    """

    role: str
    worker: str
    at_ms: int
    started_ms: int
    partitions: dict[str, int]
    restoring: dict[str, float]
    revisions: dict[str, int]
    batches: int
    records: int
    skipped: int = 0
