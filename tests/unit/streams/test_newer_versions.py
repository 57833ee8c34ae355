"""What workers of this version do with what a later version wrote (docs/decisions/0017)."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitors.evaluator import Evaluator
from monitors.summary import Summary as Counts
from monitors.summary import SummaryFormatError
from monitors.table import StateFormatError, key_of, parts_of
from monitors.windows import BUCKET
from schemas.deployment import Audit, ChangeSettings, Command, Deployment, Model, Settings
from schemas.observation import DeadLetter, Entry, Kind, Summary
from schemas.package import Feature, Target, TargetType
from schemas.records import Records
from schemas.topics import Layout, Topic
from scorers.governance import State, Tail
from streams.batch import Batch, Effects, Span
from streams.connection import Connection
from streams.replay import FixedCatalog, memory_table
from streams.roles.evaluator import EvaluatorRole
from streams.roles.governor import Governor
from tests.unit.monitors.evaluator_scene import Run, delta, progress, summary

encode = msgspec.msgpack.encode
ENTRY = Entry(Kind.FEATURES, "m", "", 0, Counts({"rows": np.array([1])}).encode())
LATE = Deployment("late", 1, Target("late", TargetType.REGRESSION), (Feature("age"),), Model("a" * 64, "p", "1"))


def batch(topic: Topic, *values: bytes) -> Batch:
    count = len(values)
    records = Records(
        [b"late"] * count, list(values), np.zeros(count, np.int32), np.arange(7, 7 + count), np.full(count, 1_000)
    )
    return Batch({topic: records}, {(topic, 0): Span(7, 7 + count)}, now_ms=1_000)


def evaluator() -> EvaluatorRole:
    return EvaluatorRole(FixedCatalog(), memory_table(Topic.WINDOWS_CHANGELOG, Topic.SUMMARIES, (0,)))


def of_a_later_kind() -> bytes:
    given = msgspec.msgpack.decode(encode(Summary("late", (ENTRY,))))
    given[2][0][0] = "kind_of_a_later_version"
    return encode(given)


@pytest.mark.parametrize("value", [of_a_later_kind(), encode(["record_of_a_later_version", 1, 2])])
def test_a_summary_that_only_a_later_version_can_read_ends_the_evaluator_and_names_the_record(value: bytes) -> None:
    role = evaluator()
    with pytest.raises(StateFormatError, match=r"summaries-0 at offset 8 is of a newer version .* upgrade it"):
        role.process(batch(Topic.SUMMARIES, encode(Summary("late", (ENTRY,))), value))
    assert role.skipped == 0


@pytest.mark.parametrize(
    "value",
    [
        *(b"", b"\xc1", b"hello", encode({"a": 1}), encode([]), encode([1, 2]), b"\x91" * 9_999),
        *(b"\xa4\xff\xfe\xfd\xfc", b"\xa5caf\xe9!", b"\x93\xa7summary\xa1\xff\x90", b"\x91\xa1\xff"),  # not UTF-8
        *(b"\x93\xa7summary\xa1a" + b"\x91" * 9_999, b"\x92\xa1a" + b"\x81\xa1a" * 9_999),  # deeper than can be read
    ],
)
def test_what_is_no_summary_at_all_is_passed_over_and_counted(value: bytes) -> None:
    role = evaluator()
    role.process(batch(Topic.SUMMARIES, value, encode(Summary("late", (ENTRY,)))))
    assert role.skipped == 1
    assert role.revisions == {}


@given(st.binary(max_size=64) | st.binary(max_size=64).map(b"\x93\xa7summary".__add__))
def test_no_bytes_end_the_evaluator_but_those_of_an_array_behind_a_tag_and_they_with_a_sentence(value: bytes) -> None:
    role = evaluator()
    is_array = value[:1] in {*(bytes([first]) for first in range(0x90, 0xA0)), b"\xdc", b"\xdd"}
    ended = ""
    try:
        role.process(batch(Topic.SUMMARIES, value))
    except StateFormatError as error:
        ended = str(error)
    assert is_array or (role.skipped == 1 and not ended)
    assert not ended or "is of a newer version" in ended


def test_counts_in_a_later_format_end_the_evaluator_with_a_sentence() -> None:
    wire = msgspec.msgpack.decode(ENTRY.body)
    later = msgspec.structs.replace(ENTRY, body=encode([99, *wire[1:]]))
    with pytest.raises(SummaryFormatError, match="format 99 is newer"):
        evaluator().process(batch(Topic.SUMMARIES, encode(Summary("late", (later,)))))


def test_a_table_with_a_kind_of_a_later_version_is_refused_with_a_sentence() -> None:
    run = Run()
    run.step(summary(delta(Kind.FEATURES, 0, rows=1)), progress(1, 0))
    run.commit()
    key = next(key for key in run.table.rows if key[:1] == BUCKET)
    name, _, model, segment, start_ms = parts_of(key)
    run.table.set(key_of(BUCKET, name, "kind_of_a_later_version", model, segment, start_ms), run.table.rows[key])
    with pytest.raises(StateFormatError, match=r"kind_of_a_later_version.*upgrade the worker"):
        Evaluator(run.table).step(progress(2, 0), run.view)


def governed(*bodies: bytes) -> Effects:
    role = Governor(Connection({}, Layout()), trusted=True)
    role._known = State(deployments={"late": LATE}), Tail(), set()
    return role.process(batch(Topic.GOVERNANCE, *bodies))


def test_a_command_with_a_setting_that_is_not_known_is_refused_and_answered_with_its_name() -> None:
    body = msgspec.json.encode(Command("1", "late", ChangeSettings(Settings()), "ana", 7))
    assert body.count(b'"bucket"') == 1
    effects = governed(body.replace(b'"bucket"', b'"bukket"'))
    assert [send.topic for send in effects.sends] == [Topic.AUDIT]
    audit = msgspec.json.decode(effects.sends[0].values[0] or b"", type=Audit)
    assert not audit.accepted
    assert "action.settings.bukket is not known, did you mean bucket?" in audit.refusal


def test_a_command_of_a_kind_that_is_not_known_is_a_dead_letter() -> None:
    body = msgspec.json.encode(Command("1", "late", ChangeSettings(Settings()), "ana", 7))
    effects = governed(body.replace(b'"change_settings"', b'"pause_for_a_year"'))
    assert [send.topic for send in effects.sends] == [Topic.DEAD_LETTERS]
    letter = msgspec.json.decode(effects.sends[0].values[0] or b"", type=DeadLetter)
    assert "pause_for_a_year" in letter.reason
