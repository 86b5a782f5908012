"""What an owner or an operator may do with a charge. Pure; a refusal is a value, too."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from charges.domain.charge import OPEN, PAID, Charge, Goal, Status, Step, review_at_end


class Refusal(StrEnum):
    """Why an act is refused: the `error` of a 409."""

    NOT_PAID = "Nothing was captured"
    EXCEEDS = "More than is left to refund"
    PAID = "Already captured; refund it"
    ENDED = "Already ended"
    NOT_AUTHORIZED = "Not authorized"
    IN_REVIEW = "Waits for review"
    NOT_IN_REVIEW = "Waits for no review"


@dataclass(frozen=True, slots=True)
class Refunding:
    """A charge with a further refund, and the refund's amount."""

    charge: Charge
    amount_minor: int


def cancel(charge: Charge, now: datetime) -> Charge | Refusal:
    """Void a charge as soon as it is certain where it stands; at once where nothing was sent."""
    if charge.status in PAID:
        return Refusal.PAID
    if charge.status in (Status.DECLINED, Status.FAILED):
        return Refusal.ENDED
    if charge.status is Status.CANCELLED or charge.goal is Goal.VOID:
        return charge
    version = charge.version + 1
    voided = replace(charge, goal=Goal.VOID, version=version)
    if charge.status is Status.CREATED:
        ended = review_at_end(charge.review, Status.CANCELLED)
        return replace(voided, status=Status.CANCELLED, due_at=None, tries=0, review=ended)
    if charge.status is Status.AUTHORIZED:
        return replace(voided, next_step=Step.VOID, due_at=charge.due_at or now)
    # Under way, or unknown: the enquiry that is due anyway is the next step.
    return voided


def capture(charge: Charge, now: datetime) -> Charge | Refusal:
    """Capture what is held; before that, have it captured once it is authorized."""
    if charge.status in PAID:
        return charge
    if charge.status not in OPEN | {Status.AUTHORIZED} or charge.goal is Goal.VOID:
        return Refusal.ENDED
    if charge.review in ("HELD", "REJECTED"):
        return Refusal.IN_REVIEW
    return _captured(charge, now)


def review(charge: Charge, now: datetime, *, is_approved: bool) -> Charge | Refusal:
    """Decide a review; a held charge is captured or voided, a listed one is only marked."""
    if charge.review not in ("HELD", "LISTED"):
        return Refusal.NOT_IN_REVIEW
    is_held = charge.review == "HELD"
    marked = replace(charge, review="APPROVED" if is_approved else "REJECTED")
    if not is_held or charge.status in PAID or charge.status in (Status.DECLINED, Status.FAILED):
        return replace(marked, version=charge.version + 1)
    return _captured(marked, now) if is_approved else cancel(marked, now)


def refund(charge: Charge, amount_minor: int | None) -> Refunding | Refusal:
    """Reserve a refund of an amount, or of all that is left. It never exceeds what was captured."""
    if charge.status not in PAID:
        return Refusal.NOT_PAID
    amount = charge.refundable_minor if amount_minor is None else amount_minor
    if not 0 < amount <= charge.refundable_minor:
        return Refusal.EXCEEDS
    reserved = replace(charge, refunding_minor=charge.refunding_minor + amount)
    return Refunding(replace(reserved, version=charge.version + 1), amount)


def after_refund(charge: Charge, amount_minor: int, *, is_done: bool) -> Charge:
    """Return the charge after the outcome of a refund of this amount."""
    refunding = charge.refunding_minor - amount_minor
    version = charge.version + 1
    if not is_done:
        return replace(charge, refunding_minor=refunding, version=version)
    refunded = charge.refunded_minor + amount_minor
    is_whole = refunded == charge.captured_minor
    status = Status.REFUNDED if is_whole else Status.PARTIALLY_REFUNDED
    return replace(
        charge,
        status=status,
        refunding_minor=refunding,
        refunded_minor=refunded,
        version=version,
    )


def _captured(charge: Charge, now: datetime) -> Charge:
    if charge.goal is Goal.CAPTURE:
        return charge
    wanted = replace(charge, goal=Goal.CAPTURE, version=charge.version + 1)
    if charge.status is not Status.AUTHORIZED:
        return wanted
    return replace(wanted, next_step=Step.CAPTURE, due_at=charge.due_at or now)
