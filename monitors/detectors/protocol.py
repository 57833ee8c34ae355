"""What a detector is: a record that takes losses in [0, 1] one by one, and says when they changed."""

from __future__ import annotations

from typing import ClassVar, Self

import msgspec


class Detector(msgspec.Struct, array_like=True):
    """State and parameters are its fields, so that the record is the checkpoint."""

    name: ClassVar[str]
    continuous_only: ClassVar[bool] = False
    """Whether it is of no use on losses that are 0 or 1."""

    @classmethod
    def started(cls, seed: int) -> Self:  # noqa: ARG003  # most draw nothing
        """A detector that has seen nothing."""
        return cls()

    def update(self, loss: float) -> bool:
        """Take the next loss; whether the change is detected here. It then begins anew with the next one."""
        raise NotImplementedError
