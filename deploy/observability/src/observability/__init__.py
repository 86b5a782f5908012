"""Dashboards and rules as code, and their check on a real Prometheus."""
