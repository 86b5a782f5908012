"""The memory twin of notification's tables, for tests and simulations."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from notification.domain import CODES_PAUSE, Contact, Delivery, Sibling, Status
from notification.store.port import TABLE, NewDelivery
from payment_schemas.ids import ChallengeId, DeliveryId, PaymentId
from payment_schemas.sealed import Personal


@dataclass(frozen=True, slots=True)
class _Times:
    created_at: datetime
    updated_at: datetime


class MemoryDeliveries:
    """Deliveries and contacts in one transaction of a memory database."""

    def __init__(self, tx: Any) -> None:
        self._tx = tx
        self._rows: dict[DeliveryId, Delivery] = tx.own[TABLE]
        self._times: dict[DeliveryId, _Times] = tx.own[f"{TABLE}/times"]
        self._over: dict[ChallengeId, datetime] = tx.own["challenge_over"]
        self._contacts: dict[str, Contact] = tx.own["contact"]
        self._paused_until: dict[str, datetime] = tx.own["contact/paused_until"]

    async def add(self, new: Sequence[NewDelivery]) -> None:
        now = self._tx.clock.now()
        for one in new:
            name = one.delivery.id
            if name not in self._rows:
                self._rows[name] = one.delivery
                self._times[name] = _Times(now, now)
                self._tx.schedule(TABLE, name, one.delivery.due_at, one.trace)

    async def save(self, deliveries: Iterable[Delivery]) -> None:
        for delivery in deliveries:
            self._save(delivery)

    def _save(self, delivery: Delivery) -> None:
        name, previous = delivery.id, self._rows[delivery.id]
        if previous.status is not Status.QUEUED and delivery.status is not previous.status:
            raise ValueError(f"delivery {name} has ended and cannot change")
        self._rows[name] = delivery
        self._times[name] = replace(self._times[name], updated_at=self._tx.clock.now())
        self._tx.schedule(TABLE, name, delivery.due_at)

    async def siblings(
        self, payment_ids: Collection[PaymentId]
    ) -> Mapping[PaymentId, Sequence[Sibling]]:
        found: dict[PaymentId, list[Sibling]] = {name: [] for name in payment_ids}
        for row in self._rows.values():
            if row.payment_id is not None and row.payment_id in found:
                found[row.payment_id].append(self._sibling(row, row.payment_id))
        return found

    def _sibling(self, row: Delivery, payment_id: PaymentId) -> Sibling:
        until = self._tx.own[f"{TABLE}/lease"][row.id].lease_until
        in_flight = until is not None and until > self._tx.clock.now()
        number, due_at = row.challenge_number, row.due_at
        return Sibling(row.id, payment_id, row.template, number, row.status, due_at, in_flight)

    async def end_challenges(self, challenge_ids: Collection[ChallengeId]) -> None:
        self._over.update(dict.fromkeys(challenge_ids, self._tx.clock.now()))

    async def ended_challenges(self, challenge_ids: Collection[ChallengeId]) -> set[ChallengeId]:
        return {name for name in challenge_ids if name in self._over}

    async def contacts(self, user_ids: Iterable[str]) -> Mapping[str, Contact]:
        now = self._tx.clock.now()
        return {
            name: replace(self._contacts[name], is_paused=now < self._paused_until.get(name, now))
            for name in user_ids
            if name in self._contacts
        }

    async def former_addresses(self, due: Iterable[Delivery]) -> Mapping[DeliveryId, Personal]:
        return {one.id: one.former_address for one in due if one.former_address is not None}

    async def put_contacts(self, contacts: Iterable[Contact]) -> None:
        for contact in {one.user_id: one for one in contacts}.values():
            known = self._contacts.get(contact.user_id, contact)
            if (known.phone, known.email) != (contact.phone, contact.email):
                self._paused_until[contact.user_id] = self._tx.clock.now() + CODES_PAUSE
            self._contacts[contact.user_id] = contact
