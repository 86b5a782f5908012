"""Decisions on a charge: its states, and what follows from a provider's reply. Pure."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Literal, assert_never
from uuid import UUID

from charges.domain.replies import Kind, Reply
from payment_schemas.money import Money

MOST_ATTEMPTS = 4
"""Providers that one charge may be sent to; a decline is tried again at one other at most."""


class Status(StrEnum):
    """The status of a charge."""

    CREATED = "CREATED"
    """Nothing is sent, or nothing that could still have an effect."""
    AUTHORIZING = "AUTHORIZING"
    AUTHORIZED = "AUTHORIZED"
    CAPTURED = "CAPTURED"
    DECLINED = "DECLINED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    PARTIALLY_REFUNDED = "PARTIALLY_REFUNDED"
    REFUNDED = "REFUNDED"
    UNKNOWN = "UNKNOWN"
    """A call has no reply: the provider is enquired, and nothing else is done before it replies."""


class Goal(StrEnum):
    """Where a charge is to go from AUTHORIZED."""

    HOLD = "HOLD"
    CAPTURE = "CAPTURE"
    VOID = "VOID"


class Step(StrEnum):
    """The next call of the provider when a charge is due."""

    AUTHORIZE = "AUTHORIZE"
    CAPTURE = "CAPTURE"
    VOID = "VOID"
    ENQUIRE = "ENQUIRE"
    REPORT = "REPORT"
    """No call: the provider's webhook."""


Review = Literal["NONE", "LISTED", "HELD", "APPROVED", "REJECTED"]
"""LISTED: looked at after the capture. HELD: captured once a person has approved it.

One that ends without money needs none: NONE, unless a person has decided before.
"""

UNPAID = frozenset({Status.DECLINED, Status.FAILED, Status.CANCELLED})
PAID = frozenset({Status.CAPTURED, Status.PARTIALLY_REFUNDED, Status.REFUNDED})
ENDED = UNPAID | PAID
OPEN = frozenset({Status.CREATED, Status.AUTHORIZING, Status.UNKNOWN})
"""Nothing is known yet of the outcome."""


@dataclass(frozen=True, slots=True)
class Policy:
    """When providers are enquired, and when it is over."""

    first_s: float = 0.5
    most_s: float = 60.0
    in_flight_s: float = 60.0
    """Time within which a sent request may still arrive at a provider."""
    expires_s: float = 900.0
    """Then nothing is sent for the first time or again: nobody expects to be charged any more."""

    def after(self, tries: int, now: datetime) -> datetime:
        """Return the time of the next call after `tries` (1, 2, …)."""
        return now + timedelta(seconds=min(self.most_s, self.first_s * 2.0 ** min(tries - 1, 30)))


@dataclass(frozen=True, slots=True)
class Charge:
    """One payment by a customer's card; a charge is at one provider at a time."""

    id: UUID
    user_id: str
    money: Money
    source: str
    """The token of the card."""
    email: str
    """Sealed; empty where none was given, or the charge has ended."""
    created_at: datetime
    due_at: datetime | None
    status: Status = Status.CREATED
    goal: Goal = Goal.CAPTURE
    next_step: Step = Step.AUTHORIZE
    review: Review = "NONE"
    may_retry: bool = True
    """The customer consents to one try at another provider after a soft decline."""
    provider: str | None = None
    attempt: int = 1
    tried: tuple[str, ...] = ()
    """Providers of earlier attempts; each declined, or nothing was sent to it."""
    tries: int = 0
    """Calls since the last change of status."""
    version: int = 1
    code: str | None = None
    """Of the last decline or failure."""
    provider_reference: str | None = None
    sent_at: datetime | None = None
    """When this attempt was last sent; None: the provider has certainly not seen it."""
    captured_minor: int = 0
    refunding_minor: int = 0
    """Requested refunds without an outcome."""
    refunded_minor: int = 0
    disputed_minor: int = 0
    """What disputes have taken back, or have reserved."""

    @property
    def reference(self) -> str:
        """Our reference at the provider: one an attempt, and the stem of its idempotency keys."""
        return f"chg-{self.id.hex}-{self.attempt}"

    @property
    def refundable_minor(self) -> int:
        """What may still be refunded."""
        return (
            self.captured_minor - self.refunding_minor - self.refunded_minor - self.disputed_minor
        )


@dataclass(frozen=True, slots=True)
class Call:
    """What a reply is about."""

    step: Step
    attempt: int
    is_first: bool = False
    """An authorization of an attempt that was certainly not sent before."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The next state; `is_late`: the reply contradicts what was decided."""

    state: Charge
    is_late: bool = False

    def changes(self, before: Charge) -> bool:
        """Return whether there is an event to publish."""
        return self.state.version != before.version


def next_call(charge: Charge, now: datetime, policy: Policy) -> Step | None:
    """Return the call that is due; None: it is too late to send anything."""
    if charge.next_step is not Step.AUTHORIZE or not is_expired(charge, now, policy):
        return charge.next_step
    return Step.ENQUIRE if charge.sent_at else None


def begin(charge: Charge, provider: str | None, now: datetime) -> Charge:
    """Return the state that must be committed before the provider is called.

    The next step becomes ENQUIRE: where the process is killed, the next one enquires first.
    """
    if charge.next_step is not Step.AUTHORIZE or provider is None:
        return replace(charge, next_step=Step.ENQUIRE) if charge.provider else charge
    begun = replace(charge, provider=provider, next_step=Step.ENQUIRE, sent_at=now)
    return _moved(begun, Status.AUTHORIZING) if charge.status is Status.CREATED else begun


def after_reply(
    charge: Charge, call: Call, reply: Reply, now: datetime, policy: Policy
) -> Decision:
    """Return what follows from a provider's reply, or from its webhook.

    | reply | nothing known | AUTHORIZED | ended |
    |---|---|---|---|
    | AUTHORIZED | AUTHORIZED; then capture, void or wait, by the goal | the same | late if unpaid |
    | CAPTURED | CAPTURED | CAPTURED | late if unpaid |
    | CANCELLED | CANCELLED | CANCELLED | late if paid |
    | DECLINED, soft, the first | CREATED, the next attempt at another provider | DECLINED | |
    | DECLINED | DECLINED | DECLINED | late if paid |
    | PENDING | enquire later | enquire later | |
    | NOT_FOUND | send again, same provider and reference; FAILED once expired | enquire later | |
    | NO_ANSWER | UNKNOWN, enquire later | UNKNOWN, enquire later, if to a capture or void | |
    | NOT_SENT, REFUSED, first call | CREATED, the next attempt at another provider | | |
    | NOT_SENT, otherwise | enquire later | capture or void again, by the goal | |
    | REFUSED, otherwise | enquire later | enquire later | |

    With the goal VOID nothing is sent for the first time or again: a decline, or NOT_FOUND after
    the time in flight, is CANCELLED. What is captured is captured: a refund gives it back.
    """
    if call.attempt != charge.attempt or charge.status in ENDED:
        return Decision(charge, is_late=_contradicts(charge, call, reply))
    return Decision(_after(charge, call, reply, now, policy))


def without_route(charge: Charge, attempt: int, code: str) -> Decision:
    """Return the end of a charge that no provider may take, or that is too late to send."""
    if attempt != charge.attempt or charge.status in ENDED:
        return Decision(charge)
    status = Status.DECLINED if charge.code else Status.FAILED
    return Decision(_ended(charge, status, charge.code or code))


def _after(charge: Charge, call: Call, reply: Reply, now: datetime, policy: Policy) -> Charge:
    match reply.kind:
        case Kind.AUTHORIZED:
            return _authorized(charge, reply, now, policy)
        case Kind.CAPTURED | Kind.REFUNDED:
            captured = replace(charge, captured_minor=charge.money.amount_minor)
            return _ended(captured, Status.CAPTURED, None, reply)
        case Kind.CANCELLED:
            return _ended(charge, Status.CANCELLED, reply.code, reply)
        case Kind.DECLINED:
            return _declined(charge, reply, now, policy)
        case Kind.NOT_FOUND:
            return _not_found(charge, now, policy)
        case Kind.NO_ANSWER | Kind.NOT_SENT if _stays_authorized(charge, call, reply):
            return _authorized(charge, reply, now, policy)
        case Kind.NO_ANSWER:
            return _enquire_later(charge, Status.UNKNOWN, now, policy)
        case Kind.NOT_SENT | Kind.REFUSED if call.is_first:
            return _not_taken(charge, reply, now, policy)
        case Kind.NOT_SENT | Kind.REFUSED | Kind.PENDING:
            # A step that was not taken is found by the enquiry, and taken again.
            return _enquire_later(charge, charge.status, now, policy)
        case _:  # pragma: no cover - mypy proves that the match is exhaustive
            assert_never(reply.kind)


def _authorized(charge: Charge, reply: Reply, now: datetime, policy: Policy) -> Charge:
    known = replace(charge, provider_reference=reply.reference or charge.provider_reference)
    is_new = charge.status is not Status.AUTHORIZED
    moved = _moved(known, Status.AUTHORIZED, code=None) if is_new else known
    if charge.goal is Goal.HOLD:
        return replace(moved, next_step=Step.ENQUIRE, due_at=None)
    step = Step.CAPTURE if charge.goal is Goal.CAPTURE else Step.VOID
    tries = 0 if is_new else charge.tries + 1
    due_at = policy.after(tries, now) if tries else now
    return replace(moved, next_step=step, due_at=due_at, tries=tries)


def _stays_authorized(charge: Charge, call: Call, reply: Reply) -> bool:
    """Whether a call without a reply leaves no doubt of an authorization.

    A webhook has reported it meanwhile, or a capture or void was certainly not sent.
    """
    is_in_doubt = call.step in (Step.CAPTURE, Step.VOID) and reply.kind is Kind.NO_ANSWER
    return charge.status is Status.AUTHORIZED and not is_in_doubt


def _declined(charge: Charge, reply: Reply, now: datetime, policy: Policy) -> Charge:
    if charge.goal is Goal.VOID:
        return _ended(charge, Status.CANCELLED, reply.code, reply)
    again = (
        reply.is_soft
        and charge.may_retry
        and charge.code is None
        and charge.status is not Status.AUTHORIZED
        and not is_expired(charge, now, policy)
    )
    if again:
        return _elsewhere(charge, reply, now)
    return _ended(charge, Status.DECLINED, reply.code, reply)


def _elsewhere(charge: Charge, reply: Reply, now: datetime) -> Charge:
    """Return the next attempt, at a provider that was not tried."""
    tried = (*charge.tried, charge.provider) if charge.provider else charge.tried
    code = reply.code if reply.kind is Kind.DECLINED else charge.code
    return _moved(
        charge,
        Status.CREATED,
        attempt=charge.attempt + 1,
        tried=tried,
        code=code,
        provider=None,
        provider_reference=None,
        sent_at=None,
        next_step=Step.AUTHORIZE,
        due_at=now,
    )


def _not_taken(charge: Charge, reply: Reply, now: datetime, policy: Policy) -> Charge:
    """The provider has certainly done nothing."""
    if charge.goal is Goal.VOID:
        return _ended(charge, Status.CANCELLED, None, reply)
    if charge.attempt >= MOST_ATTEMPTS or is_expired(charge, now, policy):
        return _ended(charge, Status.FAILED, reply.code or "no_provider", reply)
    return _elsewhere(charge, reply, now)


def _not_found(charge: Charge, now: datetime, policy: Policy) -> Charge:
    in_flight = timedelta(seconds=policy.in_flight_s)
    is_over = charge.sent_at is None or now >= charge.sent_at + in_flight
    if charge.status is Status.AUTHORIZED or charge.provider_reference:
        # The provider knew it: its list is behind, or it lies. Nothing is sent again.
        return _enquire_later(charge, charge.status, now, policy)
    if charge.goal is Goal.VOID:
        if is_over:
            return _ended(charge, Status.CANCELLED, None)
        return _enquire_later(charge, charge.status, now, policy)
    if is_expired(charge, now, policy):
        if is_over:
            return _ended(charge, Status.FAILED, "timed_out")
        return _enquire_later(charge, charge.status, now, policy)
    later = _enquire_later(charge, charge.status, now, policy)
    # Sent again later, not at once: a list that is behind would be read in a tight loop.
    return replace(later, next_step=Step.AUTHORIZE)


def _enquire_later(charge: Charge, status: Status, now: datetime, policy: Policy) -> Charge:
    moved = charge if charge.status is status else _moved(charge, status)
    tries = moved.tries + 1
    return replace(moved, tries=tries, next_step=Step.ENQUIRE, due_at=policy.after(tries, now))


def _ended(charge: Charge, status: Status, code: str | None, reply: Reply | None = None) -> Charge:
    reference = (reply.reference if reply else None) or charge.provider_reference
    return _moved(
        charge,
        status,
        code=code,
        provider_reference=reference,
        due_at=None,
        next_step=Step.ENQUIRE,
        review=review_at_end(charge.review, status),
    )


def review_at_end(review: Review, status: Status) -> Review:
    """Return the review of a charge that ends: without money there is nothing to look at."""
    return "NONE" if status in UNPAID and review in ("LISTED", "HELD") else review


def _moved(charge: Charge, status: Status, **changes: Any) -> Charge:
    return replace(charge, status=status, tries=0, version=charge.version + 1, **changes)


def is_expired(charge: Charge, now: datetime, policy: Policy) -> bool:
    """Return whether nobody expects any more to be charged."""
    return now >= charge.created_at + timedelta(seconds=policy.expires_s)


def _contradicts(charge: Charge, call: Call, reply: Reply) -> bool:
    """Whether the provider holds or took money that we think it did not, or the reverse."""
    if call.attempt != charge.attempt or charge.status in {Status.DECLINED, Status.FAILED}:
        return reply.kind in (Kind.AUTHORIZED, Kind.CAPTURED)
    if charge.status is Status.CANCELLED:
        # Of one that was voided, a webhook of the authorization may come late.
        unseen = charge.provider_reference is None
        return reply.kind is Kind.CAPTURED or (reply.kind is Kind.AUTHORIZED and unseen)
    return charge.status in PAID and reply.kind in (Kind.DECLINED, Kind.CANCELLED)
