"""The kill suite: a load with a ledger, faults under it, and a checker that compares the log with the ledger."""
