"""Reconciliation cases: when they open and close, and who may resolve them. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from uuid import NAMESPACE_URL, UUID, uuid5

from payment_schemas.events.record import AuditRecorded
from settlement.domain.instruction import FINAL, BankResponse, Decision, Instruction, Kind, Status
from settlement.domain.statements import BREAKS, Break, Finding

CASES = uuid5(NAMESPACE_URL, "urn:countersign:reconciliation-case")
SERVICE = "settlement"


class CaseStatus(StrEnum):
    """The status of a case."""

    OPEN = "OPEN"
    PROPOSED = "PROPOSED"
    RESOLVED = "RESOLVED"


class Resolution(StrEnum):
    """A person's decision on a case."""

    SETTLE = "SETTLE"
    """The bank has the money: it moves from in-flight to the clearing account."""
    RETURN = "RETURN"
    """The bank never had the money: it goes back to the customer."""
    EXPLAINED = "EXPLAINED"
    """No money moves here."""


_OUTCOME_KINDS = {
    Resolution.SETTLE: Kind.ACCEPTED,
    Resolution.RETURN: Kind.REJECTED,
}
"""The bank's response that a resolution replaces."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A break or an unknown outcome that a person must examine."""

    id: UUID
    kind: Finding
    partner: str
    uetr: UUID
    day: date
    """The statement's day, or the day on which the case was opened (UTC)."""
    details: str
    payment_id: UUID | None = None
    status: CaseStatus = CaseStatus.OPEN
    resolution: Resolution | None = None
    note: str | None = None
    proposed_by: str | None = None
    resolved_by: str | None = None
    version: int = 1

    @property
    def is_closed_by_service(self) -> bool:
        """Whether the service closed it; if the same break returns, a new case is opened."""
        return self.resolved_by == SERVICE

    def has_same_break(self, other: "Case") -> bool:
        """Return whether both cases have the same break; other details are another break."""
        own = (self.partner, self.uetr, self.kind, self.details)
        return own == (other.partner, other.uetr, other.kind, other.details)


@dataclass(frozen=True, slots=True)
class Proposal:
    """A proposed resolution of a case, its actor and its reason."""

    resolution: Resolution
    actor: str
    note: str
    is_approval: bool = False
    """The second person's step; a proposal never resolves a case that moves money."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The reason why a resolution is not allowed."""

    reason: str


def missing_there(instruction: Instruction, day: date) -> Case:
    """Return the case of a transfer that is SETTLED here and on no statement of its bank."""
    details = "SETTLED here, not on the statement there"
    return case_of(instruction, Finding.MISSING_THERE, day, details)


def case_of(instruction: Instruction, kind: Finding, day: date, details: str) -> Case:
    """Return a new case about an instruction."""
    return new_case((kind, details), instruction.partner, instruction.uetr, day, instruction)


def new_case(
    found: Break, partner: str, uetr: UUID, day: date, instruction: Instruction | None
) -> Case:
    """Return the case of a break; the same break always has the same case id."""
    kind, details = found
    return Case(
        id=uuid5(CASES, f"{partner}:{uetr}:{kind}:{details}"),
        kind=kind,
        partner=partner,
        uetr=uetr,
        day=day,
        details=details,
        payment_id=instruction.payment_id if instruction else None,
    )


@dataclass(frozen=True, slots=True)
class Review:
    """The changes to cases after statements were read."""

    standing: Sequence[Case]
    """The cases of all breaks that exist now."""
    new: Sequence[Case]
    explained: Sequence[Case]
    """Closed cases whose break is gone; no money moved."""


def review_breaks(found: Sequence[Case], known: Sequence[Case], why: str) -> Review:
    """Compare the breaks of some transfers with all known cases of these transfers."""
    standing, new = [], []
    for case in found:
        same = [other for other in known if other.has_same_break(case)]
        kept = [other for other in same if not other.is_closed_by_service]
        if kept:
            standing.append(kept[0])
            continue
        new.append(replace(case, id=uuid5(case.id, str(len(same)))) if same else case)
        standing.append(new[-1])
    gone = [case for case in known if _is_gone(case, found)]
    return Review(standing, new, [close_explained(case, why) for case in gone])


def _is_gone(case: Case, found: Sequence[Case]) -> bool:
    open_break = case.kind in BREAKS and case.status is not CaseStatus.RESOLVED
    return open_break and not any(case.has_same_break(other) for other in found)


_UNKNOWN_DETAILS = {
    Kind.NO_ANSWER: "its bank has not reported on it, though it was published again and again",
    Kind.NOT_FOUND: "not found there past its in-flight window; the bank is not idempotent",
    Kind.REFUSED: "its bank refuses it, past its in-flight window",
    Kind.UNCLEAR: "its bank answers nothing intelligible about it, past its in-flight window",
}
_FOREIGN = "its bank has refused every message of ours, and yet has its UETR: another transfer"


def cases_of_step(
    before: Instruction, decision: Decision, response: BankResponse, now: datetime
) -> list[Case]:
    """Return the case to open after a step of an instruction, if any."""
    after = decision.state
    if decision.is_late:
        details = f"a definite answer contradicts {after.status}"
        return [case_of(after, Finding.LATE_ANSWER, now.date(), details)]
    if after.status is Status.RECONCILE and before.status is not Status.RECONCILE:
        details = _UNKNOWN_DETAILS.get(response.kind, _FOREIGN)
        return [case_of(after, Finding.OUTCOME_UNKNOWN, now.date(), details)]
    return []


def is_ended_by_bank(before: Instruction, after: Instruction) -> bool:
    """Return whether a bank's response has ended a transfer that was RECONCILE."""
    return before.status is Status.RECONCILE and after.status in FINAL


def awaits_people(case: Case) -> bool:
    """Return whether people have yet to decide the outcome of a transfer."""
    return case.kind is Finding.OUTCOME_UNKNOWN and case.status is not CaseStatus.RESOLVED


def close_explained(case: Case, why: str) -> Case:
    """Return the case closed by the service as EXPLAINED; no money moves."""
    proposal = Proposal(Resolution.EXPLAINED, SERVICE, why)
    return _resolved(case, proposal)


def resolve(
    case: Case, wanted: Proposal, instruction: Instruction | None, *, is_booked: bool = False
) -> Case | Refused:
    """Apply a proposal to a case; a resolution that moves money needs a second person."""
    if case.status is CaseStatus.RESOLVED:
        return Refused(f"the case is already resolved as {case.resolution}")
    if wanted.actor == SERVICE:
        return Refused(f"the actor must be a person, not the service {SERVICE}")
    is_open = instruction is not None and instruction.status is Status.RECONCILE
    if wanted.resolution is Resolution.EXPLAINED:
        if is_open:
            return Refused("the money is in flight: resolve the case with SETTLE or RETURN")
        return _resolved(case, wanted)
    if not is_open:
        return Refused("no transfer waits for an outcome: only EXPLAINED is left")
    if wanted.resolution is Resolution.RETURN and is_booked:
        return Refused("the bank's statement has the transfer: after RETURN it would be paid twice")
    if not wanted.is_approval:
        return _apply(case, wanted, CaseStatus.PROPOSED, proposed_by=wanted.actor)
    if case.status is not CaseStatus.PROPOSED or case.resolution is not wanted.resolution:
        return Refused(f"nobody has proposed {wanted.resolution}")
    if (case.proposed_by or "").lower() == wanted.actor.lower():
        return Refused("a second person must approve the proposal")
    return _resolved(case, wanted)


def outcome_of(case: Case) -> BankResponse | None:
    """Return the response that a resolved case supplies in place of the bank's, if any."""
    if case.status is not CaseStatus.RESOLVED or case.resolution not in _OUTCOME_KINDS:
        return None
    return BankResponse(_OUTCOME_KINDS[case.resolution], reason="reconciled")


def audit_event(case: Case, actor: str) -> AuditRecorded:
    """Return the audit entry of a case's last step, without its note (free text)."""
    values = {"kind": case.kind, "partner": case.partner, "uetr": case.uetr, "day": case.day}
    values |= {"payment_id": case.payment_id, "resolution": case.resolution}
    action = {CaseStatus.OPEN: "CASE_OPENED", CaseStatus.PROPOSED: "CASE_PROPOSED"}
    return AuditRecorded(
        actor=actor,
        action=action.get(case.status, "CASE_RESOLVED"),
        about=str(case.id),
        metadata={name: str(value) for name, value in values.items() if value is not None},
    )


def _resolved(case: Case, wanted: Proposal) -> Case:
    proposed_by = case.proposed_by or wanted.actor
    return replace(_apply(case, wanted, CaseStatus.RESOLVED, proposed_by), resolved_by=wanted.actor)


def _apply(case: Case, wanted: Proposal, status: CaseStatus, proposed_by: str) -> Case:
    return replace(
        case,
        status=status,
        resolution=wanted.resolution,
        note=wanted.note,
        proposed_by=proposed_by,
        version=case.version + 1,
    )
