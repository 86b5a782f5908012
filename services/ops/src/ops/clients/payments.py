"""One payment with the rows of every service."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from ops.clients import listings
from ops.clients.listings import Listing
from ops.clients.system import System
from ops.domain.errors import OpsError
from ops.domain.rows import Row
from ops.domain.waiting import Wait, waits_of

MOST_CASES = 1000


@dataclass(slots=True)
class PaymentOverview:
    """A payment with the rows of every service; `missing` has the services without a response."""

    payment: Row
    instructions: Sequence[Row] = ()
    assessments: Sequence[Row] = ()
    challenges: Sequence[Row] = ()
    deliveries: Sequence[Row] = ()
    timeline: Sequence[Row] = ()
    cases: Sequence[Row] = ()
    """Unresolved cases."""
    waits_for: Sequence[Wait] = ()
    missing: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


def find_payments(system: System, name: str, user: str | None) -> list[Row]:
    """Return the payments with that transaction id, id or UETR, of one user or of all."""
    return system.rows(listings.PAYMENTS, transaction_id=name, user_id=user)


def overview_of(system: System, payment: Row, now: datetime) -> PaymentOverview:
    """Query every service about a payment; one without a response does not hide the others."""
    trace_id = payment.get("trace_id")
    if trace_id and system.addresses.traces:
        payment = {**payment, "trace": system.addresses.traces + trace_id}
    known = PaymentOverview(payment)
    payment_id = payment["payment_id"]

    def rows(listing: Listing, **query: Any) -> Sequence[Row]:
        try:
            return system.rows(listing, **query)
        except OpsError as error:
            known.missing.append(str(error))
            return ()

    known.instructions = rows(listings.INSTRUCTIONS, payment_id=payment_id)
    known.assessments = rows(listings.ASSESSMENTS, payment_id=payment_id)
    known.challenges = rows(listings.CHALLENGES, payment_id=payment_id)
    known.deliveries = rows(listings.DELIVERIES, payment_id=payment_id)
    known.timeline = rows(listings.TIMELINE, payment_id=payment_id)
    about = (payment_id, payment["uetr"])
    unresolved = rows(listings.CASES, limit=MOST_CASES) if known.instructions else ()
    known.cases = [one for one in unresolved if one["payment_id"] in about or one["uetr"] in about]
    known.waits_for = waits_of(known, now)
    return known
