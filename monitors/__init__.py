"""What is observed: baselines, mergeable summaries, windows, the join, statistics, alerts. Pure: no Kafka, no clock."""
