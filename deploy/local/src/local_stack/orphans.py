"""Processes of a stack whose supervisor has died, found by a variable in their environment."""

import contextlib
import os
import signal
from pathlib import Path

from local_stack import postgres
from local_stack.errors import StackError
from local_stack.layout import Layout
from local_stack.supervision import MARK
from local_stack.waiting import wait_until

_END_WITHIN_S = 20
_KILL_WITHIN_S = 5


def find(layout: Layout) -> list[int]:
    """The process ids that belong to a data folder, with any parent."""
    mark = f"{MARK}={layout.root}".encode()
    found = {
        int(process.name) for process in Path("/proc").glob("[0-9]*") if mark in _marks(process)
    }
    # PostgreSQL may run as another user; its pid file has the process id.
    postmaster = postgres.postmaster(layout)
    if postmaster is not None and _is_postgres(postmaster):
        found.add(postmaster)
    return sorted(found - {os.getpid()})


def end(layout: Layout) -> None:
    """End them: SIGTERM, later SIGKILL. Raises StackError if some stay."""
    _signal(find(layout), signal.SIGTERM)
    with contextlib.suppress(StackError):
        wait_until(lambda: not find(layout), seconds=_END_WITHIN_S, otherwise="")
    _signal(find(layout), signal.SIGKILL)
    wait_until(
        lambda: not find(layout),
        seconds=_KILL_WITHIN_S,
        otherwise=f"processes {find(layout)} do not end",
    )


def _signal(processes: list[int], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, number)


def _marks(process: Path) -> list[bytes]:
    try:
        return (process / "environ").read_bytes().split(b"\0")
    except OSError:  # another user's process, or one that has just ended
        return []


def _is_postgres(process: int) -> bool:
    try:
        return b"postgres" in Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return False
