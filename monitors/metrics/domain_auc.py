"""How well a classifier tells a window's rows from those of training: AUC, 0.5 where nothing changed.

Trained once a window has closed, and again where its sample changed later, on the samples of both (`monitors.domain`);
`n` is the number of the window's rows in its sample. Drift where the interval is above 0.5 and the AUC at least 0.55
(at risk) or 0.65 (failing): STATISTICS section 5. Not applicable where no rows are kept (the setting `row_sample`), as
in segments.

>>> import numpy as np
>>> from monitors.sample import sampling_hashes
>>> from schemas.package import Baseline, CategoricalBins, Target, TargetType
>>> hashes = [sampling_hashes([b"%s %d" % (name, row) for row in range(1_000)]) for name in (b"before", b"now")]
>>> plans = [(np.arange(1_000) % 10 >= moved).astype(np.uint8)[:, None] for moved in (5, 2)]  # half, then 80 % in one
>>> before, now = (Sample.of(*each) for each in zip(hashes, plans, strict=True))
>>> bins = {"plan": CategoricalBins(("a", "b"), (500, 500, 0, 0, 0))}
>>> baseline = Baseline(features=bins, sample=before.encode())
>>> package = Package("m", "1", "m", Target("y", TargetType.REGRESSION), (), "onnx", baseline)
>>> found = METRIC.compute(Summary(sample=now), package, "")  # 0.65 by the shares: (1 + 0.8 - 0.5) / 2
>>> f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"
'0.660 [0.630, 0.688]'
"""

from __future__ import annotations

from functools import lru_cache, partial

from monitors.domain import domain_area
from monitors.histograms import RocArea
from monitors.metrics.protocol import Compute, Judgement, Metric, Value
from monitors.sample import LEFT_OUT, Sample
from monitors.summary import Summary
from schemas.deployment import JointStatistic, Limits, Settings
from schemas.observation import Kind, Reason, Status
from schemas.package import Bins, Package

NAME = JointStatistic.DOMAIN_AUC.value
LIMITS = Limits(0.55, 0.65)
_CHANCE = 0.5
_KEPT_AREAS = 256


def _has_sample(package: Package) -> bool:
    return bool(package.baseline.sample)


def _compute(summary: Summary, package: Package, feature: str = "", *, excluded: tuple[str, ...] = ()) -> Value:
    del feature
    if summary.sample is None:
        return Value(None, reason=Reason.NOT_APPLICABLE if summary.count("rows") > 0 else Reason.EMPTY)
    hashes, codes = summary.sample.live()
    kept = ~(codes == LEFT_OUT).any(axis=0)
    features = list(enumerate(sorted(package.baseline.features.items())))[: kept.size]
    watched = {place: bins for place, (name, bins) in features if kept[place] and name not in excluded}
    if not watched:
        return Value(None, n=hashes.size, reason=Reason.NOT_APPLICABLE)
    area = _area(tuple(watched.items()), package.baseline.sample, summary.sample.encode())
    if area is None:
        return Value(None, n=hashes.size, reason=Reason.TOO_FEW_ROWS)
    return Value(area.value, area.low, area.high, hashes.size)


@lru_cache(maxsize=_KEPT_AREAS)
def _area(watched: tuple[tuple[int, Bins], ...], baseline: bytes, window: bytes) -> RocArea | None:
    """Of the columns `watched`; remembered, as late rows mostly leave a sample as it is."""
    places = [place for place, _ in watched]
    samples = (Sample.decode(body) for body in (baseline, window))
    before, now = ((hashes, codes[:, places]) for hashes, codes in (sample.live() for sample in samples))
    return domain_area([bins for _, bins in watched], before, now)


def _configured(settings: Settings) -> Compute:
    return partial(_compute, excluded=settings.excluded)


def _judge(value: Value, feature: str, settings: Settings, closed: bool) -> Judgement:  # noqa: FBT001 -- the protocol's
    del feature, closed
    if value.value is None:
        return Judgement(Status.UNKNOWN, reason=value.reason)
    limits = settings.thresholds.statistics.get(NAME, LIMITS)
    low = value.value if value.low is None else value.low
    high = value.value if value.high is None else value.high
    borderline = any(low <= limit <= high for limit in (limits.at_risk, limits.failing))
    if low <= _CHANCE or value.value < limits.at_risk:
        return Judgement(Status.PASSING, borderline)
    return Judgement(Status.AT_RISK if value.value < limits.failing else Status.FAILING, borderline)


METRIC = Metric(NAME, Kind.FEATURES, _has_sample, _compute, judge=_judge, configure=_configured, at_close=True)
