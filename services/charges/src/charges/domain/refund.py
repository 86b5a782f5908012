"""Decisions on a refund: one amount of one charge, at the charge's provider. Pure."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from charges.domain.charge import Policy
from charges.domain.replies import Kind, Reply
from payment_schemas.money import Money


class RefundStatus(StrEnum):
    """The status of a refund."""

    REQUESTED = "REQUESTED"
    SENDING = "SENDING"
    PENDING = "PENDING"
    UNKNOWN = "UNKNOWN"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


class RefundStep(StrEnum):
    """The next call of the provider when a refund is due."""

    SEND = "SEND"
    ENQUIRE = "ENQUIRE"


REFUND_ENDED = frozenset({RefundStatus.SUCCEEDED, RefundStatus.FAILED})


@dataclass(frozen=True, slots=True)
class Refund:
    """A refund; its provider, and the provider's id of the charge, never change."""

    id: UUID
    charge_id: UUID
    user_id: str
    money: Money
    provider: str
    charge_reference: str
    """Our reference of the charge at the provider."""
    provider_reference: str
    """The provider's id of the charge."""
    due_at: datetime | None
    status: RefundStatus = RefundStatus.REQUESTED
    next_step: RefundStep = RefundStep.SEND
    was_sent: bool = False
    tries: int = 0
    code: str | None = None

    @property
    def reference(self) -> str:
        """Our reference at the provider, and its idempotency key."""
        return f"ref-{self.id.hex}"


def begin_refund(refund: Refund) -> Refund:
    """Return the state that must be committed before the provider is called."""
    status = RefundStatus.SENDING if refund.status is RefundStatus.REQUESTED else refund.status
    return replace(refund, status=status, next_step=RefundStep.ENQUIRE, was_sent=True)


def after_refund_reply(
    refund: Refund, reply: Reply, now: datetime, policy: Policy, *, is_first: bool = False
) -> Refund:
    """Return the refund after a reply or a webhook; an outcome never changes.

    `is_first`: it was certainly not sent before this call. Refused then, it has failed and the
    amount is free again; refused later, an earlier call may have done it: the provider is enquired.
    """
    if refund.status in REFUND_ENDED:
        return refund
    match reply.kind:
        case Kind.REFUNDED:
            return _refund_ended(refund, RefundStatus.SUCCEEDED, None)
        case Kind.DECLINED:
            return _refund_ended(refund, RefundStatus.FAILED, reply.code)
        case Kind.REFUSED if is_first:
            return _refund_ended(refund, RefundStatus.FAILED, reply.code)
        case Kind.NOT_SENT if is_first:
            unsent = replace(refund, was_sent=False, status=RefundStatus.REQUESTED)
            return _later(unsent, RefundStep.SEND, now, policy)
        case Kind.PENDING:
            pending = replace(refund, status=RefundStatus.PENDING)
            return _later(pending, RefundStep.ENQUIRE, now, policy)
        case Kind.NOT_FOUND:
            return _later(refund, RefundStep.SEND, now, policy)
        case Kind.NO_ANSWER:
            unknown = replace(refund, status=RefundStatus.UNKNOWN)
            return _later(unknown, RefundStep.ENQUIRE, now, policy)
        case _:
            return _later(refund, RefundStep.ENQUIRE, now, policy)


def _refund_ended(refund: Refund, status: RefundStatus, code: str | None) -> Refund:
    return replace(
        refund, status=status, code=code, due_at=None, tries=0, next_step=RefundStep.ENQUIRE
    )


def _later(refund: Refund, step: RefundStep, now: datetime, policy: Policy) -> Refund:
    tries = refund.tries + 1
    return replace(refund, tries=tries, next_step=step, due_at=policy.after(tries, now))
