"""The moving part and composition root: transactional source, tables, the Faust app, one agent a role, commands."""

import os

# Before polars is imported: a worker is one process of many on its cores, and a thread pool that fights the others for
# them is slower than none; and a value that makes a decoder panic is an answer, not a backtrace in the log.
os.environ.setdefault("POLARS_MAX_THREADS", "1")
os.environ.setdefault("RUST_BACKTRACE", "0")
