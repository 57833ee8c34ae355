"""What is served and who may change it: packages, formats, scoring, governance. Pure: no Kafka, no clock, no logger."""
