"""The port: what may be asked of the instructions, within one transaction."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from payment_schemas.ids import PaymentId
from service_runtime.messages import Trace
from settlement.domain import Instruction, Status
from settlement.store.cases import Cases

MAX_UNFINISHED = 100
MAX_VIOLATIONS = 100
COUNTED = 10_000
"""Past it parked rows and dead letters are not counted."""

LEAST_VERSION = {
    Status.QUEUED: 1,
    Status.SENDING: 2,
    Status.SENT: 3,
    Status.UNKNOWN: 3,
    Status.RECONCILE: 3,
    Status.SETTLED: 3,
    Status.REJECTED: 3,
}
"""Each step is one version, so no status is reached by fewer."""


@dataclass(frozen=True, slots=True)
class New:
    """An instruction to be added, with the trace that its work continues."""

    instruction: Instruction
    trace: Trace = ()


@dataclass(frozen=True, slots=True)
class Health:
    """What an operator should know of the table."""

    violations: list[dict[str, Any]]
    unfinished: list[dict[str, Any]]
    parked: int
    dead_letters: int


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

    async def find(
        self, payment_id: UUID | None = None, uetr: UUID | None = None
    ) -> list[dict[str, Any]]:
        """Return the instruction of a payment or of a UETR, as operators see it."""
        ...

    async def export(self, after: UUID, limit: int) -> list[dict[str, Any]]:
        """Return instructions in the order of their ids, those behind `after`."""
        ...

    async def health(self, since: datetime | None = None) -> Health:
        """Return what an operator should know; bounded.

        Held against the rules is what has not ended, and what has since then (None: ever).
        """
        ...
