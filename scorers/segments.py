"""Which segments a request belongs to: those of declared features, and those of who asked.

Rules:
- A row's segments depend on that row, the settings and the package alone: the same in any order, batch and replay.
- Every dimension is bounded: 50 values, "other" for the rest, "missing" for null. The values of a feature are the most
  frequent of the training data; those of a caller's field are declared in the settings.
- An address belongs to the declared address that it is, else to the smallest declared network that holds it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import repeat

import polars as pl

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
    """The segments of each row as "name=value", features in the order of the settings, then callers; None for none.

    The values are those of the package's baseline: any other is "other" (with what the baseline itself pooled), a null
    is "missing". A feature without a baseline has these two only.
    """
    types = {feature.name: feature.type for feature in deployment.features}
    columns: list[Sequence[str]] = []
    for name in deployment.settings.segments:
        if types[name] is FeatureType.BOOLEAN:
            kept: tuple[str, ...] = ("false", "true")
        else:
            bins = package.baseline.features.get(name)
            kept = bins.categories[:CALLER_VALUES] if isinstance(bins, CategoricalBins) else ()
        columns.append(_of_feature(features[name], kept).to_list())
    columns += _of_callers(deployment.settings, callers, features.height)
    return list(zip(*columns, strict=True)) if columns else None


def caller_segments(settings: Settings, callers: Mapping[CallerField, str | None]) -> tuple[str, ...]:
    """The segments of one request whose features could not be read.

    >>> settings = Settings(caller_segments={CallerField.HOST_IP: ("10.0.0.0/8", "10.1.2.3")})
    >>> [caller_segments(settings, {CallerField.HOST_IP: ip})[0] for ip in ("10.1.2.3", "10.9.9.9", "::1", None)]
    ['host_ip=10.1.2.3', 'host_ip=10.0.0.0/8', 'host_ip=other', 'host_ip=missing']
    """
    columns: Callers = {field: None if text is None else (text,) for field, text in callers.items()}
    return tuple(column[0] for column in _of_callers(settings, columns, 1))


def _of_feature(column: pl.Series, kept: tuple[str, ...]) -> pl.Series:
    """The column as "feature=value", by one look-up in the kept values."""
    prefix = f"{column.name}="
    names = {value: prefix + value for value in kept}
    text = column.cast(pl.String)
    known = text.replace_strict(names, default=f"{prefix}other", return_dtype=pl.String) if names else None
    segments = pl.repeat(f"{prefix}other", len(text), eager=True) if known is None else known
    return pl.select(pl.when(text.is_null()).then(pl.lit(f"{prefix}missing")).otherwise(segments)).to_series()


def _of_callers(settings: Settings, callers: Callers, rows: int) -> list[Sequence[str]]:
    """A column for each declared field; each distinct value of a batch is looked up once."""
    columns: list[Sequence[str]] = []
    for field, kept in sorted(settings.caller_segments.items()):
        texts = callers.get(field)
        if texts is None:
            columns.append(list(repeat(f"{field}=missing", rows)))
        else:
            names = {text: _caller_segment(field, kept, text) for text in set(texts)}
            columns.append([names[text] for text in texts])
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
