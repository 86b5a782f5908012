"""Stores of instructions, cases and partners: the ports, PostgreSQL, and the memory twins."""

from settlement.store.cases import Cases, MemoryCases, PostgresCases
from settlement.store.memory import MemoryInstructions
from settlement.store.partners import MemoryPartners, Partners, PostgresPartners, Waiting, waiting
from settlement.store.port import Added, Instructions, NewInstruction
from settlement.store.postgres import PostgresInstructions
from settlement.store.replays import PostgresReplays, Replay
from settlement.store.rows import DUE_PUBLICATIONS, TABLE, instruction_of
from settlement.store.statements import Page, Settled

__all__ = [
    "DUE_PUBLICATIONS",
    "TABLE",
    "Added",
    "Cases",
    "Instructions",
    "MemoryCases",
    "MemoryInstructions",
    "MemoryPartners",
    "NewInstruction",
    "Page",
    "Partners",
    "PostgresCases",
    "PostgresInstructions",
    "PostgresPartners",
    "PostgresReplays",
    "Replay",
    "Settled",
    "Waiting",
    "instruction_of",
    "waiting",
]
