"""Triggers: when programs are to be told to act on a deployment, and what they are told.

Rules are part of `schemas.deployment.Settings`, with a default of none. A trigger asks: retrain on this data, roll back
to that model, stop asking this one. Nothing here acts on it; whoever reads the topic `triggers` does.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec


class TriggerAction(StrEnum):
    """What is asked for."""

    RETRAIN = "retrain"
    ROLLBACK = "rollback"
    PAUSE = "pause"


class Sought(StrEnum):
    """The verdict on a challenger that a trigger waits for."""

    BETTER = "better"
    WORSE = "worse"
    EQUIVALENT = "equivalent"


class TriggerRule(msgspec.Struct, frozen=True):
    """When an action is asked for, and, of a retraining, on which data.

    A rule waits for exactly one thing. `alert` is the name of an alert (`schemas.deployment.AlertRule`; its own, where
    rules share one): one of its alerts fires, of whatever feature and segment. `every` is an ISO 8601 duration of fixed
    length: event time is cut into slots of it from 1970-01-01 on, and a new one begins. `new_labels` are rows whose
    actual came in since the rule last triggered; withdrawn ones are taken off. `verdict` is given on a challenger of
    the champion.

    At most one trigger in a `cooldown` (an ISO 8601 duration of event time; "": none), which names everything that
    stands by then; what is over before is passed over. The same thing triggers once. `train_on` is how much event time
    of predictions to train on, up to the newest whose outcomes are in; with `resolved` false, up to the newest of all.
    """

    name: str
    action: TriggerAction = TriggerAction.RETRAIN
    alert: str = ""
    every: str = ""
    new_labels: int = 0
    verdict: Sought | None = None
    cooldown: str = ""
    train_on: str = "P90D"
    resolved: bool = True


class TriggerPhase(StrEnum):
    """Whether what was asked for still stands."""

    REQUESTED = "requested"
    RETRACTED = "retracted"


class Ground(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that a trigger rests on: an alert by its id, a verdict, a slot of the schedule, or new labelled rows.

    `since_ms` is the event time that it counts from; `n` rows, where it is of rows. `challenger` is the digest of the
    package that a verdict is on.
    """

    id: str
    text: str
    since_ms: int
    n: int = 0
    challenger: str = ""


class Trigger(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a rule asks for: the `data` of its CloudEvent.

    `at_ms` is the watermark at which it was asked, also in the retraction: every ground was overturned by a revision.
    `model` was the champion then and `previous` the champion before it ("": there was none), `revision` that of the
    deployment. Predictions made from `train_from_ms` up to, not including, `train_until_ms` are to be trained on
    (null where nothing is to be trained).
    """

    id: str
    deployment: str
    name: str
    action: TriggerAction
    phase: TriggerPhase
    sequence: int
    at_ms: int
    model: str
    revision: int
    grounds: tuple[Ground, ...]
    text: str
    previous: str = ""
    train_from_ms: int | None = None
    train_until_ms: int | None = None


class TriggerEvent(msgspec.Struct, frozen=True, omit_defaults=True):
    """A trigger as a CloudEvent 1.0 in structured JSON. `time` is event time, RFC 3339."""

    id: str
    source: str
    type: str
    subject: str
    time: str
    data: Trigger
    specversion: str = "1.0"
    datacontenttype: str = "application/json"
