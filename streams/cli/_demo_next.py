"""What to look at after a demo: only what the replayed range has an answer to."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import PurePath
from shlex import quote

from rich.markup import escape

from infra.demo.bookings import LIVE_DAY

_AS_OF = date(2016, 3, 1)
_A_MONTH, _A_YEAR = date(2016, 1, 2), date(2016, 12, 2)  # from when on the newest month has one to stand beside


def activation(python: str, system: str, active: str, *, here: str) -> str:
    """The script that puts `watchkeeper` on the path; empty where it is, or where there is none.

    `python` and `system` are `sys.prefix` and `sys.base_prefix`, `active` is the environment that was activated.
    """
    if python in {system, active}:
        return ""
    script = PurePath(python, "bin", "activate")
    return str(script.relative_to(here) if script.is_relative_to(here) else script)


def look_around(prefix: str, last_ms: int, activate: str = "") -> str:
    """Commands to try next; `last_ms`: when the last booking was made; `activate`: a script to source first, if any."""
    last = datetime.fromtimestamp(last_ms / 1_000, UTC).date()
    # what was known on a day is settled when event time has passed it in every partition
    as_of = max(min(_AS_OF, last - timedelta(days=1)), LIVE_DAY)
    compared = f"--window {'week' if last < _A_MONTH else 'month'} --compare {'previous' if last < _A_YEAR else 'year'}"
    hints = (
        ("report booking-cancellation --html report.html", "a page to open in a browser"),
        ("status", "how every deployment is"),
        ("alerts", "what fired, and what became of it"),
        ("challengers booking-price", "verdicts on challengers"),
        ("diagnosis booking-cancellation", "what may be the matter"),
        ("fairness booking-cancellation", "what each kind of customer gets"),
        (f"coverage booking-cancellation --as-of {as_of} --metric positive_rate", "a day as it was known"),
        (f"metrics booking-price {compared} --metric psi", "windows of any length"),
        (f"segments booking-cancellation {compared}", "which segments explain a change"),
        ("tail predictions", "records as they are, decoded"),
    )
    lines = (f"  watchkeeper {command:<46}  [dim]# {what}[/]" for command, what in hints)
    settings = (*((f". {escape(quote(activate))}",) if activate else ()), f"export WATCHKEEPER_PREFIX={prefix}")
    first = ("[bold]Look around[/], in each of two terminals:", *(f"  {one}" for one in settings))
    return "\n".join((*first, "then `watchkeeper up` in one; in the other:", *lines))
