"""Clients of the running system: HTTP and Kafka."""
