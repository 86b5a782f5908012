"""The TypeScript client, built from the present sources, and scripts that use it."""

import asyncio
import os
import shutil
import subprocess
from pathlib import Path

import pytest

HOME = Path(__file__).parents[4] / "clients/typescript"
NODE = "node"
_BUILT_WITHIN_S = 120


@pytest.fixture(scope="session")
def typescript() -> Path:
    """Build the client; return its folder."""
    if shutil.which(NODE) is None or not (HOME / "node_modules").is_dir():
        pytest.fail("the tools of clients/typescript are missing: `make setup` with Node.js 20")
    build = subprocess.run(
        ["npm", "run", "--silent", "build"],
        cwd=HOME,
        capture_output=True,
        text=True,
        check=False,
        timeout=_BUILT_WITHIN_S,
    )
    assert build.returncode == 0, build.stdout + build.stderr
    return HOME


async def run_node(folder: Path, *command: str | Path, typed: str = "", within_s: int = 60) -> str:
    """Run a script in a folder, with `typed` as its input, and return its output."""
    process = await asyncio.create_subprocess_exec(
        NODE,
        *command,
        cwd=folder,
        env=os.environ | {"NODE_NO_WARNINGS": "1"},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(typed.encode()), within_s)
    assert process.returncode == 0, output.decode()
    return output.decode()
