"""`make status`: each process with its group and memory, and the sum of the core."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from local_stack.inventory import CORE, Inventory

CORE_LIMIT_BYTES = 1024**3
"""For all Python processes of the core, so that a laptop with 8 GB runs the whole stack."""
_KIB = 1024
_MIB = 1024**2
_BESIDE = "infrastructure"


@dataclass(frozen=True, slots=True)
class Row:
    """One process. Further instances of a service are named `gateway-1` and so on."""

    name: str
    state: str
    memory_bytes: int
    description: str


def resident_bytes(pid: int) -> int:
    """The memory of a process, with its share of shared pages; 0 where it has ended.

    Shares can be summed up: a shared library is in memory once. Source: proc(5), Pss.
    """
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * _KIB for line in lines if line.startswith("Pss:"))


def lines(rows: Iterable[Row], inventory: Inventory) -> list[str]:
    """One line a process, and the sum of the core."""
    rows = sorted(rows, key=lambda row: row.name)
    shown = [
        f"{row.name:16} {group_of(row.name, inventory):14} {row.state:9}"
        f" {row.memory_bytes / _MIB:6.0f} MiB  {row.description}"
        for row in rows
    ]
    return [*shown, _sum(rows, inventory)]


def group_of(process: str, inventory: Inventory) -> str:
    """The group of a process; that of Kafka and other servers is `infrastructure`."""
    name, _, instance = process.rpartition("-")
    service = inventory.services.get(name if instance.isdigit() else process)
    return service.group if service else _BESIDE


def core_rows(rows: Iterable[Row], inventory: Inventory) -> list[Row]:
    """The Python processes of the core."""
    return [row for row in rows if group_of(row.name, inventory) == CORE]


def _sum(rows: Sequence[Row], inventory: Inventory) -> str:
    core = core_rows(rows, inventory)
    held = sum(row.memory_bytes for row in core)
    verdict = "" if held <= CORE_LIMIT_BYTES else ": too much"
    return (
        f"{CORE}: {held / _MIB:,.0f} MiB of {CORE_LIMIT_BYTES / _MIB:,.0f} MiB"
        f" in {len(core)} Python processes{verdict}"
    )
