"""The demonstration's exception: one operator proposes it, another one approves it."""

from contextlib import closing
from datetime import timedelta

from ops.clients.listings import ASSESSMENTS, EXCEPTIONS
from ops.clients.payments import SCREENING, find_payments
from ops.clients.proposals import approve
from ops.clients.sessions import DEVELOPMENT_OPERATORS, session_of
from ops.clients.system import System
from ops.domain.errors import RefusedError
from ops.domain.rows import Row
from service_runtime.clock import SystemClock

LASTS = timedelta(days=90)


def except_payee(system: System, transaction: str, account: str) -> str:
    """Except the payee of a declined payment from the entry that it hit; say who has done it."""
    hit = _hit_of(system, transaction)
    body = {
        "account_id": account,
        "list": hit["list_name"],
        "entry": hit["entry"],
        "reason": "the demonstration: another birth date, passport seen",
        "last_day": (SystemClock().now() + LASTS).date().isoformat(),
    }
    proposed = system.post(SCREENING, EXCEPTIONS.path, body)
    second = _second_person(proposed["proposed_by"])
    with (
        closing(session_of(system.addresses, second)) as session,
        System(system.addresses, bearer=session.token) as by_second,
    ):
        approve(by_second, proposed["proposal"])
    return f"{proposed['about']}: proposed by {proposed['proposed_by']}, approved by {second}"


def _second_person(first: str) -> str:
    """Return a development operator who is somebody else."""
    return next(name for name in DEVELOPMENT_OPERATORS if not first.endswith(f"|{name}"))


def _hit_of(system: System, transaction: str) -> Row:
    """Return the hit of a payment; raise RefusedError where there is none."""
    (payment,) = find_payments(system, transaction, None)
    for row in system.rows(ASSESSMENTS, payment_id=payment["payment_id"]):
        hits: list[Row] = [one for one in row["screenings"] if one.get("entry") is not None]
        if hits:
            return hits[0]
    raise RefusedError(f"{transaction} hit no entry", f"countersign show {transaction}")
