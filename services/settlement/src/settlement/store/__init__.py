"""Where instructions are kept: the port, PostgreSQL, and the memory twin."""

from settlement.store.memory import MemoryInstructions
from settlement.store.port import SIZED_BY, TABLE, Health, Instructions, New
from settlement.store.postgres import PostgresInstructions, instruction_of

__all__ = [
    "SIZED_BY",
    "TABLE",
    "Health",
    "Instructions",
    "MemoryInstructions",
    "New",
    "PostgresInstructions",
    "instruction_of",
]
