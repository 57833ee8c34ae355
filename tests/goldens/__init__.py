"""Numbers that others computed, with the scripts that made them: `python -m tests.goldens.<script>` makes one anew."""
