"""Roll-ups on read: from the base buckets of a deployment to every metric of any window.

Rules:
- A window is the sum of the buckets that start inside it. Sums are of integers, so the way to it does not matter: a
  month of hours, of days, or of one big bucket are the same bytes, and so the same values.
- Old buckets were added up (`monitors.ageing`): a window that cuts one is widened to all of it, and a shorter earlier
  period is not compared with.
- Nothing here is state: what the evaluator said of its own windows stays as it said it, with its revisions.
- Against an earlier period, that period's counts take the place of the training baseline's, bin by bin: distances are
  then distances from it. All other metrics have its value as their baseline. Where it had no rows a distance has no
  value: what training was does not stand in for it.
- A drift status that is unknown for too few rows rests on the shortest roll-up with enough of them (STATISTICS section
  3) of those that end with the window: an hour, 6 hours, a day, a week. They slide, so they are for people; what alert
  rules read shares no row.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from functools import partial

import msgspec
import numpy as np

from monitors import whole
from monitors.ageing import AGED_KINDS, cuts_ms, least_ms, placed
from monitors.bins import bin_count
from monitors.metrics import METRICS
from monitors.metrics import Metric as Definition
from monitors.metrics.drift import CLIPPED, FEATURE, PREDICTION
from monitors.periods import Ago, Period, Range, before, period_of
from monitors.summary import Summary
from monitors.valuation import metrics_of_window
from monitors.windows import Series, WindowId
from schemas.deployment import DAY_MS, HOUR_MS, Deployment
from schemas.observation import Kind, Metric, Reason, Status
from schemas.package import Baseline, Bins, NumericBins, Package

ROLL_UPS_MS = {
    Period.HOUR: HOUR_MS,
    Period.SIX_HOURS: 6 * HOUR_MS,
    Period.DAY: DAY_MS,
    Period.WEEK: 7 * DAY_MS,
}
"""Lengths of what a drift status may rest on, the shortest first."""


class Buckets:
    """Base buckets by series, for reading.

    >>> rows = Series(Kind.PREDICTIONS, "m", "")
    >>> buckets = Buckets((rows, hour, Summary({"rows": np.array([1])})) for hour in range(48))
    >>> buckets.total(rows, Range(6, 30)).count("rows")
    24
    """

    def __init__(self, rows: Iterable[tuple[Series, int, Summary]]) -> None:
        self._found: dict[Series, dict[int, Summary]] = {}
        for series, start_ms, summary in rows:
            known = self._found.setdefault(series, {}).setdefault(start_ms, Summary())
            known.add(summary)
        self._starts = {series: sorted(found) for series, found in self._found.items()}

    @property
    def series(self) -> list[Series]:
        """Those that have a bucket, sorted."""
        return sorted(self._starts)

    def extent(self) -> Range | None:
        """From the start of the first bucket to just after the start of the last; None without any."""
        if not self._starts:
            return None
        first = min(starts[0] for starts in self._starts.values())
        return Range(first, max(starts[-1] for starts in self._starts.values()) + 1)

    def holds(self, series: Series, window: Range) -> bool:
        """Whether a bucket of the series starts in the window."""
        return bool(self._inside(series, window))

    def total(self, series: Series, window: Range) -> Summary:
        """The sum of the buckets that start in the window; empty where none does."""
        total = Summary()
        for start_ms in self._inside(series, window):
            total.add(self._found[series][start_ms])
        return total

    def each(self, series: Series) -> Iterator[tuple[int, Summary]]:
        """Start and content of every bucket of a series, in time order; not to be changed."""
        for start_ms in self._starts.get(series, []):
            yield start_ms, self._found[series][start_ms]

    def rolled(self, period: Period) -> Buckets:
        """The same in larger buckets: what many overlapping windows are summed from."""
        return Buckets(
            (series, period_of(start_ms, period).start_ms, summary)
            for series, found in self._found.items()
            for start_ms, summary in found.items()
        )

    def _inside(self, series: Series, window: Range) -> list[int]:
        starts = self._starts.get(series, [])
        return starts[bisect_left(starts, window.start_ms) : bisect_left(starts, window.end_ms)]


class Comparison(msgspec.Struct, frozen=True):
    """A metric against an earlier period: `before` is None where that had no rows of the same model.

    `change` is value - value before; for a distance it is None, as the value itself is the distance from before. What
    `before` has of a distance was measured from training: the two are not to be compared (`is_distance`).
    """

    metric: Metric
    before: Metric | None
    change: float | None


class Reader:
    """Values of one deployment's windows. `package_of` answers None for a model that is not known.

    `watermark_ms`: how far event time has come; windows that end before it, the grace included, are closed.
    """

    def __init__(
        self,
        buckets: Buckets,
        deployment: Deployment,
        package_of: Callable[[str], Package | None],
        *,
        watermark_ms: int | None = None,
        definitions: Iterable[Definition] | None = None,
    ) -> None:
        self.buckets = buckets
        self._deployment = deployment
        self._package_of = partial(whole.package_of, package_of)
        self._watermark_ms = watermark_ms
        self._definitions = tuple(METRICS.values() if definitions is None else definitions)
        self._rolled: dict[tuple[str, Series, Range], dict[str, Metric]] = {}

    def metrics(self, windows: Iterable[Range]) -> Iterator[Metric]:
        """Every metric of every series that has rows in a window."""
        for series, window in self._places(windows):
            package = self._package_of(series.model)
            if package is not None and self.buckets.holds(series, window):
                yield from self._values(series, window, package)

    def compared(self, windows: Iterable[Range], ago: Ago) -> Iterator[Comparison]:
        """Every metric against the period before, or the same one some time ago."""
        for series, window in self._places(windows):
            earlier = before(window, ago)
            package = self._package_of(series.model)
            if package is None or not self.buckets.holds(series, window):
                continue
            then = {_name(one): one for one in self._values(series, earlier, package)}
            known = self.buckets.holds(series, earlier) and self.whole(series, earlier) == earlier
            if known:
                values = self._values(series, window, self._rebased(package, series, earlier))
            else:
                values = self._values_alone(series, window, package)
            for metric in values:
                yield _comparison(metric, then[_name(metric)] if known and _name(metric) in then else None)

    def rolled_up(self, metric: Metric) -> Metric | None:
        """The same drift metric on the roll-up that its status rests on; None where it is its own window, or none.

        The buckets of a week before the window's end have to be known here.
        """
        definition, package = METRICS.get(metric.metric), self._package_of(metric.model)
        if definition is None or package is None or not is_too_small(metric):
            return None
        series = Series(definition.kind, metric.model, metric.segment)
        for length_ms in ROLL_UPS_MS.values():
            window = Range(metric.window_end_ms - length_ms, metric.window_end_ms)
            if window.start_ms >= metric.window_start_ms or self.whole(series, window) != window:
                continue
            place = definition.name, series, window
            if place not in self._rolled:
                values = self._values(series, window, package, (definition,))
                self._rolled[place] = {each.feature: each for each in values}
            found = self._rolled[place].get(metric.feature)
            if found is not None and found.status not in (None, Status.UNKNOWN):
                return found
        return None

    def whole(self, series: Series, window: Range) -> Range:
        """The window with all of the buckets that it cuts, as long as these are by now."""
        if self._watermark_ms is None or series.kind not in AGED_KINDS:
            return window
        cuts = cuts_ms(self._deployment.settings.bucket, self._watermark_ms)
        start_ms, last_ms = placed(np.array([window.start_ms, window.end_ms - 1]), cuts).tolist()
        length_ms = least_ms(window.end_ms - 1, cuts)
        return Range(start_ms, last_ms + length_ms if length_ms else window.end_ms)

    def _places(self, windows: Iterable[Range]) -> Iterator[tuple[Series, Range]]:
        places = ((series, self.whole(series, window)) for window in windows for series in self.buckets.series)
        yield from dict.fromkeys(places)

    def _values(
        self, series: Series, window: Range, package: Package, definitions: Iterable[Definition] | None = None
    ) -> Iterator[Metric]:
        closed = (
            self._watermark_ms is not None and self._watermark_ms >= window.end_ms + self._deployment.settings.grace_ms
        )
        return metrics_of_window(
            WindowId(window.start_ms, window.end_ms, series),
            self.buckets.total(series, window),
            deployment=self._deployment,
            package=package,
            definitions=self._definitions if definitions is None else definitions,
            closed=closed,
        )

    def _values_alone(self, series: Series, window: Range, package: Package) -> Iterator[Metric]:
        """Of a window that nothing came before: no value of a distance, and no status that rests on training."""
        nothing = rebased(package, Summary(), Summary())
        alone = {_name(one): one for one in self._values(series, window, nothing)}
        for metric in self._values(series, window, package):
            bare = alone.get(_name(metric))
            if bare is None and series.kind is Kind.FEATURES:
                continue  # of training alone, as the joint statistics: not told against an earlier period either
            if bare is not None and is_distance(bare):
                yield msgspec.structs.replace(bare, status=None)
            elif metric.baseline is not None:
                yield msgspec.structs.replace(metric, baseline=None, status=None, borderline=False)
            else:
                yield metric

    def _rebased(self, package: Package, series: Series, window: Range) -> Package:
        features, answers = (
            self.buckets.total(series._replace(kind=kind), window) for kind in (Kind.FEATURES, Kind.PREDICTIONS)
        )
        return rebased(package, features, answers)


def roll_up_of(metric: Metric) -> Period:
    """Which of `ROLL_UPS_MS` the window of a metric is, by its length."""
    length_ms = metric.window_end_ms - metric.window_start_ms
    return next(period for period, each_ms in ROLL_UPS_MS.items() if each_ms == length_ms)


def is_too_small(metric: Metric) -> bool:
    """Whether the status of a drift metric is unknown because its window has too few rows."""
    definition = METRICS.get(metric.metric)
    is_of_drift = definition is not None and definition.drift is not None
    return is_of_drift and metric.status is Status.UNKNOWN and metric.reason is Reason.TOO_FEW_ROWS


def is_distance(metric: Metric) -> bool:
    """Whether a metric is measured from a baseline, so that without one it has no value."""
    definition = METRICS.get(metric.metric)
    return metric.reason is Reason.NO_BASELINE or (definition is not None and definition.drift is not None)


def rebased(package: Package, features: Summary, answers: Summary) -> Package:
    """The package with a period's counts in the place of its training baseline's; edges and units stay.

    What was learned of the training baseline alone (values on holdout, tolerances) is left out.
    """
    baseline = package.baseline
    mine = {
        name: _counted(bins, features, FEATURE.format(name), CLIPPED.format(name))
        for name, bins in baseline.features.items()
    }
    prediction = None if baseline.prediction is None else _counted(baseline.prediction, answers, PREDICTION)
    earlier = Baseline(rows=max(features.count("rows"), 0), features=mine, prediction=prediction, units=baseline.units)
    return msgspec.structs.replace(package, baseline=earlier)


def _counted(bins: Bins, summary: Summary, name: str, clipped: str = "") -> Bins:
    size = bin_count(bins)
    counts = np.maximum(summary.vector(name, size)[:size], 0)
    counted = msgspec.structs.replace(bins, counts=tuple(counts.tolist()))
    if not isinstance(counted, NumericBins) or counted.clipped is None:
        return counted
    present = len(counted.edges) + 1
    sums = tuple(summary.vector(clipped, present)[:present].tolist())
    return msgspec.structs.replace(counted, clipped=msgspec.structs.replace(counted.clipped, sums=sums))


def _comparison(metric: Metric, then: Metric | None) -> Comparison:
    definition = METRICS.get(metric.metric)
    if definition is not None and (definition.drift is not None or definition.kind is Kind.FEATURES):
        return Comparison(metric, then, None)
    value = None if then is None else then.value
    change = metric.value - value if metric.value is not None and value is not None else None
    return Comparison(msgspec.structs.replace(metric, baseline=value), then, change)


def _name(metric: Metric) -> tuple[str, str]:
    return metric.metric, metric.feature
