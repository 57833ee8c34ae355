"""Area under the ROC curve of each class against the rest, from histograms: over classes, and weighted by actual rows.

64 bins in logit: the unbinned mean is within the mean of the classes' certificates (`monitors.histograms.roc_area`),
which is the `bound`. A class without actuals in the window is left out, and `one_class` said. The interval takes the
classes' errors as going together (`monitors.class_means.averaged_apart`): it is rather too wide. Up to 20 classes.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from monitors.bins import CLASS_BINS, bin_count
from monitors.class_means import averaged_apart
from monitors.folds.terms import AGAINST_REST, MOST_CLASSES
from monitors.histograms import RocArea, roc_area
from monitors.metrics import targets
from monitors.metrics.intervals import around
from monitors.metrics.protocol import Metric, Value
from monitors.summary import Summary
from schemas.observation import Kind, Reason
from schemas.package import Package

_WIDTH = bin_count(CLASS_BINS)


def areas(summary: Summary, package: Package) -> list[tuple[RocArea, int]]:
    """The area of each class that has actuals, and others beside it, with its actual rows; in the order of classes."""
    found = []
    for code in range(len(package.target.classes)):
        counts = np.maximum(summary.vector(f"{AGAINST_REST}{code}", 2 * _WIDTH), 0)
        rest, own = counts[: _WIDTH - 1], counts[_WIDTH:-1]  # a NaN is in the last bin of each
        if rest.any() and own.any():
            found.append((roc_area(own, rest), int(own.sum())))
    return found


def applies(package: Package) -> bool:
    """More than two classes, and few enough for histograms of each."""
    return targets.multiclass(package) and len(package.target.classes) <= MOST_CLASSES


def _metric(name: str, *, weighted: bool) -> Metric:
    def compute(summary: Summary, package: Package, feature: str = "") -> Value:
        del feature
        baseline = targets.holdout(package, name)
        n = max(0, summary.count(f"{AGAINST_REST}0"))
        found = areas(summary, package)
        if not found:
            nothing = Reason.NO_PROBABILITY if summary.count("matched") > 0 else Reason.EMPTY
            return Value(None, n=n, baseline=baseline, reason=Reason.ONE_CLASS if n else nothing)
        values, errors, certificates = np.array(
            [(one.value, one.standard_error, one.certificate) for one, _ in found]
        ).T
        rows = np.array([rows if weighted else 1 for _, rows in found], np.float64)
        value, error = averaged_apart(values, errors, rows, n if weighted else None)
        warning = None if len(found) == len(package.target.classes) else Reason.ONE_CLASS
        bound = float(np.average(certificates, weights=rows))
        return replace(around(value, error, n, baseline, (0.0, 1.0), warning), bound=bound)

    return Metric(name, Kind.ACCURACY, applies, compute)


METRICS = (_metric("auc_macro", weighted=False), _metric("auc_weighted", weighted=True))
