"""These run in environments of their own and import what only those have: there is no doctest to look for."""

collect_ignore_glob = ["with_*.py"]
