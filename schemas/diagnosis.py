"""What may be the cause of what is seen in a window of one model, with the evidence: a record on `diagnoses`."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from schemas.observation import Reason


class Cause(StrEnum):
    """What may be the matter, in the order in which it is looked for (`monitors.diagnosis`). Candidates, no proofs.

    `not_resolved`: too few outcomes are known to tell. `none`: enough are known, and nothing is found.
    """

    DATA_QUALITY = "data_quality"
    LABEL_SHIFT = "label_shift"
    PIPELINE_OR_VERSION_CHANGE = "pipeline_or_version_change"
    CONCEPT_DRIFT = "concept_drift"
    DATA_AND_CONCEPT_DRIFT = "data_and_concept_drift"
    DATA_DRIFT = "data_drift"
    DATA_DRIFT_HARMLESS = "data_drift_harmless"
    NOT_RESOLVED = "not_resolved"
    NONE = "none"


class Evidence(StrEnum):
    """What a sign is evidence of.

    `quality`: bad values of a feature that drifts, or for which requests were refused. `important_drift`,
    `minor_drift`: of inputs, by importance. `prediction_drift`: of what was answered. `prior`: classes (a number's
    actuals) came true in other shares than on holdout; `foretold_prior`: the same, told from predictions alone;
    `classes_changed`: the model says other things of a class than it did on holdout. `loss_given_score`: losses are not
    what the scores of the same rows made one expect; `loss`: they are higher than on holdout. `detector`: one found a
    change of losses; `replaced`: another model served in the window, too. These two are told and decide nothing.
    """

    QUALITY = "quality"
    IMPORTANT_DRIFT = "important_drift"
    MINOR_DRIFT = "minor_drift"
    PREDICTION_DRIFT = "prediction_drift"
    PRIOR = "prior"
    FORETOLD_PRIOR = "foretold_prior"
    CLASSES_CHANGED = "classes_changed"
    LOSS_GIVEN_SCORE = "loss_given_score"
    LOSS = "loss"
    DETECTOR = "detector"
    REPLACED = "replaced"


class Sign(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that was looked at; `speaks` where it is evidence.

    `measure` is the metric (or detector); `of` the feature, class or model that it is of. `value` stands beside
    `reference`, what it is without a cause; `error` is the standard error of their difference over `n` rows.
    `provisional`: it would speak of the outcomes that are known, but those that are pending could undo it.
    """

    evidence: Evidence
    measure: str
    of: str = ""
    value: float | None = None
    reference: float | None = None
    error: float | None = None
    n: int = 0
    speaks: bool = False
    provisional: bool = False


class Diagnosis(msgspec.Struct, frozen=True, omit_defaults=True):
    """The cause that was found first in a closed window of a model that served, and what else may be the matter.

    `rows` were predicted; `coverage` is the share of them whose outcome is known, null where none was. `reason` says
    why causes that need outcomes cannot be told. `revision` counts what was said of the window after the first time.
    """

    deployment: str
    model: str
    window_start_ms: int
    window_end_ms: int
    cause: Cause
    also: tuple[Cause, ...] = ()
    rows: int = 0
    coverage: float | None = None
    reason: Reason | None = None
    signs: tuple[Sign, ...] = ()
    revision: int = 0
