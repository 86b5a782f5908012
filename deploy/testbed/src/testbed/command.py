"""The `countersign` command as a program."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

PATH = Path(sys.executable).parent / "countersign"


class Command:
    """The command, for the stack at an offset."""

    def __init__(self, offset: int, within_s: float = 120) -> None:
        self._environment = {**os.environ, "COUNTERSIGN_OFFSET": str(offset)}
        self._within_s = within_s

    async def __call__(self, *arguments: str, by: str = "alice") -> tuple[int, str, str]:
        """Run it as a development operator; return exit code, output and error output."""
        process = await asyncio.create_subprocess_exec(
            str(PATH),
            *arguments,
            env=self._environment | {"COUNTERSIGN_AS": by},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, error = await asyncio.wait_for(process.communicate(), self._within_s)
        assert process.returncode is not None
        return process.returncode, out.decode(), error.decode()

    async def json(self, *arguments: str, by: str = "alice") -> tuple[int, Any]:
        """Run it with `--json`; return the exit code and the result, or the error text."""
        status, out, error = await self(*arguments, "--json", by=by)
        return status, json.loads(out) if out else error
