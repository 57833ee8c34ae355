"""Typed errors of a prediction: the caller's (data) and ours (system)."""

from __future__ import annotations

from enum import StrEnum


class ErrorKind(StrEnum):
    """Whose fault a missing prediction is; the two have their own rates."""

    DATA = "data"
    SYSTEM = "system"


class ErrorCode(StrEnum):
    """Why a request has no prediction."""

    UNKNOWN_DEPLOYMENT = "unknown_deployment"
    KEY_MISMATCH = "key_mismatch"
    MISSING_FEATURE = "missing_feature"
    WRONG_TYPE = "wrong_type"
    NOT_FINITE = "not_finite"
    BAD_TIME = "bad_time"
    MODEL_FAILED = "model_failed"
    MODEL_NOT_FINITE = "model_not_finite"
    MODEL_UNAVAILABLE = "model_unavailable"

    @property
    def kind(self) -> ErrorKind:
        """Data, or system for what the model did."""
        return ErrorKind.SYSTEM if self.startswith("model_") else ErrorKind.DATA
