"""`python -m streams.cli`: how the supervisor starts workers without relying on PATH."""

from streams.cli import main

main()
