"""Output: tables and colours for people, JSON for scripts."""

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ops.command.times import moment_in, shown

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
NARROWEST = 100
"""Without a terminal the width is unknown; ids need space."""


def console() -> Console:
    """Return the console; output to a file is wider than 80 columns."""
    found = Console(highlight=False)
    if not found.is_terminal:
        found.width = max(found.width, 2 * NARROWEST)
    return found


def print_json(value: Any) -> None:
    """Print a value as JSON; types that JSON lacks are printed as text."""
    print(json.dumps(value, indent=2, default=_plain, ensure_ascii=False))


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def command_line(*words: str, options: Mapping[str, str | None]) -> str:
    """Return a command to type, with the options that have a value."""
    given = [word for option, value in options.items() if value for word in (option, value)]
    return shlex.join(["countersign", *words, *given])


def table_of(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Table:
    """Return a table; None shows as a dash, and text is not parsed as markup."""
    table = Table(title=title or None, title_justify="left", header_style="bold", box=None)
    table.show_header = any(columns)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(cell(value) for value in row))
    return table


def cell(value: Any) -> str:
    """Return a value as the text of a table's cell; times in the terminal's zone."""
    if value is None or value == "":
        return "-"
    if isinstance(value, Mapping):
        return escape(", ".join(f"{name} {shown}" for name, shown in value.items()))
    moment = value if isinstance(value, datetime) else moment_in(str(value))
    return escape(shown(moment) if moment else str(value))
