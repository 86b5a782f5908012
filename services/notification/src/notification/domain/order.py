"""The order of a payment's messages: which one waits, and which one holds no more. Pure."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from notification.domain.delivery import PATIENCE, Attempt, Delivery, Kind, Status, Template
from notification.domain.message import Contact
from payment_schemas.ids import ChallengeId, DeliveryId, PaymentId

AFTER = timedelta(seconds=1)
"""How long after an earlier message is due the later one is looked at again."""
MOST = timedelta(minutes=5)

_RANKS: Mapping[Template, tuple[str, int]] = {
    "code": ("payment", 1),
    "confirmed": ("payment", 2),
    "declined": ("payment", 2),
    "returned": ("payment", 3),
    "codes_locked": ("codes", 1),
    "codes_unlocked": ("codes", 2),
}
"""A row of messages each, and the place in it; challenges of one payment go by their number."""


@dataclass(frozen=True, slots=True)
class Sibling:
    """A message of the same payment, as far as the order looks at it."""

    id: DeliveryId
    payment_id: PaymentId
    template: Template
    challenge_number: int
    status: Status
    due_at: datetime | None
    in_flight: bool
    """Whether somebody may be sending it at this moment."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is known around messages that are due."""

    contacts: Mapping[str, Contact] = field(default_factory=dict)
    siblings: Mapping[PaymentId, Sequence[Sibling]] = field(default_factory=dict)
    """All messages of the payments, those that are due among them."""
    over: Collection[ChallengeId] = ()
    """Challenges that take no codes any more."""


def held_back(
    delivery: Delivery, around: Surroundings, together: Collection[UUID], now: datetime
) -> Attempt | None:
    """Return why a message is not sent now, or None where nothing stands in its way.

    `together`: the messages that are due in one slice; nobody else is sending those.
    """
    siblings = [
        one for one in around.siblings.get(delivery.payment_id, ()) if _is_near(one, delivery)
    ]
    if delivery.template == "code" and _is_obsolete(delivery, siblings, around.over):
        return Attempt(Kind.OBSOLETE, "challenge_over")
    if delivery.template == "returned" and not any(one.template == "confirmed" for one in siblings):
        # Settlement's word has come before confirm's: wait longer the longer it takes.
        age = now - (delivery.expires_at - PATIENCE)
        return Attempt(Kind.NOT_YET, "out_of_order", again_at=now + max(AFTER, min(MOST, age / 2)))
    waits_for = [one.due_at or now for one in _earlier(delivery, siblings, together)]
    if not waits_for:
        return None
    return Attempt(Kind.NOT_YET, "out_of_order", again_at=max(now, *waits_for) + AFTER)


def _is_near(one: Sibling, delivery: Delivery) -> bool:
    return one.id != delivery.id and _RANKS[one.template][0] == _RANKS[delivery.template][0]


def _place(one: Sibling | Delivery) -> tuple[int, int]:
    return _RANKS[one.template][1], one.challenge_number


def _is_obsolete(
    delivery: Delivery, siblings: Iterable[Sibling], over: Collection[ChallengeId]
) -> bool:
    """A code is of no use once its challenge is over, or any later message is known."""
    is_over = delivery.challenge_id in over
    return is_over or any(_place(one) > _place(delivery) for one in siblings)


def _earlier(
    delivery: Delivery, siblings: Iterable[Sibling], together: Collection[UUID]
) -> list[Sibling]:
    """Return the earlier messages that must have ended first.

    A code that is not on its way at this moment will not be sent any more: a later message is
    known.
    """
    return [
        one
        for one in siblings
        if _place(one) < _place(delivery)
        and one.status is Status.QUEUED
        and (one.template != "code" or (one.in_flight and one.id not in together))
    ]
