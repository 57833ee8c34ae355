"""Coverage as of an earlier time, from the base buckets in the views and the log of outcomes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from monitors.as_of import AsOf, as_of, buckets_then, instant, known_at
from monitors.folds import fold_outcomes
from schemas.outcome import decode_outcomes
from schemas.topics import Topic
from streams.cli._reading import begins, parts, places_of, read, stops

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from monitors.folds import SummaryKey
    from monitors.rollup import Buckets
    from monitors.summary import Summary
    from schemas.deployment import Deployment
    from schemas.package import Package
    from streams.connection import Connection

FOLDED_ROWS = 100_000
"""Outcomes that are folded at once: a fold costs by the call."""


def known_as_of(
    connection: Connection, deployment: Deployment, packages: Mapping[str, Package], now: Buckets, at_ms: int
) -> list[AsOf]:
    """What was known of each series of `now` then, in the order of its series; other models are not folded."""
    packages = {digest: packages[digest] for digest in {one.model for one in now.series} & packages.keys()}
    settings = deployment.settings
    as_of_ms = instant(at_ms, settings.bucket)
    then = buckets_then(now, _folds(connection, deployment, packages, as_of_ms), as_of_ms)
    found = (
        as_of(
            then,
            now,
            series,
            deployment=deployment.name,
            settings=settings,
            package=packages[series.model],
            as_of_ms=as_of_ms,
        )
        for series in now.series
        if series.model in packages
    )
    return [one for one in found if one is not None]


def is_whole(connection: Connection) -> bool:
    """Whether the log of outcomes still goes back to its beginning."""
    return not any(begins(connection, places_of(connection, Topic.OUTCOMES)).values())


def _folds(
    connection: Connection, deployment: Deployment, packages: Mapping[str, Package], as_of_ms: int
) -> Iterator[dict[SummaryKey, Summary]]:
    settings = deployment.settings
    for frame in _outcomes(connection, deployment.name):
        known = known_at(frame, as_of_ms, settings.horizon_ms)
        of_known = pl.element().struct.field("model").is_in(list(packages))
        yield fold_outcomes(
            known.with_columns(known["predictions"].list.eval(pl.element().filter(of_known))), packages, settings.bucket
        )


def _outcomes(connection: Connection, deployment: str) -> Iterator[pl.DataFrame]:
    """The whole log of a deployment, some hundred thousand outcomes at a time."""
    places = places_of(connection, Topic.OUTCOMES)
    held: list[pl.DataFrame] = []
    for messages in read(connection, begins(connection, places), stops(connection, places)):
        for records in parts(connection, messages).values():
            decoded = decode_outcomes(records)
            good = decoded.frame.filter(pl.Series(~decoded.mismatched))
            held.append(good.filter(pl.col("deployment").cast(pl.String) == deployment))
        if sum(frame.height for frame in held) >= FOLDED_ROWS:
            yield pl.concat(held)
            held = []
    if held:
        yield pl.concat(held)
