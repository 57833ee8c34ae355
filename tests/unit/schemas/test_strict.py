"""Records of another version: readers pass over fields that they do not know, and `KnownOnly` finds them."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

import msgspec
import pytest
from msgspec import inspect

import schemas
from monitors.summary import Summary as Counts
from schemas.deployment import (
    Acknowledgement,
    AlertRule,
    Audit,
    ChangeSettings,
    Command,
    CreateDeployment,
    Deployment,
    Limits,
    Model,
    RegisterPackage,
    Settings,
    Switch,
    Thresholds,
)
from schemas.expectations import CustomMetric, Timeliness
from schemas.observation import Entry, Heartbeat, Kind, Metric, Progress, Summary, SummaryRecord
from schemas.package import Baseline, CategoricalBins, Feature, NumericBins, Package, Target, TargetType
from schemas.strict import KnownOnly, unknown

TARGET = Target("late", TargetType.BINARY, ("no", "yes"))
PACKAGE = Package(
    "p",
    "1",
    "a" * 64,
    TARGET,
    (Feature("age"),),
    "linear",
    Baseline(features={"age": NumericBins((1.0, 2.0), (0, 3, 0, 1)), "plan": CategoricalBins(("x",), (1, 0, 0, 2))}),
)
SETTINGS = Settings(
    thresholds=Thresholds(statistics={"psi": Limits(0.1, 0.2)}, features={"age": {"kl": Limits(0.1, 0.2)}}),
    timeliness=Timeliness("PT1H"),
    custom_metrics=(CustomMetric("clicks"),),
    alert_rules=(AlertRule("a", "psi", 0.1),),
)
DEPLOYMENT = Deployment(
    "late",
    3,
    TARGET,
    (Feature("age"),),
    Model("a" * 64, "p", "1"),
    (Model("b" * 64, "q", "1"),),
    SETTINGS,
    acknowledged=(Acknowledgement("f" * 32, "ana", 1, 2),),
)
COMMANDS = [
    Command("1", "late", action, "ana", 7)
    for action in (CreateDeployment("a" * 64, settings=SETTINGS), ChangeSettings(SETTINGS), RegisterPackage(PACKAGE))
]
RECORDS = [
    DEPLOYMENT,
    PACKAGE,
    *COMMANDS,
    *[
        Audit(1, command, accepted=True, refusal="", before=0, after=1, at_ms=7, previous="", hash="")
        for command in COMMANDS
    ],
    Switch("late", "scorer", 3, "a" * 64, "requests", 0, 7),
    Heartbeat("scorer", "1", 7, 1, {"requests-0": 3}, {}, {"late": 3}, 1, 2),
    Metric("late", "m", "psi", 0, 1, 5),
]


def widened(record: object, kind: inspect.Type) -> Any:  # noqa: ANN401  # plain data, as a topic has it
    """A record as a version would write it that has one more field in each record of records."""
    if isinstance(kind, inspect.UnionType):
        options = [one for one in kind.types if isinstance(one, inspect.StructType)]
        if not isinstance(record, dict) or not options:
            return record
        kind = next((one for one in options if one.tag_field and record.get(one.tag_field) == one.tag), options[0])
    if isinstance(kind, inspect.StructType) and isinstance(record, dict):
        types = {field.encode_name: field.type for field in kind.fields}
        wide = {name: widened(value, types[name]) if name in types else value for name, value in record.items()}
        return {**wide, "of_a_later_version": {"x": [1]}}
    if isinstance(kind, inspect.StructType) and isinstance(record, list):
        fields = [widened(value, field.type) for value, field in zip(record, kind.fields, strict=False)]
        return [*fields, *record[len(kind.fields) :], "of a later version"]
    if isinstance(kind, inspect.VarTupleType) and isinstance(record, list):
        return [widened(value, kind.item_type) for value in record]
    if isinstance(kind, inspect.DictType) and isinstance(record, dict):
        return {name: widened(value, kind.value_type) for name, value in record.items()}
    return record


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_a_record_of_a_later_version_with_more_fields_is_read_and_the_strict_reader_names_the_first(
    record: msgspec.Struct,
) -> None:
    kind = inspect.type_info(type(record))
    body = msgspec.json.encode(record)
    wide = msgspec.json.encode(widened(msgspec.json.decode(body), kind))
    assert wide.count(b"of_a_later_version") >= 1
    assert msgspec.json.decode(wide, type=type(record)) == record
    assert KnownOnly(type(record)).decode(body) == record
    with pytest.raises(msgspec.ValidationError, match="of_a_later_version is not known"):
        KnownOnly(type(record)).decode(wide)


def test_every_record_inside_a_deployment_is_looked_into_by_the_strict_reader() -> None:
    kind = inspect.type_info(Deployment)
    wide = widened(msgspec.json.decode(msgspec.json.encode(DEPLOYMENT)), kind)
    found = {one.rpartition("of_a_later_version")[0] for one in unknown(wide, kind)}
    assert found >= {
        "",
        "target.",
        "features[0].",
        "champion.",
        "challengers[0].",
        "settings.",
        "settings.thresholds.statistics.psi.",
        "settings.thresholds.features.age.kl.",
        "settings.alert_rules[0].",
        "settings.custom_metrics[0].",
        "settings.timeliness.",
        "acknowledged[0].",
    }


def test_summaries_and_progress_of_a_later_version_with_more_fields_are_read() -> None:
    entry = Entry(Kind.FEATURES, "m", "", 0, Counts(sums={"x": 1}).encode())
    for record in (Summary("late", (entry,)), Progress("requests", 0, 1, True, 7, {"late": 5})):  # noqa: FBT003  # a record's fields in order
        given = msgspec.msgpack.decode(msgspec.msgpack.encode(record))
        if isinstance(record, Summary):
            given[2] = [[*one, "of a later version"] for one in given[2]]
        wide = msgspec.msgpack.encode([*given, "of a later version"])
        assert msgspec.msgpack.decode(wide, type=SummaryRecord) == record


def test_no_record_of_the_topics_forbids_fields_that_it_does_not_know() -> None:
    modules = [importlib.import_module(f"schemas.{one.name}") for one in pkgutil.iter_modules(schemas.__path__)]
    records = {
        value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, msgspec.Struct)
    }
    assert {Deployment, Limits, Settings, Heartbeat} <= records
    assert [one for one in records if one.__struct_config__.forbid_unknown_fields] == []
