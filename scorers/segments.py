"""Which segments a request belongs to: those of declared features, and those of who asked.

Rules:
- A row's segments depend on that row, the settings and the package alone: the same in any order, batch and replay.
- The package is the champion's, for what challengers say, too: all models of a deployment are split alike, whether they
  use the feature or not.
- Every dimension is bounded: 50 values, "other" for the rest, "missing" for null. The values of a feature are the most
  frequent of the training data; those of a caller's field are declared in the settings.
- An address belongs to the declared address that it is, else to the smallest declared network that holds it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

from schemas.deployment import Deployment, Settings
from schemas.expectations import CALLER_VALUES, CallerField
from schemas.package import CategoricalBins, FeatureType, Package

Column = Sequence[str | None] | None
"""One text for each row; None where no row has one."""

Callers = Mapping[CallerField, Column]
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def segments_of(
    deployment: Deployment, package: Package, features: pl.DataFrame, callers: Callers
) -> list[tuple[str, ...]] | None:
    """The segments of each row as "name=value": `segment_columns` row by row; None for none."""
    columns = segment_columns(deployment, package, features, callers)
    texts = [column.cast(pl.String).to_list() for column in columns]
    return list(zip(*texts, strict=True)) if columns else None


def segment_columns(
    deployment: Deployment, package: Package, features: pl.DataFrame, callers: Callers
) -> list[pl.Series]:
    """An enum of "name=value" for each dimension: features in the order of the settings, then callers.

    The values are those of the package's baseline: any other is "other" (with what the baseline itself pooled), a null
    is "missing". A feature without a baseline has these two only.
    """
    types = {feature.name: feature.type for feature in deployment.features}
    columns: list[pl.Series] = []
    for name in deployment.settings.segments:
        if types[name] is FeatureType.BOOLEAN:
            kept: tuple[str, ...] = ("false", "true")
        else:
            bins = package.baseline.features.get(name)
            kept = bins.categories[:CALLER_VALUES] if isinstance(bins, CategoricalBins) else ()
        columns.append(_of_feature(features[name], kept))
    return columns + _of_callers(deployment.settings, callers, features.height)


def caller_segments(settings: Settings, callers: Mapping[CallerField, str | None]) -> tuple[str, ...]:
    """The segments of one request whose features could not be read.

    >>> settings = Settings(caller_segments={CallerField.HOST_IP: ("10.0.0.0/8", "10.1.2.3")})
    >>> [caller_segments(settings, {CallerField.HOST_IP: ip})[0] for ip in ("10.1.2.3", "10.9.9.9", "::1", None)]
    ['host_ip=10.1.2.3', 'host_ip=10.0.0.0/8', 'host_ip=other', 'host_ip=missing']
    """
    columns: Callers = {field: None if text is None else (text,) for field, text in callers.items()}
    return tuple(str(column[0]) for column in _of_callers(settings, columns, 1))


def _of_feature(column: pl.Series, kept: tuple[str, ...]) -> pl.Series:
    """The column as "feature=value", by one look-up in the kept values."""
    text = column if column.dtype == pl.String else column.cast(pl.String)
    known, names, places = _names(column.name, kept)
    codes = text.cast(known, strict=False).to_physical()
    rows = codes.to_numpy()
    if codes.null_count():  # then they are floats
        rows = np.where(np.isnan(rows), len(kept), rows)
        if text.null_count():
            rows[text.is_null().to_numpy()] = len(kept) + 1
    return pl.Series(places[rows.astype(np.intp)]).cat.to(names)


@lru_cache(maxsize=4096)
def _names(feature: str, kept: tuple[str, ...]) -> tuple[pl.Enum, pl.Enum, NDArray[np.uint32]]:
    """The kept values, the segments, and the place of the segment of each kept value, of "other" and of "missing"."""
    texts = [f"{feature}={value}" for value in (*kept, "other", "missing")]
    distinct = list(dict.fromkeys(texts))  # a value may be "other" itself
    places = np.array([distinct.index(text) for text in texts], np.uint32)
    return pl.Enum(kept), pl.Enum(distinct), places


def _of_callers(settings: Settings, callers: Callers, rows: int) -> list[pl.Series]:
    """A column for each declared field; each distinct value of a batch is looked up once."""
    columns: list[pl.Series] = []
    for field, kept in sorted(settings.caller_segments.items()):
        texts = callers.get(field)
        if texts is None:
            missing = f"{field}=missing"
            columns.append(pl.Series([missing], dtype=pl.Enum([missing])).new_from_index(0, rows))
        else:
            names = {text: _caller_segment(field, kept, text) for text in set(texts)}
            columns.append(pl.Series([names[text] for text in texts], dtype=pl.Enum(sorted(set(names.values())))))
    return columns


@lru_cache(maxsize=8192)
def _caller_segment(field: CallerField, kept: tuple[str, ...], text: str | None) -> str:
    if text is None:
        return f"{field}=missing"
    if text in kept:
        return f"{field}={text}"
    network = None if field is CallerField.CONSUMER else _network(kept, text)
    return f"{field}={network or 'other'}"


def _network(kept: tuple[str, ...], text: str) -> str | None:
    """The smallest declared network that holds the address; None for none, and for what is no address."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    holding = [(network, name) for name in kept if address in (network := ipaddress.ip_network(name))]
    return max(holding, key=lambda found: found[0].prefixlen)[1] if holding else None
