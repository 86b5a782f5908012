"""The port of the instructions."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from payment_schemas.ids import PaymentId
from service_runtime.messages import Trace
from settlement.domain import Instruction
from settlement.store.cases import Cases


@dataclass(frozen=True, slots=True)
class NewInstruction:
    """An instruction to add, with the trace of its request."""

    instruction: Instruction
    trace: Trace = ()


class Instructions(Protocol):
    """The instructions, within one transaction."""

    async def add(self, new: Sequence[NewInstruction]) -> set[PaymentId]:
        """Add instructions; return the payments whose UETR belongs to another payment.

        A payment that already has an instruction is left unchanged.
        """
        ...

    async def begin(self, instructions: Iterable[Instruction]) -> None:
        """Save the state before a bank is called; the lease continues."""
        ...

    async def save(self, instructions: Iterable[Instruction]) -> None:
        """Save the state after a bank's response, and end the lease."""
        ...

    @property
    def cases(self) -> Cases:
        """The cases, within the same transaction."""
        ...
