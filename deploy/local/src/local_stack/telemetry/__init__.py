"""Observability without Docker: programs built from Go modules, run beside the services."""
