"""The port: what may be asked of deliveries and contacts, within one transaction."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from notification.domain import Contact, Delivery, Sibling
from payment_schemas.ids import ChallengeId, PaymentId
from service_runtime.messages import Trace

TABLE = "delivery"


@dataclass(frozen=True, slots=True)
class New:
    """A delivery to be added, with the trace that its work continues."""

    delivery: Delivery
    trace: Trace = ()


class Deliveries(Protocol):
    """Deliveries and contacts, within one transaction."""

    async def add(self, new: Sequence[New]) -> None:
        """Add deliveries; one that is there already is left as it is."""
        ...

    async def save(self, deliveries: Iterable[Delivery]) -> None:
        """Save what attempts have made of deliveries, and end their lease."""
        ...

    async def siblings(
        self, payment_ids: Collection[PaymentId]
    ) -> Mapping[PaymentId, Sequence[Sibling]]:
        """Return all messages of the payments."""
        ...

    async def end_challenges(self, challenge_ids: Collection[ChallengeId]) -> None:
        """Note challenges that take no codes any more; each may be told before its code."""
        ...

    async def ended_challenges(self, challenge_ids: Collection[ChallengeId]) -> set[ChallengeId]:
        """Return those of the challenges that take no codes any more."""
        ...

    async def contacts(self, user_ids: Iterable[str]) -> Mapping[str, Contact]:
        """Return the contacts of those users who have one."""
        ...

    async def put_contacts(self, contacts: Iterable[Contact]) -> None:
        """Add contacts, or replace them; of one user's, the last counts."""
        ...
