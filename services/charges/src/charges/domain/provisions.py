"""A card at a provider: stored there once, under a token of the provider's, until it is deleted.

Pure.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from charges.domain.charge import Policy
from charges.domain.replies import Kind, Reply

MOST_TRIES = 10
"""Calls, each with a detokenisation; then the card stays unknown to the provider."""
NO_ANSWER = "no_answer"
CARD_DELETED = "card_deleted"


class ProvisionStatus(StrEnum):
    """Whether a provider has a card."""

    PENDING = "PENDING"
    STORED = "STORED"
    REFUSED = "REFUSED"
    DELETING = "DELETING"
    """The card is deleted here; the provider may still have it."""
    DELETED = "DELETED"


@dataclass(frozen=True, slots=True)
class Provision:
    """A card that a provider is to store."""

    id: UUID
    card_id: UUID
    provider: str
    due_at: datetime | None
    status: ProvisionStatus = ProvisionStatus.PENDING
    provider_token: str | None = None
    code: str | None = None
    tries: int = 0

    @property
    def reference(self) -> str:
        """Our reference at the provider; to store a card twice has no effect but a second token."""
        return f"crd-{self.id.hex}"


def after_store(row: Provision, reply: Reply, now: datetime, policy: Policy) -> Provision:
    """Return the row after a provider's reply: AUTHORIZED where it has stored the card."""
    tried = replace(row, tries=row.tries + 1)
    match reply.kind:
        case Kind.AUTHORIZED if reply.reference:
            stored = replace(tried, status=ProvisionStatus.STORED, due_at=None)
            return replace(stored, provider_token=reply.reference)
        case Kind.DECLINED | Kind.REFUSED:
            return _refused(tried, reply.code)
        case _ if tried.tries >= MOST_TRIES:
            return _refused(tried, NO_ANSWER)
        case _:
            return replace(tried, due_at=policy.after(tried.tries, now))


def after_delete(row: Provision, reply: Reply, now: datetime, policy: Policy) -> Provision:
    """Return the row after a provider's reply: CANCELLED where it has deleted the card.

    There is no last try: a card that its owner has deleted is to be deleted everywhere.
    """
    tried = replace(row, tries=row.tries + 1)
    if reply.kind in (Kind.CANCELLED, Kind.NOT_FOUND):
        return replace(tried, status=ProvisionStatus.DELETED, provider_token=None, due_at=None)
    return replace(tried, due_at=policy.after(tried.tries, now))


def to_delete(row: Provision, now: datetime) -> Provision:
    """Return the row of a card that was deleted while the provider stored it."""
    if row.status is not ProvisionStatus.STORED:
        return row
    return replace(row, status=ProvisionStatus.DELETING, due_at=now, tries=0)


def _refused(row: Provision, code: str | None) -> Provision:
    return replace(row, status=ProvisionStatus.REFUSED, due_at=None, code=code)
