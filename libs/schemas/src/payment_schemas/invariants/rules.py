"""The invariants of one payment across services: one rule book for every reader."""

from collections.abc import Sequence

from payment_schemas.invariants import timeline
from payment_schemas.invariants.facts import (
    Assessment,
    Challenges,
    Deliveries,
    Fault,
    Instruction,
    Movement,
    Payment,
    PaymentRecords,
)
from payment_schemas.money import Money

MOST_MOVEMENTS = {"SETTLED": 1, "PENDING": 1, "SENT": 1, "UNKNOWN": 1, "RECONCILE": 1}
"""By settlement status; any other status (REJECTED, or no settlement) allows none."""
TRANSFERS = {
    "NONE": (),
    "PENDING": ("HOLD",),
    "SENT": ("HOLD",),
    "UNKNOWN": ("HOLD",),
    "RECONCILE": ("HOLD",),
    "SETTLED": ("HOLD", "SETTLE"),
    "REJECTED": ("HOLD", "RETURN"),
}
"""Kinds of a payment's transfers by settlement status (I3); NONE unless it is CONFIRMED."""
MOST_CHALLENGES = 3
MOST_ATTEMPTS = 5
SCREENED = 2
"""Debtor and creditor."""


def faults_of(seen: PaymentRecords) -> list[Fault]:
    """Return the violated invariants."""
    payment = seen.payment
    if payment is None:
        return _without_payment(seen)
    faults = [
        *_instruction(payment, seen.instruction),
        *timeline.faults_of(seen.timeline, payment),
        *_codes(payment, seen.challenges),
        *_results(payment, seen.assessment),
        *_messages(payment, seen.deliveries),
    ]
    if seen.movements is not None:
        faults += _movements(payment, seen.movements)
    return faults


def _without_payment(seen: PaymentRecords) -> list[Fault]:
    """Report a payment that other services have and confirm does not."""
    known_to = [
        name
        for name, found in (("settlement", seen.instruction), ("audit", seen.timeline))
        if found is not None
    ]
    return [Fault("I1", f"known to {' and '.join(known_to)}, but not to confirm")]


def _instruction(payment: Payment, instruction: Instruction | None) -> list[Fault]:
    """Compare the payment with its settlement instruction."""
    if payment.status != "CONFIRMED":
        if instruction is None:
            return []
        return [Fault("I2", f"{payment.status}, but settlement has an instruction")]
    if instruction is None:
        return [Fault("I1", "CONFIRMED, and settlement has no instruction")]
    faults = []
    if instruction.uetr != payment.uetr:
        faults.append(Fault("I2", "settlement has another UETR"))
    if (instruction.amount_minor, instruction.currency) != (payment.amount_minor, payment.currency):
        faults.append(Fault("I2", "settlement has another amount"))
    if _outcome(instruction.status) != _outcome(payment.settlement_status):
        both = f"{instruction.status} at settlement, {payment.settlement_status} at confirm"
        faults.append(Fault("I1", both))
    return faults


def _outcome(status: str) -> str:
    return status if status in ("SETTLED", "REJECTED") else "open"


def _movements(payment: Payment, movements: Sequence[Movement]) -> list[Fault]:
    """Compare the payment with the banks' movements of its UETR."""
    count = len(movements)
    state = payment.settlement_status if payment.status == "CONFIRMED" else payment.status
    most = MOST_MOVEMENTS.get(state, 0)
    if count > most:
        return [Fault("I2", f"{state}, and the bank moved money {count} times")]
    if state == "SETTLED" and not count:
        return [Fault("I2", "SETTLED, and no bank moved money")]
    return [fault for one in movements for fault in _movement(payment, one)]


def _movement(payment: Payment, movement: Movement) -> list[Fault]:
    faults = []
    expected = (Money(payment.amount_minor, payment.currency).major(), payment.currency)
    if (movement.amount, movement.currency) != expected:
        faults.append(Fault("I2", f"{movement.partner} moved another amount"))
    if movement.end_to_end_id != payment.transaction_id:
        faults.append(Fault("I2", f"{movement.partner} has another end-to-end id"))
    return faults


def _codes(payment: Payment, found: Challenges | None) -> list[Fault]:
    """Compare a payment's challenges with the limits, and the accepted one with the payment."""
    challenges = found.challenges if found else ()
    accepted = [one for one in challenges if one.state == "ACCEPTED"]
    needed = payment.status == "CONFIRMED" and payment.challenge_number > 0
    bounds = {
        f"{len(challenges)} challenges": len(challenges) > MOST_CHALLENGES,
        "a challenge has too many attempts": any(
            one.attempts > MOST_ATTEMPTS for one in challenges
        ),
        f"{len(accepted)} challenges were accepted": len(accepted) > 1,
        "confirmed, and no code was accepted": needed and not accepted,
        "a code was accepted for another amount or payee": any(
            (one.amount_minor, one.currency, one.payee)
            != (payment.amount_minor, payment.currency, payment.to_account)
            for one in accepted
        ),
    }
    return [Fault("I10", details) for details, is_broken in bounds.items() if is_broken]


def _results(payment: Payment, found: Assessment | None) -> list[Fault]:
    """Require all results for a confirmed payment, and that they allow it."""
    if payment.status != "CONFIRMED":
        return []
    if found is None or found.status != "ASSESSED":
        return [Fault("I12", "confirmed without an assessment")]
    demands = {
        "without both sanctions results": found.screenings < SCREENED,
        "despite a sanctions hit": found.sanctions != "clear",
        "without identity documents": found.kyc in (None, "rejected"),
        "with another score": found.score != payment.risk_score,
    }
    return [Fault("I12", f"confirmed {why}") for why, is_broken in demands.items() if is_broken]


def _messages(payment: Payment, found: Deliveries | None) -> list[Fault]:
    """Require exactly one message for each outcome."""
    templates = found.templates if found else ()
    outcomes = {
        "confirmed": payment.status == "CONFIRMED",
        "declined": payment.status == "DECLINED",
        "returned": payment.settlement_status == "REJECTED",
    }
    return [
        Fault("I13", f"{templates.count(name)} messages {name!r}, expected {int(is_due)}")
        for name, is_due in outcomes.items()
        if templates.count(name) != int(is_due)
    ]
