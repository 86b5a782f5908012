"""A card at a provider: stored there once, under a token of the provider's. Pure."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from charges.domain.charge import Policy
from charges.domain.replies import Kind, Reply

MOST_TRIES = 10
"""Calls, each with a detokenisation; then the card stays unknown to the provider."""
NO_ANSWER = "no_answer"


class ProvisionStatus(StrEnum):
    """Whether a provider has a card."""

    PENDING = "PENDING"
    STORED = "STORED"
    REFUSED = "REFUSED"


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


def _refused(row: Provision, code: str | None) -> Provision:
    return replace(row, status=ProvisionStatus.REFUSED, due_at=None, code=code)
