"""Label shift: how the shares of classes changed, told from predictions alone (BBSE, STATISTICS section 8).

Black-box shift estimation (Lipton, Wang, Smola, ICML 2018, arXiv 1802.03916): if what belongs to a class still looks as
it did on holdout, the shares q of predicted classes are `A prior`, `A[i][j] = P(predicted i | class j)` on holdout, and
solving for the prior tells how often each class is there now. Valid only if no feature drifts given the class.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from schemas.observation import Reason

Floats = NDArray[np.float64]

_WORST_CONDITION = 20.0
_LEAST_GAP = 0.1


@dataclass(frozen=True, slots=True)
class Prior:
    """Shares of classes now: at least 0, of sum 1; `covariance` of the solution, `before` the shares on holdout."""

    shares: Floats
    covariance: Floats
    before: Floats

    @property
    def errors(self) -> Floats:
        """Standard errors of the shares, from the number of predictions."""
        return np.sqrt(np.maximum(np.diagonal(self.covariance), 0.0))

    def moved(self) -> tuple[float, float]:
        """Half of the sum of the changes (total variation) and its standard error."""
        change = self.shares - self.before
        sign = np.sign(change)
        variance = max(float(sign @ self.covariance @ sign), 0.0)
        return float(np.abs(change).sum()) / 2, variance**0.5 / 2


def prior_of(joint: ArrayLike, predicted: ArrayLike) -> Prior | Reason:
    """The shares of classes behind the counts `predicted`, by the holdout rows `joint[predicted][actual]`.

    `ill_conditioned` where the classes are told apart too badly: a condition number above 20, or, of two classes, a
    difference between true and false positive rate below 0.1.

    >>> found = prior_of([[900, 200], [100, 800]], [1520, 480])
    >>> f"{found.shares[1]:.3f} +- {found.errors[1]:.4f}"
    '0.200 +- 0.0136'
    """
    table, counts = np.asarray(joint, np.float64), np.asarray(predicted, np.float64)
    n = float(counts.sum())
    if not table.size:
        return Reason.NO_BASELINE
    if n <= 0:
        return Reason.EMPTY
    actual = table.sum(axis=0)
    confusion = _confusion(table)
    if confusion is None:
        return Reason.ILL_CONDITIONED
    shares = counts / n
    inverse = np.linalg.inv(confusion)
    solved = np.maximum(inverse @ shares, 0.0)
    spread = (np.diag(shares) - np.outer(shares, shares)) / n
    return Prior(solved / solved.sum(), inverse @ spread @ inverse.T, actual / actual.sum())


def unexplained(joint: ArrayLike, matched: ArrayLike) -> tuple[Floats, Floats] | None:
    """How far the shares told from predictions are from those that came true, with standard errors; None: untold.

    Of the same rows `matched[actual][predicted]`, so that what is left is how far the model says other things of a
    class than it did on holdout: `A^-1 (q - A r)`, r and q the shares of actual and predicted classes. Its noise is
    that of what is said of r_j n rows of class j, and of m_j holdout rows: `sum_j (r_j / n + r_j^2 / m_j) cov(A_j)`.

    >>> table = [[900, 200], [100, 800]]
    >>> left, error = unexplained(table, [[450, 50], [100, 400]])
    >>> bool(abs(left).max() < 1e-12), f"{error[1]:.4f}"
    (True, '0.0196')
    """
    table, rows = np.asarray(joint, np.float64), np.asarray(matched, np.float64)
    n, confusion = float(rows.sum()), _confusion(table) if table.size else None
    if confusion is None or n <= 0:
        return None
    actual, predicted, known = rows.sum(axis=1) / n, rows.sum(axis=0) / n, table.sum(axis=0)
    inverse = np.linalg.inv(confusion)
    weights = actual / n + actual * actual / known
    spread = np.diag(confusion @ weights) - (confusion * weights) @ confusion.T
    variance = np.diagonal(inverse @ spread @ inverse.T)
    return inverse @ predicted - actual, np.sqrt(np.maximum(variance, 0.0))


def _confusion(table: Floats) -> Floats | None:
    """What is said of each class, by columns; None where the classes are told apart too badly."""
    actual = table.sum(axis=0)
    if not actual.all():
        return None
    confusion: Floats = table / actual
    if np.linalg.cond(confusion) > _WORST_CONDITION or (
        actual.size == 2 and confusion[1, 1] - confusion[1, 0] < _LEAST_GAP  # noqa: PLR2004  # two classes
    ):
        return None
    return confusion
