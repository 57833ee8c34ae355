"""The benches, one file each, found here and not listed: `run(options) -> rows`."""
