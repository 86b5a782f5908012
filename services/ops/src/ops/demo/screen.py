"""How the demonstration looks on a terminal."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.rule import Rule
from rich.text import Text

from ops.clients.system import Reply
from ops.command.output import console, table_of


class Screen:
    """Prints; knows no rules."""

    def __init__(self) -> None:
        self.console = console()

    def part(self, title: str) -> None:
        """Begin a part."""
        self.console.print()
        self.console.print(Rule(Text(title, style="bold"), align="left", style="blue"))

    def scenario(self, title: str) -> None:
        """Name what follows."""
        self.console.print()
        self.console.print(Text(title, style="bold"))

    def exchange(
        self, says: str, body: Mapping[str, Any], reply: Reply, faults: Sequence[str]
    ) -> None:
        """Print a request and its answer."""
        asked = Text("  → ", style="blue").append(f"{says}  ", style="dim")
        self.console.print(asked.append(json.dumps(body, separators=(",", ":")), style="cyan"))
        mark = Text("  ← ", style="red" if faults else "green")
        mark.append(f"{reply.status} ", style="bold").append(reply.text, style="default")
        if reply.headers.get("idempotent-replayed"):
            mark.append("  Idempotent-Replayed: true", style="magenta")
        self.console.print(mark.append(f"  {reply.took_ms:.0f} ms", style="dim"))
        for fault in faults:
            self.console.print(Text(f"    NOT AS EXPECTED: {fault}", style="bold red"))

    def note(self, text: str) -> None:
        """Print an aside."""
        self.console.print(Text(f"    {text}", style="dim"))

    def progress(self, elapsed_s: float, name: str, status: str, *, is_good: bool) -> None:
        """Print that a payment has moved on."""
        line = Text(f"  {elapsed_s:5.1f} s  ", style="dim").append(f"{name:28} ", style="default")
        self.console.print(line.append(status, style="green" if is_good else "yellow"))

    def table(self, title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Print a table."""
        self.console.print()
        self.console.print(table_of(title, columns, rows))

    def end(self, faults: Sequence[str], seconds: float) -> None:
        """Say how it went."""
        self.console.print()
        if not faults:
            line = f"Everything was as expected ({seconds:.0f} s). The system is still running."
            self.console.print(Text(line, style="bold green"))
            return
        self.console.print(Text(f"{len(faults)} things were not as expected:", style="bold red"))
        for fault in faults:
            self.console.print(Text(f"  {fault}", style="red"))
