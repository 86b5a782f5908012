"""What stops a benchmark."""


class BenchmarkError(Exception):
    """A run cannot be made or does not count; the text says what to do next."""
