"""The port to notification's tables."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from notification.domain import Contact, Delivery, Sibling
from payment_schemas.ids import ChallengeId, DeliveryId, PaymentId
from payment_schemas.sealed import Personal
from service_runtime.messages import Trace

TABLE = "delivery"


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """A delivery to add, with the trace of its event."""

    delivery: Delivery
    trace: Trace = ()


class Deliveries(Protocol):
    """Deliveries and contacts, within one transaction."""

    async def add(self, new: Sequence[NewDelivery]) -> None:
        """Add deliveries; an existing delivery stays unchanged."""
        ...

    async def save(self, deliveries: Iterable[Delivery]) -> None:
        """Save the deliveries after their attempts, and end their leases."""
        ...

    async def siblings(
        self, payment_ids: Collection[PaymentId]
    ) -> Mapping[PaymentId, Sequence[Sibling]]:
        """Return all messages of the payments."""
        ...

    async def end_challenges(self, challenge_ids: Collection[ChallengeId]) -> None:
        """Store challenges that have ended; the end may arrive before the code."""
        ...

    async def ended_challenges(self, challenge_ids: Collection[ChallengeId]) -> set[ChallengeId]:
        """Return the challenges that have ended, of those given."""
        ...

    async def contacts(self, user_ids: Iterable[str]) -> Mapping[str, Contact]:
        """Return the users' contacts; a user who has none and was not erased is left out."""
        ...

    async def former_addresses(self, due: Iterable[Delivery]) -> Mapping[DeliveryId, Personal]:
        """Return where notices about changed contacts go."""
        ...

    async def put_contacts(self, contacts: Iterable[Contact]) -> None:
        """Add or replace contacts; the last contact of a user is stored."""
        ...
