"""`watchkeeper package`: build model packages, register them, look at them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
import polars as pl

from infra.artifacts import ArtifactStore
from monitors.bins import MOST_CATEGORIES, TOP_CATEGORIES
from monitors.error_trees import features_of
from monitors.tolerance import STEADIEST
from schemas.package import Baseline, Feature, FeatureType, Package, Target, TargetType
from scorers.formats import FormatError, formats
from scorers.package import read_package
from streams.catalog import Catalog
from streams.cli import Ended
from streams.cli._shared import SHORT, as_json, load, package_of, say, show, when
from streams.cli._shared import connection as connect_here
from streams.packages import build_package
from streams.packages import register as register_archive

if TYPE_CHECKING:
    from collections.abc import Iterable

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def package() -> None:
    """Model packages: build, register, show.

    A package is a model, its features, its baseline, and rows that prove it is the same model everywhere.
    """


@package.command("build")
@click.option("--model", required=True, type=FILE, help="The artifact: an .onnx file, or the .json of a linear model.")
@click.option("--name", required=True, help="What people call the model.")
@click.option("--version", required=True, help="Its version, for people; the digest is its identity.")
@click.option("--target", required=True, help="What is predicted.")
@click.option(
    "--type",
    "kind",
    required=True,
    type=click.Choice([kind.value for kind in TargetType]),
    help="Whether that is a number, one of two classes, or one of more.",
)
@click.option(
    "--class",
    "classes",
    multiple=True,
    help="A class, in the order of scikit-learn's classes_; repeat it. Binary: the second is positive.",
)
@click.option("--threshold", default=0.5, show_default=True, help="Binary: from this probability on it is positive.")
@click.option("--training", required=True, type=FILE, help="Rows to freeze the baseline's bins from (csv, parquet).")
@click.option("--holdout", required=True, type=FILE, help="Rows that the model has not seen, with the truth.")
@click.option("--actual", required=True, help="The column of the holdout rows that holds the truth.")
@click.option(
    "--feature",
    "given",
    multiple=True,
    metavar="NAME:TYPE[:nullable]",
    help="A feature of the model; repeat it. Without any: inferred from the training rows.",
)
@click.option(
    "--time-column",
    help="When each training row was; how much the features wander in time is then learned from it. No feature itself.",
)
@click.option(
    "--protected",
    multiple=True,
    metavar="NAME",
    help="A feature between whose values fairness is watched: what each group got on holdout is kept to compare with.",
)
@click.option(
    "--top-categories",
    type=click.IntRange(1, MOST_CATEGORIES),
    default=TOP_CATEGORIES,
    show_default=True,
    help="How many values of a categorical feature have a bin of their own, the most frequent; the others share one.",
)
@click.option("--author", "authors", multiple=True, help="Who made the model; repeat it.")
@click.option("--description", default="", help="What people should know of it.")
@click.option(
    "-o", "--output", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The file to write."
)
@as_json
def build_of_package(  # one option each
    *,
    model: Path,
    name: str,
    version: str,
    target: str,
    kind: str,
    classes: tuple[str, ...],
    threshold: float,
    training: Path,
    holdout: Path,
    actual: str,
    given: tuple[str, ...],
    time_column: str | None,
    protected: tuple[str, ...],
    top_categories: int,
    authors: tuple[str, ...],
    description: str,
    output: Path,
    json: bool,
) -> None:
    """Build a package from a model and its data. Its golden rows are the first holdout rows."""
    rows, truth = _table(training), _table(holdout)
    if actual not in truth.columns:
        raise Ended(f"{holdout} has no column {actual!r}; it has {', '.join(truth.columns)}.")
    features = tuple(map(_feature, given)) or _inferred(rows, leave_out={actual, target, time_column or target})
    times = None if time_column is None else _times(rows, time_column, training)
    for source, frame in ((training, rows), (holdout, truth)):
        if missing := [feature.name for feature in features if feature.name not in frame.columns]:
            raise Ended(f"{source} has no column {missing[0]!r}, which is a feature.")
    metadata = Package(
        name=name,
        version=version,
        digest="",
        target=Target(target, TargetType(kind), classes, threshold),
        features=features,
        format=_format(model),
        created_ms=time.time_ns() // 1_000_000,
        authors=authors,
        description=description,
        training_data=training.name,
    )
    rows, truth = _typed(rows, features, training), _typed(truth, features, holdout)
    try:
        truths = _truths(truth[actual], metadata.target)
        archive = build_package(
            metadata, model.read_bytes(), rows, truth, truths, times, protected, top_categories=top_categories
        )
    except (FormatError, ValueError) as error:
        raise Ended(error) from error
    output.write_bytes(archive)
    built = read_package(archive)
    title = f"{output}, {len(archive):,} bytes"
    _print(built, json=json, title=title, steadiest="not known (no --time-column)" if times is None else "little")
    if built.baseline.holdout.get("auc", 1.0) < 0.5:  # noqa: PLR2004  # a coin's
        click.echo(
            "warning: worse than a coin on holdout (AUC under 0.5); are the classes in the model's order?", err=True
        )


@package.command("register")
@click.argument("file", type=FILE)
@as_json
def register_of_package(file: Path, *, json: bool) -> None:
    """Put the package FILE in the artifact store and make it known. Doing it again changes nothing."""
    found = register_archive(connect_here(), ArtifactStore(load().artifacts), file.read_bytes())
    if json:
        say({"digest": found.digest, "name": found.name, "version": found.version})
    else:
        click.echo(found.digest)


@package.command("list")
@as_json
def list_of_package(*, json: bool) -> None:
    """All registered packages."""
    found = sorted(Catalog(connect_here()).packages.values(), key=lambda one: (one.name, one.created_ms, one.digest))
    if json:
        names = ("digest", "name", "version", "format", "created_ms")
        say([{name: getattr(one, name) for name in names} | {"target": one.target} for one in found])
        return
    rows = (
        (one.digest[:SHORT], one.name, one.version, one.format, one.target.type.value, when(one.created_ms))
        for one in found
    )
    show("packages", ("digest", "name", "version", "format", "target", "built (UTC)"), rows)


@package.command("show")
@click.argument("what", metavar="DIGEST|FILE")
@as_json
def show_of_package(what: str, *, json: bool) -> None:
    """One package: a registered one, or that in a FILE.

    The beginning of a digest is enough.
    """
    path = Path(what)
    found = read_package(path.read_bytes()) if path.is_file() else package_of(Catalog(connect_here()), what)
    steady = all(one >= STEADIEST for one in found.baseline.tolerance.values())
    alike = steady and len(found.baseline.tolerance) == len(found.baseline.features)  # as without a time column
    _print(found, json=json, title=found.digest, steadiest="little, or not known" if alike else "little")


def _print(found: Package, *, json: bool, title: str, steadiest: str) -> None:
    """The package; `steadiest` is said of a feature with the tolerance that one has where no times were given, too."""
    if json:
        say(found)
        return
    click.secho(title, bold=True)
    click.echo(f"{found.name} {found.version}  {found.format}  {found.digest}")
    click.echo(f"predicts {found.target.name} ({found.target.type.value}) {' / '.join(found.target.classes)}")
    baseline = found.baseline
    show(
        f"features, baseline of {baseline.rows:,} rows",
        ("name", "type", "may be missing", "importance", "wanders in time"),
        (
            (
                one.name,
                one.type.value,
                "yes" if one.nullable else "no",
                f"{one.importance:.1%}",
                _wanders(one, baseline, steadiest),
            )
            for one in found.features
        ),
    )
    show(
        f"on {baseline.holdout_rows:,} holdout rows",
        ("metric", "value"),
        ((name, f"{value:.4g}") for name, value in sorted(baseline.holdout.items())),
    )
    if baseline.losses and (asked := features_of(baseline.losses.trees)):
        click.echo(f"errors depend on {', '.join(sorted(asked))} beyond the prediction: estimates ask for them")


def _wanders(feature: Feature, baseline: Baseline, steadiest: str) -> str:
    """How the feature's windows moved in training, as the test for change takes it."""
    if not baseline.tolerance:
        return "not known"
    found = baseline.tolerance.get(feature.name)
    if found is None:
        return "too much to tell a change"
    return steadiest if found >= STEADIEST else f"as samples of {found:,.0f} rows"


def _table(path: Path) -> pl.DataFrame:
    try:
        if path.suffix == ".parquet":
            return pl.read_parquet(path)
        return pl.read_csv(path, infer_schema_length=None)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise Ended(f"{path} cannot be read as a table: {error}") from error


def _format(model: Path) -> str:
    for kind in formats().values():
        if model.suffix == Path(kind.artifact_name).suffix:
            return kind.name
    known = ", ".join(sorted(Path(kind.artifact_name).suffix for kind in formats().values()))
    raise Ended(f"{model} is no model format that is known by its ending; known are {known}.")


def _feature(text: str) -> Feature:
    name, *rest = text.rsplit(":", 2) if text.endswith(":nullable") else text.rsplit(":", 1)
    try:
        return Feature(name, FeatureType(rest[0]), nullable=len(rest) > 1)
    except (IndexError, ValueError):
        kinds = ", ".join(kind.value for kind in FeatureType)
        raise Ended(f"--feature {text!r} must be NAME:TYPE or NAME:TYPE:nullable, with a type of {kinds}.") from None


def _inferred(rows: pl.DataFrame, *, leave_out: set[str]) -> tuple[Feature, ...]:
    """By the column's type; nullable where a training row lacks it."""

    def kind(column: pl.Series) -> FeatureType:
        if column.dtype == pl.Boolean:
            return FeatureType.BOOLEAN
        return FeatureType.NUMERIC if column.dtype.is_numeric() else FeatureType.CATEGORICAL

    columns = [column for column in rows if column.name not in leave_out]
    return tuple(Feature(column.name, kind(column), nullable=_has_gaps(column)) for column in columns)


def _has_gaps(column: pl.Series) -> bool:
    return bool(column.null_count() or (column.dtype.is_float() and column.is_nan().any()))


def _typed(rows: pl.DataFrame, features: Iterable[Feature], source: Path) -> pl.DataFrame:
    types = {FeatureType.NUMERIC: pl.Float64, FeatureType.BOOLEAN: pl.Boolean}
    try:
        return rows.with_columns(pl.col(one.name).cast(types.get(one.type, pl.String)) for one in features)
    except pl.exceptions.PolarsError as error:
        raise Ended(f"{source} does not hold what the features say: {error}") from error


def _times(rows: pl.DataFrame, name: str, source: Path) -> pl.Series:
    if name not in rows.columns:
        raise Ended(f"{source} has no column {name!r}; it has {', '.join(rows.columns)}.")
    if gaps := rows[name].null_count():
        raise Ended(f"the column {name!r} of {source} has {gaps} rows without a time.")
    if rows.schema[name] != pl.String:
        return rows[name]
    try:
        return rows[name].str.to_datetime()
    except pl.exceptions.PolarsError as error:
        raise Ended(f"the column {name!r} of {source} holds no times as ISO 8601 writes them: {error}") from error


def _truths(column: pl.Series, target: Target) -> list[object]:
    if column.null_count():
        raise Ended(f"the column {column.name!r} of the holdout rows has {column.null_count()} rows without the truth.")
    if target.type is TargetType.REGRESSION:
        return column.cast(pl.Float64).to_list()
    labels = column.cast(pl.String)
    if strange := sorted(set(labels.unique().to_list()) - set(target.classes)):
        raise Ended(f"the column {column.name!r} has {strange[0]!r}, none of the classes; name each by --class.")
    return labels.to_list()
