"""The bank's own consumer as a process that can be killed and started again."""

import asyncio
import contextlib
from dataclasses import dataclass
from pathlib import Path


@dataclass
class BankProcess:
    """A command, and the file that gets its output."""

    command: list[str]
    log: Path
    running: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start the process."""
        with self.log.open("ab") as output:
            self.running = await asyncio.create_subprocess_exec(
                *self.command, stdout=output, stderr=output, stdin=asyncio.subprocess.DEVNULL
            )

    async def kill(self) -> None:
        """Kill the process as a crash would, and wait for its end."""
        if self.running is not None and self.running.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.running.kill()
            await self.running.wait()

    def ended(self) -> str | None:
        """Return how the process has ended by itself; None while it runs."""
        if self.running is None or self.running.returncode is None:
            return None
        lines = self.log.read_text(errors="replace").splitlines()
        # The lines of a stack trace begin with a space.
        said = next((line for line in reversed(lines) if line and not line[0].isspace()), "")
        return f"the bank's process ended with {self.running.returncode}: {said}"
