"""The event of a charge's change, and the metrics of its steps."""

from collections.abc import Iterable
from datetime import date

from charges.domain.charge import Charge
from charges.domain.disputes import Dispute, DisputeStatus
from charges.domain.postings import FEE, capture_transfers
from charges.store.charges import Charges
from double_entry.rules import Transfer
from payment_schemas.events.charges import ChargeChanged
from service_runtime import metrics
from service_runtime.clock import Clock
from service_runtime.logs import Log
from service_runtime.messages import Cause, Emit

_log = Log("charges")
_steps = metrics.counter("charges", "Changes of charges, by status and provider.")
_disputes = metrics.counter("charge_disputes", "Disputes of charges, by status and provider.")
_costs = metrics.counter("charge_costs", "Costs of captures in minor units, by provider.")
_late = metrics.counter("charge_contradictions", "Replies that contradict what was decided.")


def changed_event(charge: Charge) -> ChargeChanged:
    """Return the event of a charge's present state."""
    return ChargeChanged(
        charge_id=charge.id,
        user_id=charge.user_id,
        version=charge.version,
        status=charge.status.value,
        amount_minor=charge.money.amount_minor,
        currency=charge.money.currency,
        provider=charge.provider,
        code=charge.code,
        review=charge.review,
        captured_minor=charge.captured_minor,
        refunding_minor=charge.refunding_minor,
        refunded_minor=charge.refunded_minor,
    )


def emit(charge: Charge, cause: Cause) -> Emit:
    """Return the event of a change, counted; the version separates two events of one cause."""
    _steps.add(1, {"status": charge.status.value, "provider": charge.provider or "none"})
    name = f"{cause.discriminator}/{charge.version}"
    return Emit(changed_event(charge), Cause(cause.id, cause.trace, name))


async def save(
    before: Charge, after: Charge, store: Charges, clock: Clock, *, ends_lease: bool = False
) -> None:
    """Write back a locked charge, with the transfers of its capture in the same commit."""
    if after != before or ends_lease:
        await store.save([after], ends_lease=ends_lease)
    if after.captured_minor and not before.captured_minor:
        await store.post(captured(after, clock.now().date()))


def announce(providers: Iterable[str]) -> None:
    """Begin the counters that an alert watches at 0: one that begins at 1 shows no increase."""
    for name in providers:
        _late.add(0, {"provider": name})
        _disputes.add(0, {"provider": name, "status": DisputeStatus.OPEN.value})


def captured(charge: Charge, day: date) -> list[Transfer]:
    """Return the transfers of a capture, and count its cost."""
    transfers = capture_transfers(charge, day)
    labels = {"provider": charge.provider or "none", "currency": charge.money.currency}
    _costs.add(sum(one.amount_minor for one in transfers if one.kind == FEE), labels)
    return transfers


def note_dispute(dispute: Dispute) -> None:
    """Count and log a dispute; each is a matter of people."""
    _disputes.add(1, {"provider": dispute.provider, "status": dispute.status.value})
    _log.warning("charge_disputed", charge_id=dispute.charge_id, status=dispute.status)


async def note_late(charges: Iterable[Charge], store: Charges) -> None:
    """Mark, count and log charges whose provider contradicts what was decided."""
    found = list(charges)
    for one in found:
        _late.add(1, {"provider": one.provider or "none"})
        _log.error("provider_contradicts", charge_id=one.id, status=one.status)
    await store.contradict([one.id for one in found])
