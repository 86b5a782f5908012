"""The port of the instructions."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from payment_schemas.ids import PaymentId
from service_runtime.messages import Trace
from service_runtime.ports import Taker
from settlement.domain import Instruction, begin
from settlement.store.cases import Cases
from settlement.store.partners import Partners


@dataclass(frozen=True, slots=True)
class NewInstruction:
    """An instruction to add, with the trace of its request."""

    instruction: Instruction
    trace: Trace = ()
    taker: Taker | None = None
    """Who sends it from its insert on: it is stored as begun and leased. None: it is claimed."""

    @property
    def stored(self) -> Instruction:
        """The row to insert; `due_at` is the time of the request."""
        row = self.instruction
        return begin(row, row.due_at) if self.taker and row.due_at else row


def handed(new: NewInstruction) -> tuple[UUID, Instruction, Trace, Taker | None]:
    """Return what is handed over: the row as it was before `begin`."""
    return new.instruction.payment_id, new.instruction, new.trace, new.taker


@dataclass(frozen=True, slots=True)
class Added:
    """The result of adding instructions."""

    new: set[PaymentId]
    """Payments that have had no instruction."""
    refused: set[PaymentId]
    """Payments whose UETR belongs to another payment."""


@dataclass(frozen=True, slots=True)
class Locked:
    """A locked instruction, with the trace of its request."""

    instruction: Instruction
    trace: Trace


class Instructions(Protocol):
    """The instructions, within one transaction."""

    async def add(self, new: Sequence[NewInstruction]) -> Added:
        """Add instructions. A payment that already has an instruction is left unchanged."""
        ...

    async def begin(self, instructions: Iterable[Instruction]) -> None:
        """Save the state before a bank is called; the lease continues."""
        ...

    async def save(
        self, instructions: Iterable[Instruction], epochs: Mapping[UUID, int]
    ) -> set[PaymentId]:
        """Save the states after the bank's responses, and end the leases.

        Returns the payments that were saved: those whose lease still has the epoch given.
        """
        ...

    async def lock(self, uetrs: Iterable[UUID]) -> dict[UUID, Locked]:
        """Return and lock the instructions of these UETRs, of any partner."""
        ...

    async def save_reported(self, instructions: Iterable[Instruction]) -> None:
        """Save the state after a bank's report; a worker that holds a lease writes no more."""
        ...

    @property
    def partners(self) -> Partners:
        """The profiles of the partner banks on Kafka, within the same transaction."""
        ...

    @property
    def cases(self) -> Cases:
        """The cases, within the same transaction."""
        ...
