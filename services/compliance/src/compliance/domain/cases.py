"""Review cases: their states, deadlines and what may be done in each."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from types import MappingProxyType
from typing import Literal
from uuid import UUID, uuid5

Kind = Literal["SAR", "CTR"]
"""The report that a case may end with: on suspicious activity, or on cash."""
State = Literal["OPEN", "ASSIGNED", "ESCALATED", "CLOSED"]
Outcome = Literal["FILED", "NOT_SUSPICIOUS"]
"""NOT_SUSPICIOUS ends a CTR case where no report is due: the person is exempt, 31 CFR 1020.315."""
Reason = Literal["amount", "risk", "rule", "cash"]
"""Why a payment is evidence: `amount` and `risk` as in `review.opened.v1`, a rule of compliance
that demands a review or blocks, or cash over the limit."""

SAR_DAYS = 30
"""Calendar days from detection. Source: 31 CFR 1020.320(b)(3)."""
SAR_DAYS_WITHOUT_SUSPECT = 60
"""The same paragraph: 30 days more to identify a suspect."""
CTR_DAYS = 15
"""Calendar days from the transaction. Source: 31 CFR 1010.306(a)(1)."""
_ASSIGNED: Mapping[State, State] = MappingProxyType(
    {"OPEN": "ASSIGNED", "ASSIGNED": "ASSIGNED", "ESCALATED": "ESCALATED"}
)


class CaseError(ValueError):
    """The case does not allow the act; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A case; the fields are the table's columns."""

    id: UUID
    kind: Kind
    user_id: str
    business_day: date | None = None
    """Of a CTR case."""
    state: State = "OPEN"
    outcome: Outcome | None = None
    detected_at: datetime
    suspect_known: bool = True
    due_on: date
    assignee: str | None = None
    amends: UUID | None = None
    """The filed CTR case of the same user and day, after which more cash became known."""
    version: int = 1
    opened_at: datetime
    closed_at: datetime | None = None


def case_id_of(kind: Kind, payment_id: UUID) -> UUID:
    """Return the id of the case that a payment opens."""
    return uuid5(payment_id, f"review case {kind}")


def sar_due_on(detected_on: date, *, suspect_known: bool) -> date:
    """Return the last day to file a SAR."""
    days = SAR_DAYS if suspect_known else SAR_DAYS_WITHOUT_SUSPECT
    return detected_on + timedelta(days=days)


def ctr_due_on(business_day: date) -> date:
    """Return the last day to file a CTR."""
    return business_day + timedelta(days=CTR_DAYS)


def assigned(case: Case) -> State:
    """Return the state of a case that gets an assignee; an escalated one stays escalated."""
    return _ASSIGNED[open_case(case).state]


def escalated(case: Case) -> State:
    """Return the state of a case that is escalated."""
    if case.state in ("ESCALATED", "CLOSED"):
        raise CaseError(f"it is {case.state.lower()}")
    return "ESCALATED"


def open_case(case: Case) -> Case:
    """Return a case that is not closed; raise CaseError for any other."""
    if case.state == "CLOSED":
        raise CaseError("it is closed")
    return case


def check_closable(case: Case, today: date) -> None:
    """Raise CaseError for a case that cannot end yet: a day's cash is known when it is over."""
    open_case(case)
    if case.state == "OPEN":
        raise CaseError("nobody has it: assign it first")
    if case.business_day is not None and today <= case.business_day:
        raise CaseError(f"its business day {case.business_day} is not over")


def without_suspect(case: Case, detected_on: date, *, suspect_known: bool) -> date:
    """Return the new deadline of a case whose suspect is, or is not, identified."""
    open_case(case)
    if case.kind != "SAR":
        raise CaseError("only a SAR has a suspect")
    return sar_due_on(detected_on, suspect_known=suspect_known)
