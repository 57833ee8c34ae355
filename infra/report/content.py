"""What the report shows, as plain values: whoever fills it in knows of windows and metrics, who draws it does not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infra.fair import Fair


@dataclass(frozen=True, slots=True)
class Point:
    """A value of one window; None with a reason where there is none. `note` is said beside it (coverage, state).

    `state` of accuracy: estimate, partial or final. `estimate`: what was to be expected without any outcome.
    """

    start_ms: int
    value: float | None
    low: float | None = None
    high: float | None = None
    status: str = ""
    note: str = ""
    state: str = ""
    estimate: float | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """A value over time, with levels that mean something (thresholds, the value on holdout) by their names.

    `beside`: the same of others, as of challengers, by their names.
    """

    name: str
    points: tuple[Point, ...]
    levels: tuple[tuple[str, float], ...] = ()
    from_zero: bool = True
    unit: str = ""
    beside: tuple[tuple[str, tuple[Point, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class Histogram:
    """Shares of rows by bin, 0 to 1, in training and in the window."""

    labels: tuple[str, ...]
    baseline: tuple[float, ...]
    window: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class FeatureSection:
    """One feature: how it drifts in the newest window, how it looks, and how it came there.

    `limits`: from where on its drift is at risk, and failing. `statistics`: drift by other measures, by their names.
    `unseen`: categories that training never saw, with their rows, in the newest window.
    """

    name: str
    weight: float
    important: bool
    starred: bool
    quadrant: str
    status: str
    newest: Point | None
    n: int
    histogram: Histogram | None
    drift: Line
    limits: tuple[float, float]
    quality: tuple[tuple[str, Point], ...] = ()
    statistics: tuple[tuple[str, Point], ...] = ()
    unseen: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Mover:
    """A feature's share in what moves the predictions, its rank by it, and both on holdout where known."""

    feature: str
    share: Point
    rank: int
    before: float | None
    rank_before: int | None
    mean: float | None


@dataclass(frozen=True, slots=True)
class StatusTile:
    """A stage of monitoring: its status in a word, and why."""

    stage: str
    status: str
    why: str


@dataclass(frozen=True, slots=True)
class AlertRow:
    """An alert and the windows that it rests on."""

    since_ms: int
    changed_ms: int
    phase: str
    severity: str
    text: str
    windows: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class ThreeWays:
    """A metric of all that is matched (naive), of what is old enough (resolved), and what a rate may still become."""

    metric: str
    naive: Point
    naive_rows: int
    resolved: Point
    resolved_rows: int
    lowest: float | None
    highest: float | None


@dataclass(frozen=True, slots=True)
class LateLabels:
    """How many outcomes are in, how long they take (share, age, interval, age of the matched alone), and the bias."""

    sentences: tuple[str, ...]
    delays: tuple[tuple[str, str, str, str], ...]
    metrics: tuple[ThreeWays, ...]


@dataclass(frozen=True, slots=True)
class Told:
    """Rows that were told alike: their mean prediction and actual, with an interval where the actual is a rate."""

    rows: int
    predicted: float
    actual: Point


@dataclass(frozen=True, slots=True)
class Against:
    """Predicted against actual in the range: by bin of the prediction, and rows by actual and predicted class."""

    told: tuple[Told, ...]
    classes: tuple[str, ...] = ()
    rows: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Beside:
    """A challenger beside a champion: the loss that it saves, of `rows` resolved predictions made before a day.

    `saved.status` is the finding in a word (better, worse, equivalent, undecided), `saved.note` what is to be added.
    `overtaken`: all rows by now speak against it.
    """

    challenger: str
    champion: str
    loss: str
    saved: Point
    rows: int
    until: str
    known: float | None
    known_rows: int
    overtaken: bool = False


@dataclass(frozen=True, slots=True)
class Diagnosed:
    """What may have been the matter in a window, what else, and what speaks for it."""

    start_ms: int
    model: str
    cause: str
    also: str
    known: str
    evidence: str


@dataclass(frozen=True, slots=True)
class Behind:
    """A role, of all deployments: workers that are heard, what they have still to read, and why not to trust that."""

    role: str
    workers: int
    lag: str
    doubt: str


@dataclass(frozen=True, slots=True)
class Protected:
    """A protected feature: what its groups get in the range, and over time, group by group.

    `champion` and `challengers` are the models' names as `fair` has them.
    """

    fair: Fair
    champion: str
    challengers: tuple[str, ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """One deployment in one range of windows. `facts` are pairs for the head of the page.

    `has_importances`: whether features weigh differently; where not, there is nothing to cross drift with. `labels` are
    None where nothing was predicted; challengers are compared, and windows diagnosed, as of now whatever the range.
    `assumption` is what estimates rest on, "" where there are none.
    """

    deployment: str
    facts: tuple[tuple[str, str], ...]
    tiles: tuple[StatusTile, ...]
    weighted_drift: float | None
    has_importances: bool
    features: tuple[FeatureSection, ...]
    joint: tuple[Line, ...]
    prediction: Histogram | None
    predictions: tuple[Line, ...]
    health: tuple[Line, ...]
    accuracy: tuple[Line, ...]
    quality: tuple[Line, ...]
    alerts: tuple[AlertRow, ...]
    labels: LateLabels | None = None
    challengers: tuple[Beside, ...] = ()
    diagnoses: tuple[Diagnosed, ...] = ()
    movers: tuple[Mover, ...] = ()
    against: Against | None = None
    assumption: str = ""
    behind: tuple[Behind, ...] = ()
    fairness: tuple[Protected, ...] = ()
