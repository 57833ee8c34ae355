"""Requests that an observer reads are put into the leaves of each model's error model: champion's and challengers'."""

from __future__ import annotations

import json

import msgspec
import numpy as np

from monitors.estimate.losses import LEAVES
from monitors.summary import Summary as Counts
from schemas.deployment import Deployment, Model, Settings
from schemas.observation import Kind, Summary
from schemas.records import Records
from schemas.topics import Layout, Topic
from streams.batch import Batch, Span
from streams.connection import Connection
from streams.replay import FixedCatalog, FixedHistory, RecordedSwitches
from streams.roles.observer import Observer
from tests.unit.monitors.error_scene import FEATURES, PRICE, learned, rows
from tests.unit.monitors.fold_frames import package

NOW = 1_700_000_000_000
MODELS = [Model(digest, "homes", digest) for digest in ("m1", "m2", "m3")]


def counted(settings: Settings) -> dict[tuple[str, str], int]:
    """Rows in leaves by model and segment, of 40 requests; m3 has no error model."""
    rng = np.random.default_rng(1)
    packages = [learned(rng, digest="m1"), learned(rng, digest="m2"), package(PRICE, digest="m3")]
    homes = Deployment("homes", 1, PRICE, FEATURES, MODELS[0], tuple(MODELS[1:]), settings)
    frame, _, _ = rows(rng, 40)
    bodies = [
        {"deployment": "homes", "association_id": str(place), "timestamp": NOW, "features": features}
        for place, features in enumerate(frame.to_dicts())
    ]
    keys = [str(place).encode() for place in range(40)]
    values = [json.dumps(body).encode() for body in bodies]
    records = Records([*keys], [*values], np.zeros(40, np.int32), np.arange(40), np.full(40, NOW, np.int64))
    role = Observer(
        Connection({}, Layout("toy", partitions=1)),
        FixedCatalog([homes], packages),
        FixedHistory([homes]),
        RecordedSwitches("scorer"),
    )
    effects = role.process(Batch({Topic.REQUESTS: records}, {(Topic.REQUESTS, 0): Span(0, 40)}, now_ms=NOW))
    told = [msgspec.msgpack.decode(value, type=Summary) for send in effects.sends for value in send.values if value]
    entries = [entry for one in told for entry in one.entries if entry.kind is Kind.ACCURACY]
    return {(entry.model, entry.segment): Counts.decode(entry.body).count(f"{LEAVES}0") for entry in entries}


def test_champion_and_challengers_are_counted_each_by_its_own_error_model_and_segments() -> None:
    found = counted(Settings(segments=("kind",)))
    assert {model for model, _ in found} == {"m1", "m2"}
    for model in ("m1", "m2"):
        assert found[model, ""] == 40
        assert sum(rows for (one, segment), rows in found.items() if one == model and segment) == 40


def test_what_a_deployment_excludes_is_asked_by_none() -> None:
    assert counted(Settings(excluded=("wide",))) == {}
