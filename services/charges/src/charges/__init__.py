"""The charges service."""
