"""The flow from requests to answers and to what challengers said: counts that must come to the same.

Kept apart from features and predictions, as it compares what is read from different topics. The flow of a deployment
has the model "": "requests" and "answers"; and "rejected_actuals", those that the join refused for their time, at the
time at which they came, as that is the only one to be trusted. That of a challenger has "asked:<revision>", the
requests that were answered under a revision in which it is a challenger, and "shadows", what it answered.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monitors.folds.groups import SummaryKey, group_rows, summaries
from monitors.summary import Summary
from schemas.deployment import Span
from schemas.observation import Kind

ASKED = "asked:"


def fold_flow(step: str, timestamps_ms: NDArray[np.int64], model: str, bucket: Span) -> dict[SummaryKey, Summary]:
    """Rows (one event time each) that came to a step of the flow.

    >>> found = fold_flow("requests", np.array([5, 6, 3_600_000]), "", Span.HOUR)
    >>> [(start_ms, summary.count("requests")) for (_, _, _, start_ms), summary in found.items()]
    [(0, 2), (3600000, 1)]
    """
    groups = group_rows(timestamps_ms, None, bucket)
    return summaries(Kind.FLOW, model, groups, {step: groups.tally()})
