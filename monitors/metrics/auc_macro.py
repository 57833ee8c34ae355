"""Mean over classes of the area under the ROC curve of each class against the rest, from histograms per class.

64 bins in logit: the unbinned mean is within the mean of the classes' certificates (`monitors.histograms.roc_area`),
which is the `bound`. A class without actuals in the window is left out, and `one_class` said. The interval takes the
classes' errors as going together, the worst that they can do, as the histograms do not say how they go: it is rather
too wide. Up to 20 classes.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from monitors.bins import CLASS_BINS, bin_count
from monitors.folds.terms import AGAINST_REST, MOST_CLASSES
from monitors.histograms import RocArea, roc_area
from monitors.metrics import targets
from monitors.metrics.intervals import around
from monitors.metrics.protocol import Metric, Value
from monitors.summary import Summary
from schemas.observation import Kind, Reason
from schemas.package import Package

_WIDTH = bin_count(CLASS_BINS)


def areas(summary: Summary, package: Package) -> dict[str, RocArea]:
    """The area of each class that has actuals, and others beside it."""
    found = {}
    for code, name in enumerate(package.target.classes):
        counts = np.maximum(summary.vector(f"{AGAINST_REST}{code}", 2 * _WIDTH), 0)
        rest, own = counts[: _WIDTH - 1], counts[_WIDTH:-1]  # a NaN is in the last bin of each
        if rest.any() and own.any():
            found[name] = roc_area(own, rest)
    return found


def _applies(package: Package) -> bool:
    return targets.multiclass(package) and len(package.target.classes) <= MOST_CLASSES


def _compute(summary: Summary, package: Package, feature: str = "") -> Value:
    del feature
    baseline = targets.holdout(package, "auc_macro")
    n = max(0, summary.count(f"{AGAINST_REST}0"))
    found = list(areas(summary, package).values())
    if not found:
        nothing = Reason.NO_PROBABILITY if summary.count("matched") > 0 else Reason.EMPTY
        return Value(None, n=n, baseline=baseline, reason=Reason.ONE_CLASS if n else nothing)
    value, error, bound = (
        float(np.mean([getattr(one, name) for one in found])) for name in ("value", "standard_error", "certificate")
    )
    warning = None if len(found) == len(package.target.classes) else Reason.ONE_CLASS
    return replace(around(value, error, n, baseline, (0.0, 1.0), warning), bound=bound)


METRIC = Metric("auc_macro", Kind.ACCURACY, _applies, _compute)
