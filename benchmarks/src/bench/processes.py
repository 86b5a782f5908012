"""CPU of processes, from the kernel."""

import os
from collections.abc import Mapping
from pathlib import Path

from bench.errors import BenchmarkError

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
OWN_PID = os.getpid()
_PPID, _UTIME, _CSTIME = 1, 11, 14
"""Field indexes in /proc/PID/stat after the name. Source: proc(5)."""


def cpu_s(roots: Mapping[str, int]) -> dict[str, float]:
    """Return the CPU seconds of each root process and its descendants, ended ones included.

    Raises BenchmarkError if a root process has ended.
    """
    table = _table_with(roots)
    return {name: _ticks(table, pid) / _TICKS_PER_S for name, pid in roots.items()}


def _table_with(roots: Mapping[str, int]) -> dict[int, list[str]]:
    table = _table()
    for name, pid in roots.items():
        if pid not in table:
            raise BenchmarkError(f"{name} has ended while it was measured; next: read its log")
    return table


def _table() -> dict[int, list[str]]:
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text()
        except OSError:  # the process has just ended
            continue
        found[int(folder.name)] = stat.rpartition(")")[2].split()
    return found


def _ticks(table: Mapping[int, list[str]], root: int) -> int:
    """Return the ticks of a tree; those of ended children are counted at their parent."""
    own = sum(int(value) for value in table[root][_UTIME : _CSTIME + 1])
    children = [pid for pid, stat in table.items() if int(stat[_PPID]) == root]
    return own + sum(_ticks(table, child) for child in children)
