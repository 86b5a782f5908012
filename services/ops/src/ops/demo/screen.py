"""The demonstration's output."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.rule import Rule
from rich.text import Text

from ops.clients.system import HttpResponse
from ops.command.output import console, table_of


class Screen:
    """Prints without any rules."""

    def __init__(self) -> None:
        self.console = console()

    def part(self, title: str) -> None:
        """Print the title of a part."""
        self.console.print()
        self.console.print(Rule(Text(title, style="bold"), align="left", style="blue"))

    def scenario(self, title: str) -> None:
        """Print the title of a scenario."""
        self.console.print()
        self.console.print(Text(title, style="bold"))

    def exchange(
        self, title: str, body: Mapping[str, Any], response: HttpResponse, faults: Sequence[str]
    ) -> None:
        """Print a request and its response."""
        asked = Text("  → ", style="blue").append(f"{title}  ", style="dim")
        self.console.print(asked.append(json.dumps(body, separators=(",", ":")), style="cyan"))
        mark = Text("  ← ", style="red" if faults else "green")
        mark.append(f"{response.status} ", style="bold").append(response.text, style="default")
        if response.headers.get("idempotent-replayed"):
            mark.append("  Idempotent-Replayed: true", style="magenta")
        self.console.print(mark.append(f"  {response.took_ms:.0f} ms", style="dim"))
        for fault in faults:
            self.console.print(Text(f"    NOT AS EXPECTED: {fault}", style="bold red"))

    def note(self, text: str) -> None:
        """Print a remark."""
        self.console.print(Text(f"    {text}", style="dim"))

    def progress(self, elapsed_s: float, name: str, status: str, *, is_good: bool) -> None:
        """Print a payment's new status."""
        line = Text(f"  {elapsed_s:5.1f} s  ", style="dim").append(f"{name:28} ", style="default")
        self.console.print(line.append(status, style="green" if is_good else "yellow"))

    def table(self, title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Print a table."""
        self.console.print()
        self.console.print(table_of(title, columns, rows))

    def end(self, faults: Sequence[str], seconds: float) -> None:
        """Print the result."""
        self.console.print()
        if not faults:
            line = f"Everything was as expected ({seconds:.0f} s). The system is still running."
            self.console.print(Text(line, style="bold green"))
            return
        self.console.print(Text(f"{len(faults)} things were not as expected:", style="bold red"))
        for fault in faults:
            self.console.print(Text(f"  {fault}", style="red"))
