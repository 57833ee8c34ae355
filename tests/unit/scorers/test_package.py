from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import msgspec
import polars as pl
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from schemas.package import Feature, FeatureType, Package, Target, TargetType
from scorers.archive import ArchiveError, pack, unpack
from scorers.package import PackageError, build, load, read_package
from tests.unit.scorers import makers


def files_of(archive: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def repacked(change: Callable[[dict[str, bytes]], object]) -> bytes:
    files = files_of(makers.archive())
    change(files)
    return pack(files)


def with_metadata(**changed: object) -> bytes:
    def change(files: dict[str, bytes]) -> None:
        files["package.yaml"] = yaml.safe_dump(yaml.safe_load(files["package.yaml"]) | changed).encode()

    return repacked(change)


def with_golden(change: Callable[[dict[str, Any]], object]) -> bytes:
    def rewrite(files: dict[str, bytes]) -> None:
        golden = json.loads(files["golden.json"])
        change(golden)
        files["golden.json"] = json.dumps(golden).encode()

    return repacked(rewrite)


def refusal(archive: bytes) -> str:
    with pytest.raises(PackageError) as caught:
        load(archive)
    return str(caught.value)


def test_a_package_comes_back_as_it_was_built_with_the_hash_of_its_archive() -> None:
    archive = makers.archive()
    loaded = load(archive)
    assert loaded.package == read_package(archive)
    assert msgspec.structs.replace(loaded.package, digest="") == makers.package()
    assert len(loaded.package.digest) == 64


def test_the_same_content_gives_the_same_archive() -> None:
    assert makers.archive() == makers.archive()
    assert makers.archive() != build(makers.package("other"), makers.MODEL.artifact(), makers.ROWS)


def test_people_can_read_the_metadata() -> None:
    text = files_of(makers.archive())["package.yaml"].decode()
    assert "name: delays\n" in text
    assert "Åsa" in text
    assert "created: '2025-06-15T15:06:40.123" in text


def test_metadata_written_by_hand_may_have_a_plain_date_time() -> None:
    archive = repacked(lambda files: files.update({"package.yaml": files["package.yaml"].replace(b"'", b"")}))
    with pytest.raises(PackageError, match=r"package\.yaml cannot be read"):  # 1.0 without quotes is no version
        read_package(archive)
    plain = repacked(
        lambda files: files.update(
            {
                "package.yaml": files["package.yaml"].replace(
                    b"'2025-06-15T15:06:40.123000Z'", b"2025-06-15T15:06:40.123Z"
                )
            }
        )
    )
    assert read_package(plain).created_ms == 1_750_000_000_123


@pytest.mark.parametrize("name", ["package.yaml", "baseline.json", "golden.json", "linear.json"])
def test_a_missing_file_is_named(name: str) -> None:
    assert name in refusal(repacked(lambda files: files.pop(name)))


def test_another_file_is_refused() -> None:
    assert "'../evil.sh'" in refusal(repacked(lambda files: files.update({"../evil.sh": b""})))


def test_two_artifacts_are_refused() -> None:
    assert "two formats" in refusal(repacked(lambda files: files.update({"model.onnx": b""})))


def test_every_changed_byte_is_refused_or_gives_another_digest() -> None:
    archive = makers.archive()
    digest = read_package(archive).digest
    for at in range(0, len(archive), 7):
        tampered = archive[:at] + bytes([archive[at] ^ 0x11]) + archive[at + 1 :]
        try:
            assert read_package(tampered).digest != digest
        except PackageError:
            continue


@given(st.binary(max_size=300))
def test_bytes_that_are_no_package_are_refused(body: bytes) -> None:
    refusal(body)


@given(st.integers(0, 4_000))
def test_a_cut_off_archive_is_refused(left: int) -> None:
    archive = makers.archive()
    refusal(archive[: min(left, len(archive) - 1)])


def test_a_changed_golden_prediction_is_named() -> None:
    def change(golden: dict[str, Any]) -> None:
        golden["predictions"][1] = [0.5, 0.5]

    said = refusal(with_golden(change))
    assert "golden row 2" in said
    assert "1 of 3 rows" in said


def test_a_changed_model_does_not_pass_its_golden_rows() -> None:
    model = msgspec.structs.replace(makers.MODEL, intercept=-0.50001)
    assert "golden row 1" in refusal(repacked(lambda files: files.update({"linear.json": model.artifact()})))


def test_golden_rows_of_another_type_or_without_a_feature_are_named() -> None:
    assert "'age'" in refusal(with_golden(lambda golden: golden["rows"][0].update({"age": "old"})))
    assert "'age'" in refusal(with_golden(lambda golden: golden["rows"][0].update({"age": True})))
    assert "'holiday'" in refusal(with_golden(lambda golden: golden["rows"][0].update({"holiday": None})))
    assert "'carrier'" in refusal(with_golden(lambda golden: golden["rows"][2].pop("carrier")))
    assert "1 to 10000 golden rows" in refusal(with_golden(lambda golden: golden.update(rows=[], predictions=[])))
    assert "prediction(s) for each" in refusal(with_golden(lambda golden: golden.update(predictions=[[1.0]] * 3)))


def test_a_zip_bomb_is_refused_before_it_unpacks() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("package.yaml", b"\0" * (64 << 20))
    assert "compressed" in refusal(buffer.getvalue())


def test_a_file_beyond_its_size_is_refused() -> None:
    assert "are allowed" in refusal(repacked(lambda files: files.update({"package.yaml": b"#" * ((1 << 20) + 1)})))


def test_a_long_list_of_files_is_refused_before_it_is_parsed() -> None:
    assert "too many files" in refusal(pack({f"{n}": b"" for n in range(1_000)}))


def test_a_file_that_is_there_twice_is_refused() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a", b"1")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("a", b"2")
    with pytest.raises(ArchiveError, match="twice"):
        unpack(buffer.getvalue(), {"a": 9})


@pytest.mark.parametrize(
    "text", [b"[" * 100_000, b"- " * 5_000 + b"a", b"a: &a [1]\nb: *a", b"\xff\xfe\x00", b"7", b""]
)
def test_metadata_that_would_hurt_the_parser_is_refused(text: bytes) -> None:
    assert "package.yaml cannot be read" in refusal(repacked(lambda files: files.update({"package.yaml": text})))


def test_a_newer_layout_asks_for_an_upgrade() -> None:
    assert "upgrade the worker" in refusal(with_metadata(layout=2))


def test_wrong_metadata_is_named() -> None:
    assert "$.version" in refusal(with_metadata(version=1.0))
    assert "pickle" in refusal(with_metadata(format="pickle"))
    assert "two classes" in refusal(with_metadata(target={"name": "y", "type": "binary", "classes": ["a"]}))


@pytest.mark.parametrize(
    ("package", "words"),
    [
        (makers.package(features=()), "at least one feature"),
        (makers.package(features=makers.FEATURES * 2), "'age' is there twice"),
        (makers.package(features=makers.FEATURES[1:]), "not a feature"),
        (makers.package(target=Target("y", TargetType.REGRESSION)), "link"),
        (makers.package(target=msgspec.structs.replace(makers.LATE, threshold=2.0)), "threshold"),
        (
            makers.package(features=(Feature("age", FeatureType.TEXT), *makers.FEATURES[1:])),
            "bins are of the other kind",
        ),
        (makers.package(name=""), "needs a name"),
    ],
)
def test_what_does_not_fit_together_is_not_built(package: Package, words: str) -> None:
    with pytest.raises(PackageError, match=words.replace("(", r"\(")):
        build(package, makers.MODEL.artifact(), makers.ROWS)


def test_golden_rows_that_cannot_be_used_are_not_packed() -> None:
    for rows, words in (
        (makers.ROWS.drop("age"), "age"),
        (makers.ROWS.with_columns(age=pl.lit(float("inf"))), "infinite"),
        (makers.ROWS.with_columns(holiday=pl.lit(None, dtype=pl.Boolean)), "not nullable"),
        (makers.ROWS.with_columns(age=pl.lit("old")), "types"),
        (makers.ROWS.clear(), "1 to 10000 golden rows"),
    ):
        with pytest.raises(PackageError, match=words):
            build(makers.package(), makers.MODEL.artifact(), rows)
