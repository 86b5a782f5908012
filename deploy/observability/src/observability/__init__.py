"""Dashboards and rules as code, and what holds them against a real Prometheus."""
