"""False alarms and detection of the default alert rules, through the real evaluator (STATISTICS sections 4 and 13).

`alarms.per_month`: entries into firing a month where nothing changes, 200 features in 720 hourly windows of 200, 1,000
and 5,000 rows. `alarms.delay_windows`: windows until a feature that moves by 0.25 sd (PSI 0.059, below the material
threshold) or 0.5 sd fires, in the median; the plain name is the case that is worst against what is asked of it, with
that: it is reached where all are. Each of 60 numeric features is moved alone, in a future of its own that begins with
the same 360 hours. `alarms.together_windows` is the same where the 60 move at once (detectors should not know of each
other), and `alarms.delay_p90_windows` and `alarms.alerts_per_step` say how long the slowest tenth took alone, and how
often one shift fired of those together. Correlated and wandering streams are printed beside. Five months of each
size at full scale, where the recipe has twenty: a month takes 20 s of a core, most of it for metrics: four minutes on
two idle cores.
"""

from __future__ import annotations

import math
import os
from concurrent.futures import ProcessPoolExecutor
from statistics import median
from typing import TYPE_CHECKING

from tests.bench.alarm_months import HOURS, PURE, SHIFT_HOUR, Month, Outcome, Stream, delays_alone, lived
from tests.bench.report import Row, worst

if TYPE_CHECKING:
    from tests.bench.options import Options

ROWS = (200, 1_000, 5_000)
MONTHS = 5
ALLOWED = 0.25
ASKED = {(0.25, 200): 12, (0.25, 1_000): 3, (0.25, 5_000): 1, (0.5, 200): 3, (0.5, 1_000): 2, (0.5, 5_000): 2}
SHIFTS = (0.15, 0.25, 0.5)
WATCH_HOURS = 72


def run(options: Options) -> list[Row]:
    """Simulate everything on all cores; `scale` is the share of the months."""
    months = options.scaled(MONTHS)
    quiet = [Month(rows, seed) for rows in ROWS for seed in range(months)]
    moved = [Month(rows, 100, shift, hours=SHIFT_HOUR + WATCH_HOURS) for shift in SHIFTS for rows in ROWS]
    beside = [Month(1_000, 200, stream=stream) for stream in (Stream.CORRELATED, Stream.WANDERING)]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        alone = dict(zip(moved, pool.map(delays_alone, moved), strict=True))
        outcomes = {each.month: each for each in pool.map(lived, [*beside, *quiet, *moved])}
    rows = _false_alarms([outcomes[month] for month in quiet], months)
    rows += _delays(alone, [outcomes[month] for month in moved])
    for month in beside:
        print(f"  {month.stream.value} stream, {month.rows:,} rows: {outcomes[month].false_alerts} alerts in a month")
    return rows


def _false_alarms(outcomes: list[Outcome], months: int) -> list[Row]:
    found = {rows: sum(each.false_alerts for each in outcomes if each.month.rows == rows) / months for rows in ROWS}
    largest = Row("alarms.per_month", max(found.values()), "alerts", ALLOWED, at_most=True)
    print(f"  {months} months of {HOURS} windows for each number of rows")
    return [
        largest,
        *(Row(f"alarms.per_month.{rows}", value, "alerts", ALLOWED, at_most=True) for rows, value in found.items()),
    ]


def _delays(alone: dict[Month, list[int]], together: list[Outcome]) -> list[Row]:
    rows: list[Row] = []
    beside: list[Row] = []
    for each in together:
        shift, delays = each.month.shift, sorted(alone[each.month])
        case = f"{shift:g}sd.{each.month.rows}"
        asked = ASKED.get((shift, each.month.rows))
        rows.append(Row(f"alarms.delay_windows.{case}", median(delays), "windows", asked, at_most=True))
        beside += [
            Row(f"alarms.delay_p90_windows.{case}", delays[math.ceil(0.9 * PURE) - 1], "windows"),
            Row(f"alarms.together_windows.{case}", median(each.delays()), "windows"),
            Row(f"alarms.alerts_per_step.{case}", each.alerts_per_step(), "alerts"),
        ]
    print(f"  a delay of {WATCH_HOURS + 1} windows: never")
    return [worst("alarms.delay_windows", rows), *rows, *beside]
