"""One payment with the rows of every service."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote

from ops.clients import listings
from ops.clients.listings import Listing
from ops.clients.system import System
from ops.domain.errors import OpsError
from ops.domain.rows import Row
from ops.domain.waiting import Wait, waits_of

_PARTS = (
    listings.INSTRUCTIONS,
    listings.ASSESSMENTS,
    listings.CHALLENGES,
    listings.DELIVERIES,
    listings.TIMELINE,
)
_FIELD = {listings.TIMELINE.name: "timeline"}
"""By the name in the response; others have the field's name."""
SCREENING = "screening"


@dataclass(slots=True)
class PaymentOverview:
    """A payment with the rows of every service; `missing` has the services without a response."""

    payment: Row
    instructions: Sequence[Row] = ()
    assessments: Sequence[Row] = ()
    explanations: Sequence[Row] = ()
    """The score in words, where the service insight runs."""
    screenings: Sequence[Row] = ()
    """Of both parties; of a hit with the entry's name and programmes."""
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
    """Return the payments with that transaction id, id, UETR or reference."""
    return system.rows(listings.PAYMENTS, transaction_id=name, user_id=user)


def overview_of(system: System, payment: Row, now: datetime) -> PaymentOverview:
    """Query the owners of a payment's rows; one without a response does not hide the others.

    With the payment itself, six routes; `explain` adds what two further services know.
    """
    trace_id = payment.get("trace_id")
    if trace_id and system.addresses.traces:
        payment = {**payment, "trace": system.addresses.traces + trace_id}
    known = PaymentOverview(payment)

    def rows(listing: Listing) -> Mapping[str, Sequence[Row]] | OpsError:
        try:
            found: Mapping[str, Sequence[Row]] = system.get(
                listing.owner, listing.path, payment_id=payment["payment_id"]
            )
        except OpsError as error:
            return error
        return found

    # At once: each of the services needs some milliseconds for the audit row of the read.
    with ThreadPoolExecutor(len(_PARTS)) as pool:
        for listing, found in zip(_PARTS, pool.map(rows, _PARTS), strict=True):
            if isinstance(found, OpsError):
                known.missing.append(str(found))
                continue
            setattr(known, _FIELD.get(listing.name, listing.name), found[listing.name])
            # Settlement adds the cases about the transfer.
            known.cases = found.get("cases", known.cases)
    known.waits_for = waits_of(known, now)
    return known


def explain(system: System, known: PaymentOverview) -> None:
    """Add the score in words, and both parties' screenings, to a payment with its assessments."""
    if listings.EXPLANATIONS.owner in system.addresses.urls:
        try:
            found = system.rows(listings.EXPLANATIONS, payment_id=known.payment["payment_id"])
            known.explanations = found
        except OpsError as error:
            known.missing.append(str(error))
    known.screenings = [
        _screening(system, one, known.missing)
        for row in known.assessments
        for one in row.get("screenings") or ()
    ]


def explanation_of(system: System, payment_id: str) -> PaymentOverview:
    """Return a payment's assessments, explained, without its other rows. Raises OpsError."""
    known = PaymentOverview({"payment_id": payment_id})
    known.assessments = system.rows(listings.ASSESSMENTS, payment_id=payment_id)
    explain(system, known)
    return known


def _screening(system: System, found: Row, missing: list[str]) -> Row:
    """Return one party's screening with the entry's name and programmes, which no event has."""
    shown = {
        "party": found["party"],
        "hit": found["hit"],
        "score": found["match_score"],
        "by": " and ".join(found.get("by", ["account"])),
        "list": found.get("list_name"),
        "version": found["list_version"],
        "entry": found.get("entry"),
        "excepted": ", ".join(found.get("excepted", ())),
    }
    if shown["entry"] is None or SCREENING not in system.addresses.urls:
        return shown
    try:
        path = f"/admin/lists/{quote(shown['list'])}/entries/{quote(shown['entry'])}"
        entry = system.get(SCREENING, path)
    except OpsError as error:
        missing.append(str(error))
        return shown
    return shown | {"name": entry["names"][0], "programmes": ", ".join(entry["programmes"])}
