"""What the services' tables and the banks' books hold about one payment, for the rule book."""

from typing import TYPE_CHECKING, Any
from uuid import UUID

from simulated_watcher import tables_of

from confirm.domain.payment import Payment
from notification.store import TABLE as DELIVERY
from payment_schemas import invariants
from payment_schemas.invariants import PaymentRecords
from risk.domain import Assessed, Assessment
from settlement.domain import Instruction
from settlement.store import TABLE as INSTRUCTION

if TYPE_CHECKING:
    from simulated_world import World


def records_of(world: "World", payment: Payment) -> PaymentRecords:
    name = str(payment.id)
    challenges = tables_of(world, "otp")["challenge"].values()
    deliveries = tables_of(world, "notification")[DELIVERY].values()
    return PaymentRecords(
        _payment(payment),
        _instruction(tables_of(world, "settlement")[INSTRUCTION].get(payment.id)),
        timeline_of(world, payment.id),
        invariants.Challenges(
            name,
            tuple(_challenge(one) for one in challenges if one.payment.payment_id == payment.id),
        ),
        _assessment(tables_of(world, "risk")["assessed"].get(payment.id)),
        invariants.Deliveries(
            name, tuple(one.template for one in deliveries if one.payment_id == payment.id)
        ),
        [
            invariants.Movement(
                str(one.uetr), bank, one.transaction_id, one.money.major(), one.money.currency
            )
            for bank, book in world.outside.banks.items()
            for one in book.movements
            if one.uetr == payment.uetr
        ],
    )


def timeline_of(world: "World", payment_id: UUID) -> invariants.Timeline | None:
    """Return a payment's entries; what was written past the gateway says so: version 0."""
    lines = tables_of(world, "audit")["audit_log"].values()
    mine = [line.entry for line in lines if line.entry.payment_id == payment_id]
    mine.sort(key=lambda entry: entry.origin.time)
    told = [(entry.event, entry.metadata.get("version")) for entry in mine]
    told = [(event, version) for event, version in told if version != 0]
    if not told:
        return None
    events, versions = zip(*told, strict=True)
    return invariants.Timeline(str(payment_id), events, versions)


def _payment(payment: Payment) -> invariants.Payment:
    return invariants.Payment(
        payment_id=str(payment.id),
        transaction_id=payment.transaction_id,
        status=payment.status.value,
        version=payment.version,
        settlement_status=payment.settlement_status,
        uetr=str(payment.uetr),
        amount_minor=payment.amount_minor,
        currency=payment.currency,
        updated_at=payment.updated_at,
        settlement_version=payment.settlement_version,
        to_account=payment.to_account,
        risk_score=payment.risk_score,
        challenge_number=payment.challenge_number,
    )


def _instruction(row: Instruction | None) -> invariants.Instruction | None:
    if row is None:
        return None
    money, status = row.money, row.status.value
    return invariants.Instruction(
        str(row.payment_id), str(row.uetr), row.partner, status, money.amount_minor, money.currency
    )


def _challenge(row: Any) -> invariants.Challenge:
    payment = row.payment
    return invariants.Challenge(
        row.state, row.attempts, payment.amount_minor, payment.currency, payment.payee
    )


def _assessment(row: Assessment | None) -> invariants.Assessment | None:
    if not isinstance(row, Assessed):
        return None
    result = row.result
    return invariants.Assessment(
        str(row.request.payment_id),
        "ASSESSED",
        result.score,
        "hit" if result.sanctions_hit else "clear",
        result.evidence.kyc,
        len(result.evidence.screenings),
    )
