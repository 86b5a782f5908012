"""Kafka in, PostgreSQL, Kafka out: what every service shares. Import its modules by name."""
