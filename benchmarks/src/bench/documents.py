"""Figures between marks in the documents. The command that a mark names replaces them."""

from pathlib import Path

from bench.errors import BenchmarkError

END = "<!-- end of what is measured -->"


def begin_of(command: str) -> str:
    """Return the mark before the figures of a command."""
    return f"<!-- measured: {command} -->"


def fill(document: Path, command: str, measured: str) -> None:
    """Replace what a document has between the marks of a command. Raises BenchmarkError if none."""
    before, begin, rest = document.read_text().partition(begin_of(command))
    _, end, after = rest.partition(END)
    if not end:
        raise BenchmarkError(f"{document} has no marks for `{command}`; next: {begin_of(command)}")
    document.write_text(f"{before}{begin}\n{measured}{END}{after}")
