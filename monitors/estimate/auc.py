"""Area under the ROC curve, from the positives and negatives that are expected in each score bin; ties count half."""

from __future__ import annotations

import numpy as np

from monitors.estimate.protocol import Estimated
from monitors.estimate.scores import Expected, Floats, of_scores
from schemas.observation import Reason


def swept(found: Expected) -> tuple[float, Floats] | Reason:
    """The area and its slope, `(v10 - AUC)/P - (v01 - AUC)/N`, with the shares of the other class below and above."""
    p, n = found.positives, found.negatives
    of_p, of_n = float(p.sum()), float(n.sum())
    if of_p <= 0 or of_n <= 0:
        return Reason.NO_NEGATIVES if of_p > 0 else Reason.NO_POSITIVES
    wins = (np.cumsum(n) - n / 2) / of_n
    losses = (of_p - np.cumsum(p) + p / 2) / of_p
    value = float((p * wins).sum() / of_p)
    return value, (wins - value) / of_p - (losses - value) / of_n


def area(found: Expected) -> Estimated:
    """The area with its errors."""
    known = swept(found)
    return Estimated(None, round(found.n), reason=known) if isinstance(known, Reason) else found.estimated(*known)


ESTIMATE = of_scores("auc", area)
