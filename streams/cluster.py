"""A worker's local stores belong to the Kafka cluster whose changelogs they are copies of; a file beside them names it.

Stores of another cluster are refused, not emptied: a restore would take their changelogs for topics made anew and begin
from nothing, while what is wrong is most likely an address or a folder in somebody's settings. A folder that names no
cluster (of an earlier version, or new) is given a name; without stores there is nothing to protect.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.exits import CannotGoOn

if TYPE_CHECKING:
    from pathlib import Path

NAME = "cluster"


def claim(folder: Path, cluster_id: str) -> None:
    """Say that the stores in a worker's folder are of this cluster; CannotGoOn where they are of another."""
    mark = folder / NAME
    kept = mark.read_text().strip() if mark.exists() else ""
    if kept == cluster_id:
        return
    if kept and any(path.is_dir() for path in folder.iterdir()):
        raise CannotGoOn(
            f"the stores in {folder} are of the Kafka cluster {kept}, and the broker is of {cluster_id}: one of "
            "WATCHKEEPER_BROKERS, WATCHKEEPER_HOME and WATCHKEEPER_PREFIX is another installation's. If the old "
            f"cluster is gone for good, `watchkeeper rebuild {folder.parent.name}` removes its stores"
        )
    folder.mkdir(parents=True, exist_ok=True)
    draft = mark.with_suffix(".new")
    draft.write_text(cluster_id + "\n")
    draft.replace(mark)  # whole or not at all, however the process ends
