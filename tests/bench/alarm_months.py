"""Simulated months of a deployment with 200 features, through the real evaluator's step (STATISTICS section 13).

120 numeric features, half of them with 1 % missing, and 80 categorical ones of 4 to 20 classes by Zipf's law; the
baseline is drawn anew for each month, from 20,000 rows. Rows need not be drawn one by one where features are
independent: the counts of an hour are multinomial, with the true probabilities of the baseline's bins.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from monitors.bins import numeric_bins
from monitors.evaluator import Evaluator
from monitors.metrics import METRICS
from monitors.summary import Summary as Counts
from monitors.table import MemoryTable
from schemas.deployment import HOUR_MS, Deployment, Model, Settings, Span
from schemas.observation import AlertEvent, AlertPhase, Entry, Kind, Progress, Summary
from schemas.package import Baseline, Bins, CategoricalBins, Feature, Package, Target, TargetType
from schemas.topics import Topic

NUMERIC, CATEGORICAL = 120, 80
TRAINING = 20_000
HOURS = 720
SHIFT_HOUR = 360
PURE = NUMERIC // 2  # numeric features without missing values: those that are shifted
MISSING = 0.01
TOLERANCE = 2_000.0
NAMES = tuple(f"f{place:03}" for place in range(NUMERIC + CATEGORICAL))
DIGEST = "a" * 64
SETTINGS = Settings(bucket=Span.HOUR, drift_window=Span.HOUR, accuracy_window=Span.HOUR, grace_ms=0)
TARGET = Target("y", TargetType.REGRESSION)

Reals = NDArray[np.float64]


class Stream(StrEnum):
    """How a month's rows come about."""

    PLAIN = "plain"
    CORRELATED = "correlated"
    WANDERING = "wandering"


@dataclass(frozen=True, slots=True)
class Month:
    """`rows` an hour; from hour 360 on the first `PURE` numeric features are moved by `shift` standard deviations."""

    rows: int
    seed: int
    shift: float = 0.0
    stream: Stream = Stream.PLAIN
    hours: int = HOURS


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a month. `fired`: of each firing the feature's place and the hour."""

    month: Month
    fired: list[tuple[int, int]]

    @property
    def false_alerts(self) -> int:
        """Entries into firing of features that did not change, or not yet."""
        return sum(not self._is_moved(place) or hour < SHIFT_HOUR for place, hour in self.fired)

    def delays(self) -> list[int]:
        """Windows to the first firing of each feature that was moved (1: the first); one too many where none was."""
        never = self.month.hours - SHIFT_HOUR + 1
        first: dict[int, int] = {}
        for place, hour in self.fired:
            if hour >= SHIFT_HOUR:
                first.setdefault(place, hour - SHIFT_HOUR + 1)
        return [first.get(place, never) for place in range(PURE)]

    def alerts_per_step(self) -> float:
        """How often a moved feature fired after its move, on average."""
        return sum(self._is_moved(place) and hour >= SHIFT_HOUR for place, hour in self.fired) / PURE

    def _is_moved(self, place: int) -> bool:
        return self.month.shift > 0 and place < PURE


@dataclass(frozen=True, slots=True)
class _Feature:
    """Bins with their counts in training, and the true probability of each bin at any shift."""

    bins: Bins
    shares: Callable[[float], Reals]


def lived(month: Month) -> Outcome:
    """Simulate a month."""
    life = _Life(month)
    hours = _counts(life.rng, month, life.features)
    return Outcome(month, [each for hour, counts in enumerate(hours) for each in life.hour(hour, counts)])


def delays_alone(month: Month) -> list[int]:
    """Windows to the first firing of each feature that could be moved, where it is the only one that moves.

    The hours before the move are lived through once; then a process for each feature goes on from there until the
    feature fires, or to the month's end (one window too many).
    """
    life = _Life(month)
    quiet = _counts(life.rng, replace(month, shift=0.0, hours=SHIFT_HOUR), life.features)
    for hour, counts in enumerate(quiet):
        life.hour(hour, counts)
    return [_branch(partial(_delay, life, place)) for place in range(PURE)]


def _branch(work: Callable[[], int]) -> int:
    """A small number that is found in a copy of this process."""
    child = os.fork()
    if not child:
        os._exit(work())
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _delay(life: _Life, place: int) -> int:
    month, rng = life.month, np.random.default_rng([life.month.seed, life.month.rows, place])
    for hour in range(SHIFT_HOUR, month.hours):
        shares = [each.shares(month.shift if at == place else 0.0) for at, each in enumerate(life.features)]
        fired = life.hour(hour, [rng.multinomial(month.rows, p / p.sum()) for p in shares])
        if place in {found for found, _ in fired}:
            return hour - SHIFT_HOUR + 1
    return month.hours - SHIFT_HOUR + 1


class _Life:
    """A deployment and its evaluator, hour by hour."""

    def __init__(self, month: Month) -> None:
        self.month = month
        self.rng = np.random.default_rng([month.seed, month.rows])
        self.features = [_numeric(self.rng, 0.0 if place < PURE else MISSING) for place in range(NUMERIC)]
        self.features += [_categorical(self.rng, int(self.rng.integers(4, 21))) for _ in range(CATEGORICAL)]
        self._view = _View(*_scene(self.features))
        self._evaluator = Evaluator(MemoryTable(), [METRICS["psi"]])
        self._phases: dict[str, AlertPhase] = {}

    def hour(self, hour: int, counts: list[NDArray[np.int64]]) -> list[tuple[int, int]]:
        """Take in one hour's counts and close it; place and hour of what fires."""
        rows = {"rows": np.array([self.month.rows])}
        body = Counts(rows | {f"feature:{name}": found for name, found in zip(NAMES, counts, strict=True)})
        entry = Entry(Kind.FEATURES, DIGEST, "", hour * HOUR_MS, body.encode())
        self._evaluator.step(Summary("months", (entry,)), self._view)
        tick = (hour + 1) * HOUR_MS
        progress = Progress(Topic.REQUESTS, 0, hour, caught_up=False, tick_ms=tick, event_ms={"months": tick})
        alerts = self._evaluator.step(progress, self._view).alerts
        self._evaluator.flush()
        return [(NAMES.index(event.data.feature), hour) for event in alerts if _enters(event, self._phases)]


def _enters(event: AlertEvent, phases: dict[str, AlertPhase]) -> bool:
    """Whether an alert fires that did not: one that becomes graver does already. Keeps the phase of each by its id."""
    before, now = phases.get(event.data.id), event.data.phase
    phases[event.data.id] = now
    return now is AlertPhase.FIRING and before is not AlertPhase.FIRING


@dataclass(frozen=True, slots=True)
class _View:
    known: Deployment
    model: Package

    def deployment(self, name: str) -> Deployment | None:
        return self.known if name == self.known.name else None

    def package(self, digest: str) -> Package | None:
        return self.model if digest == DIGEST else None


def _scene(features: list[_Feature]) -> tuple[Deployment, Package]:
    inputs = tuple(Feature(name) for name in NAMES)
    bins = {name: feature.bins for name, feature in zip(NAMES, features, strict=True)}
    baseline = Baseline(rows=TRAINING, features=bins, tolerance=dict.fromkeys(NAMES, TOLERANCE))
    package = Package("months", "1", DIGEST, TARGET, inputs, "linear", baseline)
    deployment = Deployment("months", 1, TARGET, inputs, Model(DIGEST, "months", "1"), settings=SETTINGS)
    return deployment, package


def _numeric(rng: np.random.Generator, missing: float) -> _Feature:
    """A normal feature: bins as a package build cuts them."""
    values = rng.normal(size=TRAINING)
    values[rng.random(TRAINING) < missing] = np.nan
    bins = numeric_bins(values)
    edges = np.array(bins.edges)

    def shares(shift: float) -> Reals:
        below = norm.cdf(edges - shift)
        return np.append(np.diff(below, prepend=0.0, append=1.0) * (1 - missing), missing)

    return _Feature(bins, shares)


def _categorical(rng: np.random.Generator, classes: int) -> _Feature:
    weights = 1 / np.arange(1, classes + 1)
    p = np.append(weights / weights.sum(), [0.0, 0.0, 0.0])
    counts = rng.multinomial(TRAINING, p)
    bins = CategoricalBins(tuple(f"c{place}" for place in range(classes)), tuple(counts.tolist()))
    return _Feature(bins, lambda _shift: p)


def _counts(rng: np.random.Generator, month: Month, features: list[_Feature]) -> Iterator[list[NDArray[np.int64]]]:
    """Hour by hour the counts of each feature."""
    if month.stream is Stream.CORRELATED:
        yield from _correlated(rng, month, features)
        return
    columns = []
    for place, feature in enumerate(features):
        moved = month.shift if place < PURE else 0.0
        parts = [(feature.shares(0.0), min(SHIFT_HOUR, month.hours)), (feature.shares(moved), month.hours - SHIFT_HOUR)]
        drawn = [_hours(rng, month, p, hours) for p, hours in parts if hours > 0]
        columns.append(np.concatenate(drawn))
    for hour in range(month.hours):
        yield [column[hour] for column in columns]


def _hours(rng: np.random.Generator, month: Month, p: Reals, hours: int) -> NDArray[np.int64]:
    p = p / p.sum()
    if month.stream is Stream.WANDERING:
        p = rng.dirichlet(np.maximum(TOLERANCE * p, 1e-9), size=hours)
        return rng.multinomial(month.rows, p)
    return rng.multinomial(month.rows, p, size=hours)


def _correlated(rng: np.random.Generator, month: Month, features: list[_Feature]) -> Iterator[list[NDArray[np.int64]]]:
    """Row by row, any two features correlated 0.5 before they are binned."""
    cuts = [norm.ppf(np.clip(np.cumsum(feature.shares(0.0))[:-1], 0, 1)) for feature in features]
    for _ in range(month.hours):
        common = rng.normal(size=(month.rows, 1))
        rows = np.sqrt(0.5) * (common + rng.normal(size=(month.rows, len(features))))
        yield [
            np.bincount(np.searchsorted(cut, rows[:, place]), minlength=cut.size + 1) for place, cut in enumerate(cuts)
        ]
