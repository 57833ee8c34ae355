"""The model package: one archive with the model, what it is, what was normal, and rows that prove it is the same model.

    package.yaml    name, version, target, features, format, created, authors, ... for people to read
    <artifact>      the model itself, by its format's file name
    baseline.json   frozen bins and counts of the training data (schemas.package.Baseline)
    golden.json     input rows and the predictions that the model must give for them

The SHA-256 of the archive is the package's identity; the same content gives the same archive. A package is checked
before anything of it is used: sizes and names, then the record, then the model loads, then the golden rows (no model is
served that predicts otherwise here than where it was built). Nothing in a package is ever run as code.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, TypeVar

import msgspec
import polars as pl
import yaml

from schemas.package import Baseline, Feature, Package, Target
from scorers.archive import MOST_BYTES, ArchiveError, pack, unpack
from scorers.checks import fault_of
from scorers.formats import Format, FormatError, Predictor, formats
from scorers.golden import Golden, GoldenError, check, record

METADATA, BASELINE, GOLDEN = "package.yaml", "baseline.json", "golden.json"

T = TypeVar("T")

_LAYOUT = 1
_DEEPEST = 8
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_BYTES = {METADATA: 1 << 20, BASELINE: 16 << 20, GOLDEN: 16 << 20}


class PackageError(ValueError):
    """The archive is not a usable package; the text names what is wrong."""


class _Metadata(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    layout: int
    name: str
    version: str
    target: Target
    features: tuple[Feature, ...]
    format: str
    created: Annotated[datetime, msgspec.Meta(tz=True)]
    authors: tuple[str, ...] = ()
    description: str = ""
    training_data: str = ""
    hyperparameters: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class LoadedPackage:
    """A package whose model is ready and has given its golden predictions."""

    package: Package
    model: Predictor


def build(metadata: Package, artifact: bytes, golden_features: pl.DataFrame) -> bytes:
    """The archive of a model, the digest left out. Golden predictions are what the artifact gives here and now.

    PackageError where the record is wrong, the artifact does not load or does not fit, or a golden row has no finite
    prediction.
    """
    _check_record(metadata)
    kind = formats()[metadata.format]
    try:
        model = kind.load(artifact, metadata)
        golden = record(model, metadata.features, metadata.target, golden_features)
        return pack(
            {
                METADATA: _yaml(metadata),
                kind.artifact_name: artifact,
                BASELINE: _json(metadata.baseline),
                GOLDEN: _json(golden),
            }
        )
    except (ArchiveError, FormatError, GoldenError) as error:
        raise PackageError(str(error)) from error


def read_package(archive: bytes) -> Package:
    """What the package says of itself, with its digest; the model is not loaded. PackageError where it is not one."""
    return _read(archive)[0]


def load(archive: bytes) -> LoadedPackage:
    """The package with its model, after its golden rows; PackageError says what is wrong."""
    package, kind, files = _read(archive)
    golden = _decode(files[GOLDEN], Golden, GOLDEN)
    try:
        model = kind.load(files[kind.artifact_name], package)
        check(golden, model, package.features, package.target, kind.tolerance)
    except (FormatError, GoldenError) as error:
        raise PackageError(str(error)) from error
    return LoadedPackage(package, model)


def _read(archive: bytes) -> tuple[Package, Format, dict[str, bytes]]:
    known = _MOST_BYTES | {kind.artifact_name: MOST_BYTES for kind in formats().values()}
    try:
        files = unpack(archive, known)
    except ArchiveError as error:
        raise PackageError(str(error)) from error
    for name in _MOST_BYTES:
        if name not in files:
            raise PackageError(f"the package has no {name}")
    package = _package(files, hashlib.sha256(archive).hexdigest())
    _check_record(package)
    kind = formats()[package.format]
    if kind.artifact_name not in files:
        raise PackageError(f"the package has no {kind.artifact_name}, which the format {kind.name} keeps the model in")
    if len(files) > len(_MOST_BYTES) + 1:
        raise PackageError("the package has the artifacts of two formats")
    return package, kind, files


def _package(files: dict[str, bytes], digest: str) -> Package:
    metadata = _metadata(files[METADATA])
    if metadata.layout > _LAYOUT:
        raise PackageError(
            f"the package has layout {metadata.layout}, this program reads {_LAYOUT}: upgrade the worker"
        )
    return Package(
        name=metadata.name,
        version=metadata.version,
        digest=digest,
        target=metadata.target,
        features=metadata.features,
        format=metadata.format,
        baseline=_decode(files[BASELINE], Baseline, BASELINE),
        created_ms=(metadata.created - _EPOCH) // timedelta(milliseconds=1),
        authors=metadata.authors,
        description=metadata.description,
        training_data=metadata.training_data,
        hyperparameters=metadata.hyperparameters,
    )


def _metadata(text: bytes) -> _Metadata:
    try:
        _check_shape(text)
        return msgspec.convert(yaml.load(text, yaml.CSafeLoader), _Metadata)
    except (yaml.YAMLError, msgspec.ValidationError, ValueError, RecursionError) as error:
        raise PackageError(f"{METADATA} cannot be read: {error}") from error


def _check_shape(text: bytes) -> None:
    """Refuse what the YAML loader would follow too far: a few kB of brackets overflow its stack and end the process."""
    depth = 0
    for event in yaml.parse(text, yaml.CSafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST or isinstance(event, yaml.AliasEvent):
            raise ValueError(f"it uses aliases or is nested more than {_DEEPEST} levels deep")


def _check_record(package: Package) -> None:
    if fault := fault_of(package):
        raise PackageError(fault)


def _yaml(package: Package) -> bytes:
    metadata = _Metadata(
        layout=_LAYOUT,
        name=package.name,
        version=package.version,
        target=package.target,
        features=package.features,
        format=package.format,
        created=_EPOCH + timedelta(milliseconds=package.created_ms),
        authors=package.authors,
        description=package.description,
        training_data=package.training_data,
        hyperparameters=package.hyperparameters,
    )
    plain = msgspec.to_builtins(metadata)
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=120).encode()


def _json(record_: Baseline | Golden) -> bytes:
    return msgspec.json.format(msgspec.json.encode(record_, order="sorted"), indent=1)


def _decode(body: bytes, kind: type[T], name: str) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise PackageError(f"{name} cannot be read: {error}") from error
