"""Errors that stop a benchmark."""


class BenchmarkError(Exception):
    """A run is impossible or does not count; the text has the next step."""
