"""Stores of instructions and cases: the ports, PostgreSQL, and the memory twins."""

from settlement.store.cases import Cases, MemoryCases, PostgresCases
from settlement.store.memory import MemoryInstructions
from settlement.store.port import Instructions, NewInstruction
from settlement.store.postgres import PostgresInstructions
from settlement.store.rows import TABLE, instruction_of
from settlement.store.statements import Settled

__all__ = [
    "TABLE",
    "Cases",
    "Instructions",
    "MemoryCases",
    "MemoryInstructions",
    "NewInstruction",
    "PostgresCases",
    "PostgresInstructions",
    "Settled",
    "instruction_of",
]
