"""The order of a payment's messages: which must wait, and which are obsolete. Pure."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from notification.domain.delivery import OUTCOME_LIFETIME, Attempt, Delivery, Kind, Status, Template
from notification.domain.message import Contact
from payment_schemas.ids import ChallengeId, DeliveryId, PaymentId
from payment_schemas.sealed import Personal

AFTER = timedelta(seconds=1)
"""A later message is tried again this long after the earlier one is due."""
MOST = timedelta(minutes=5)

_RANKS: Mapping[Template, tuple[str, int]] = {
    "code": ("payment", 1),
    "confirmed": ("payment", 2),
    "declined": ("payment", 2),
    "returned": ("payment", 3),
    "codes_locked": ("codes", 1),
    "codes_unlocked": ("codes", 2),
    "contact_changed": ("contact", 1),
}
"""The sequence of each template and its position; codes are ordered by challenge number."""


@dataclass(frozen=True, slots=True)
class Sibling:
    """A message of the same payment, with the fields that decide the order."""

    id: DeliveryId
    payment_id: PaymentId
    template: Template
    challenge_number: int
    status: Status
    due_at: datetime | None
    in_flight: bool
    """Whether a worker may be sending the message now."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The stored facts that decide whether due messages are sent."""

    contacts: Mapping[str, Contact] = field(default_factory=dict)
    siblings: Mapping[PaymentId, Sequence[Sibling]] = field(default_factory=dict)
    """All messages of the payments, the due ones included."""
    ended: Collection[ChallengeId] = ()
    """Challenges that have ended."""
    former: Mapping[DeliveryId, Personal] = field(default_factory=dict)
    """Where notices about changed contacts go."""


def held_back(
    delivery: Delivery, known: Surroundings, in_slice: Collection[UUID], now: datetime
) -> Attempt | None:
    """Return why a message is not sent now, or None if it may be sent.

    `in_slice`: the messages of the same slice; no other worker is sending them.
    """
    if delivery.payment_id is None:
        return None
    siblings = [
        one for one in known.siblings.get(delivery.payment_id, ()) if _is_related(one, delivery)
    ]
    if delivery.template == "code" and _is_obsolete(delivery, siblings, known.ended):
        return Attempt(Kind.OBSOLETE, "challenge_over")
    if delivery.template == "returned" and not any(one.template == "confirmed" for one in siblings):
        # Settlement's event arrived before confirm's: the wait grows with the delivery's age.
        age = now - (delivery.expires_at - OUTCOME_LIFETIME)
        return Attempt(Kind.NOT_YET, "out_of_order", retry_at=now + max(AFTER, min(MOST, age / 2)))
    waits_for = [one.due_at or now for one in _earlier(delivery, siblings, in_slice)]
    if not waits_for:
        return None
    return Attempt(Kind.NOT_YET, "out_of_order", retry_at=max(now, *waits_for) + AFTER)


def _is_related(one: Sibling, delivery: Delivery) -> bool:
    return one.id != delivery.id and _RANKS[one.template][0] == _RANKS[delivery.template][0]


def _position(one: Sibling | Delivery) -> tuple[int, int]:
    return _RANKS[one.template][1], one.challenge_number


def _is_obsolete(
    delivery: Delivery, siblings: Iterable[Sibling], ended: Collection[ChallengeId]
) -> bool:
    """Return whether the code's challenge has ended or a later message exists."""
    has_ended = delivery.challenge_id in ended
    return has_ended or any(_position(one) > _position(delivery) for one in siblings)


def _earlier(
    delivery: Delivery, siblings: Iterable[Sibling], in_slice: Collection[UUID]
) -> list[Sibling]:
    """Return the earlier messages that must end first.

    A queued code that is not in flight is never sent, because a later message exists.
    """
    return [
        one
        for one in siblings
        if _position(one) < _position(delivery)
        and one.status is Status.QUEUED
        and (one.template != "code" or (one.in_flight and one.id not in in_slice))
    ]
