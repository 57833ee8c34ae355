"""The moving part and composition root: transactional source, tables, the Faust app, one agent a role, commands."""

import os

# Before polars and numpy are imported: a worker is one process of many on its cores, and a thread pool that fights the
# others for them is slower than none; and a value that makes a decoder panic is an answer, not a backtrace in the log.
os.environ.setdefault("POLARS_MAX_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# Polars' allocator gives large buffers back at once, and the next batch of the same size takes them again page by page:
# a third of an observer's time. Kept for ten seconds, nothing is paid for them while batches come.
os.environ.setdefault("_RJEM_MALLOC_CONF", "oversize_threshold:0,dirty_decay_ms:10000,muzzy_decay_ms:10000")
os.environ.setdefault("RUST_BACKTRACE", "0")
