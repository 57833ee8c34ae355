"""Row by row: every request answered once by each model, every actual met or pending once, every letter once."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from schemas.outcome import OutcomeKind
from schemas.topics import Topic
from tests.faults.ledger import Fate
from tests.faults.log import newest, partitions, read, read_all
from tests.faults.scene import CHALLENGED, SERVED

if TYPE_CHECKING:
    from tests.faults.findings import Findings
    from tests.faults.fresh import Fresh, Partition
    from tests.faults.horizon import Matched
    from tests.faults.ledger import Ledger
    from tests.faults.scene import Scene

SIGN = {OutcomeKind.MATCHED: 1, OutcomeKind.WITHDRAWN: -1}


def check_answers(scene: Scene, partition: Partition, findings: Findings, seen: Counter[tuple[str, int]]) -> None:
    """Each request has one prediction, and one shadow prediction for each challenger; `seen` counts the requests."""
    rows = {group.deployment.name: partition.request_offsets[group.rows] for group in partition.requests.groups}
    for group in partition.requests.groups:
        seen.update((group.deployment.name, int(number)) for number in group.association_ids)
    offsets = np.concatenate(list(rows.values())) if rows else np.zeros(0, np.int64)
    _once(findings, f"predictions of partition {partition.number}", partition.predictions["source_offset"], offsets)
    findings.none("predictions with an error", partition.predictions["error_code"].drop_nulls().to_list())
    for package in scene.packages[1:]:
        shadows = partition.shadows.filter(pl.col("model") == package.digest)
        what = f"shadow predictions by {package.name} of partition {partition.number}"
        asked = np.concatenate([offsets[:0], *(rows[name] for name in CHALLENGED if name in rows)])
        _once(findings, what, shadows["source_offset"], asked)
    findings.numbers["requests"] += len(offsets)
    findings.numbers["predictions"] += partition.predictions.height
    findings.numbers["shadow predictions"] += partition.shadows.height


def _once(
    findings: Findings, what: str, found: pl.Series, expected: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> None:
    offsets, counts = np.unique(found.to_numpy(), return_counts=True)
    findings.none(f"{what} lost", np.setdiff1d(expected, offsets).tolist())
    findings.none(f"{what} doubled", offsets[counts > 1].tolist())
    findings.none(f"{what} of no request", np.setdiff1d(offsets, expected).tolist())


def check_join(scene: Scene, partition: Partition, fresh: Fresh, findings: Findings, net: Matched) -> None:
    """The join table is that of a clean join, byte for byte; no outcome is said twice. `net` counts what is matched.

    Of `brief` nothing is left in it.
    """
    stored = newest(read(scene.connection, Topic.JOIN_CHANGELOG, partition.number))
    waiting = {key: value for key, value in fresh.entries.items() if not key.startswith(b"brief\0")}
    findings.same_rows(f"join entries of partition {partition.number}", stored, waiting)
    findings.numbers["join entries"] += len(stored)
    findings.numbers["outcomes"] += partition.outcomes.height
    said = _said(partition.outcomes)
    findings.none("outcomes said twice", _doubled(partition.outcomes))
    for kind, sign in SIGN.items():
        rows = said.filter(pl.col("kind") == kind.value)
        for number, model in rows.select("association_id", "model").iter_rows():
            net[int(number), model] += sign


def _doubled(outcomes: pl.DataFrame) -> list[tuple[object, ...]]:
    """Outcomes that are there more than once; one that was joined again has other models than before."""
    models = pl.col("predictions").list.eval(pl.element().struct.field("model")).list.sort().list.join(" ")
    names = ["deployment", "association_id", "kind", "revision", "reason", "models"]
    counted = outcomes.filter(pl.col("kind").cast(pl.String) != OutcomeKind.REPEATED.value)
    return counted.with_columns(models=models).group_by(names).len().filter(pl.col("len") > 1).rows()


def _said(outcomes: pl.DataFrame) -> pl.DataFrame:
    names = ("deployment", "association_id", "kind", "revision", "predictions")
    frame = outcomes.select(*names).with_columns(pl.col("kind").cast(pl.String))
    full = frame.filter(pl.col("predictions").list.len() > 0)
    return full.explode("predictions").with_columns(model=pl.col("predictions").struct.field("model"))


def check_ledger(
    scene: Scene,
    ledger: Ledger,
    findings: Findings,
    seen: Counter[tuple[str, int]],
    net: Matched,
) -> None:
    """What was on the log is what the ledger says: requests as often as asked, an actual in effect met once.

    Of raced rows `check_horizon` judges.
    """
    where, _, answers, asked, fates = ledger.columns()
    expected = {
        (SERVED[deployment], number): often
        for number, (deployment, often) in enumerate(zip(where.tolist(), asked.tolist(), strict=True))
        if often
    }
    findings.same_rows("requests of the ledger", seen, expected)
    challenged = np.isin(where, [SERVED.index(name) for name in CHALLENGED])
    known = (answers >= 0) & (fates != Fate.RACED)
    several = np.flatnonzero(known & challenged).tolist()
    met = {(number, package.digest): 1 for number in several for package in scene.packages}
    plain = dict.fromkeys(np.flatnonzero(known & ~challenged).tolist(), 1)
    found = {key: count for key, count in net.items() if count and fates[key[0]] != Fate.RACED}
    findings.same_rows("actuals met", {key: n for key, n in found.items() if challenged[key[0]]}, met)
    by_number: Counter[int] = Counter()
    for (number, _model), count in found.items():
        if not challenged[number]:
            by_number[number] += count
    findings.same_rows("actuals met by one model", by_number, plain)


def check_letters(scene: Scene, ledger: Ledger, findings: Findings, unreadable: int) -> None:
    """One dead letter for each record that nobody can read."""
    keys: Counter[bytes | None] = Counter()
    for records in read_all(scene.connection, partitions(scene.connection, Topic.DEAD_LETTERS)).values():
        keys.update(records.keys)
    findings.same("unreadable requests", unreadable, ledger.garbage)
    findings.same("dead letters", len(keys), ledger.garbage)
    findings.none("dead letters doubled", [key for key, count in keys.items() if count > 1])
    findings.numbers["dead letters"] += len(keys)
