"""The port: what may be asked of the instructions, within one transaction."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from payment_schemas.ids import PaymentId
from service_runtime.messages import Trace
from settlement.domain import Instruction
from settlement.store.cases import Cases


@dataclass(frozen=True, slots=True)
class New:
    """An instruction to be added, with the trace that its work continues."""

    instruction: Instruction
    trace: Trace = ()


class Instructions(Protocol):
    """The instructions, within one transaction."""

    async def add(self, new: Sequence[New]) -> set[PaymentId]:
        """Add instructions; return the payments whose UETR is another payment's.

        A payment that is there already is left as it is.
        """
        ...

    async def begin(self, instructions: Iterable[Instruction]) -> None:
        """Save what is noted before a bank is called; the lease goes on."""
        ...

    async def save(self, instructions: Iterable[Instruction]) -> None:
        """Save what a bank's answer has made of instructions, and end their lease."""
        ...

    @property
    def cases(self) -> Cases:
        """The cases, within the same transaction."""
        ...
