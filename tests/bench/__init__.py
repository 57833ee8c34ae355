"""The measurements: `make bench` runs all, `make bench BENCH=scoring` one.

A bench is one file in `cases`, found there and never listed: it defines `run(options) -> rows`, and its name is the
part of a row's name before the dot. Everything runs as it does for a user: real broker, real worker processes, settings
by environment. The stack is the bench's own and is removed afterwards.
"""

import streams  # noqa: F401  # first of all, for what is measured in process runs with the threads and memory of a worker
