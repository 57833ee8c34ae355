"""From the signs of a window to what may be the matter with it (STATISTICS section 9): the first cause that fits.

Rules, in their order; the causes that fit as well are listed:
1. Bad values of a feature that drifts: `data_quality`.
2. Outcomes in other shares, as the predictions alone foretell, while the model says of each class what it always said:
   `label_shift`. It is asked before concept drift, because other shares of the classes change what a score means, too.
3. Predictions drift and inputs do not: `pipeline_or_version_change`. A model is a function of its inputs: where the
   world changes what they mean, predictions stay where they were. So this goes before concept drift, too.
4. Losses are not what the scores made one expect: `concept_drift`, with input drift `data_and_concept_drift`.
5. Input drift, and losses as expected: `data_drift` where they are higher than on holdout, else `data_drift_harmless`.
6. Too few outcomes to tell, or what they tell could be undone by those that are pending: `not_resolved`.

Input drift is that of an important feature, of more than 3 others, or of any feature where predictions drift as well.
Detectors and a replaced model are evidence that is told; they are no rule of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from monitors.importance import OTHERS_FAILING
from schemas.diagnosis import Cause, Evidence, Sign


@dataclass(frozen=True, slots=True)
class Findings:
    """What the signs say. `changed` (losses beside what was expected of the same rows) is None where it is not known.

    `moved`: any input drifts; `drifted`: so that it matters. `worse`: losses are higher; None likewise.
    """

    bad_values: bool = False
    moved: bool = False
    drifted: bool = False
    predictions: bool = False
    shifted: bool = False
    changed: bool | None = None
    worse: bool | None = False


Rule = Callable[[Findings], bool]
RULES: tuple[tuple[Cause, Rule], ...] = (
    (Cause.DATA_QUALITY, lambda found: found.bad_values),
    (Cause.LABEL_SHIFT, lambda found: found.shifted),
    (Cause.PIPELINE_OR_VERSION_CHANGE, lambda found: found.predictions and not found.moved),
    (Cause.CONCEPT_DRIFT, lambda found: found.changed is True and not found.drifted),
    (Cause.DATA_AND_CONCEPT_DRIFT, lambda found: found.changed is True and found.drifted),
    (Cause.DATA_DRIFT, lambda found: found.drifted and found.changed is False and found.worse is True),
    (Cause.DATA_DRIFT_HARMLESS, lambda found: found.drifted and found.changed is False and found.worse is False),
    (
        Cause.NOT_RESOLVED,
        lambda found: found.changed is None or (found.changed is False and found.drifted and found.worse is None),
    ),
)


def causes(found: Findings) -> tuple[Cause, ...]:
    """Every cause that fits, the one to name first; `none` where none does.

    >>> [cause.value for cause in causes(Findings(changed=True, moved=True, drifted=True, bad_values=True))]
    ['data_quality', 'data_and_concept_drift']
    >>> [cause.value for cause in causes(Findings(changed=False))]
    ['none']
    """
    return tuple(cause for cause, fits in RULES if fits(found)) or (Cause.NONE,)


def findings(signs: Iterable[Sign]) -> Findings:
    """What signs say together.

    A label shift is a prior that moved in the actuals and as foretold, with the meaning of a score, and no class of
    which the model says other things than before.

    >>> drift = Sign(Evidence.MINOR_DRIFT, "psi", "age", 0.3, speaks=True)
    >>> findings([drift]).drifted, findings([drift, Sign(Evidence.PREDICTION_DRIFT, "psi", speaks=True)]).drifted
    (False, True)
    """
    signs = tuple(signs)
    asked = {sign.evidence for sign in signs}
    spoken = [sign.evidence for sign in signs if sign.speaks]
    early = {sign.evidence for sign in signs if sign.provisional}.difference(spoken)
    minor, predictions = spoken.count(Evidence.MINOR_DRIFT), Evidence.PREDICTION_DRIFT in spoken
    drifted = Evidence.IMPORTANT_DRIFT in spoken or minor > OTHERS_FAILING or (minor > 0 and predictions)
    is_known = Evidence.LOSS_GIVEN_SCORE in asked - early
    changed = Evidence.LOSS_GIVEN_SCORE in spoken if is_known else None
    same_classes = Evidence.CLASSES_CHANGED in asked - early and Evidence.CLASSES_CHANGED not in spoken
    foretold = {Evidence.PRIOR, Evidence.FORETOLD_PRIOR} <= set(spoken)
    return Findings(
        bad_values=Evidence.QUALITY in spoken,
        moved=drifted or minor > 0,
        drifted=drifted,
        predictions=predictions,
        shifted=foretold and same_classes and changed is True,
        changed=changed,
        worse=None if Evidence.LOSS in early else Evidence.LOSS in spoken,
    )
