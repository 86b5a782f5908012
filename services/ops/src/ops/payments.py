"""What each owner knows of one payment."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ops.errors import OpsError
from ops.system import System

Row = Mapping[str, Any]


@dataclass(slots=True)
class Known:
    """A payment as all services together see it; `missing` says who could not be asked."""

    payment: Row
    instructions: Sequence[Row] = ()
    assessments: Sequence[Row] = ()
    challenges: Sequence[Row] = ()
    deliveries: Sequence[Row] = ()
    timeline: Sequence[Row] = ()
    missing: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


def find_payments(system: System, name: str, user: str | None) -> list[Row]:
    """Return the payments with that transaction id, id or UETR, of one user or of all."""
    query = {"transaction_id": name, "user_id": user}
    found: list[Row] = system.get("confirm", "/admin/payments", **query)["payments"]
    return found


def known_of(system: System, payment: Row) -> Known:
    """Ask every owner about a payment; who does not answer does not hide the others."""
    trace_id = payment.get("trace_id")
    if trace_id and system.addresses.traces:
        payment = {**payment, "trace": system.addresses.traces + trace_id}
    known = Known(payment)
    payment_id = payment["payment_id"]

    def ask(owner: str, path: str, field_name: str) -> Sequence[Row]:
        try:
            found = system.get(owner, path, payment_id=payment_id)
        except OpsError as error:
            known.missing.append(str(error))
            return ()
        rows: Sequence[Row] = found[field_name]
        return rows

    known.instructions = ask("settlement", "/admin/instructions", "instructions")
    known.assessments = ask("risk", "/admin/assessments", "assessments")
    known.challenges = ask("otp", "/admin/challenges", "challenges")
    known.deliveries = ask("notification", "/admin/deliveries", "deliveries")
    known.timeline = ask("audit", "/admin/timeline", "rows")
    return known
