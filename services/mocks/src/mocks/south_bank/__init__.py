"""A partner bank on Kafka."""
