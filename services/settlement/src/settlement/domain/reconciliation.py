"""Cases: what a person has to look at, what explains itself, and who may resolve the rest. Pure."""

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
    """How far a case is."""

    OPEN = "OPEN"
    PROPOSED = "PROPOSED"
    RESOLVED = "RESOLVED"


class Resolution(StrEnum):
    """What a person makes of a case."""

    SETTLE = "SETTLE"
    """The bank has the money: from in-flight to its clearing account."""
    RETURN = "RETURN"
    """The bank never had it: back to the customer."""
    EXPLAINED = "EXPLAINED"
    """Nothing moves here."""


_WORD = {
    Resolution.SETTLE: Kind.ACCEPTED,
    Resolution.RETURN: Kind.REJECTED,
}
"""Whose place a resolution takes: the bank's own word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Something that a person has to look at."""

    id: UUID
    kind: Finding
    partner: str
    uetr: UUID
    day: date
    """The statement's, or the day on which it was noticed (UTC)."""
    details: str
    payment_id: UUID | None = None
    status: CaseStatus = CaseStatus.OPEN
    resolution: Resolution | None = None
    note: str | None = None
    proposed_by: str | None = None
    resolved_by: str | None = None
    version: int = 1

    @property
    def is_explained_by_itself(self) -> bool:
        """Whether its break was gone without a person: should it come back, it is a new case."""
        return self.resolved_by == SERVICE

    def is_about(self, other: "Case") -> bool:
        """Say whether both are of the same break; one with other facts is another break."""
        mine = (self.partner, self.uetr, self.kind, self.details)
        return mine == (other.partner, other.uetr, other.kind, other.details)


@dataclass(frozen=True, slots=True)
class Proposal:
    """What somebody wants to make of a case, and why."""

    resolution: Resolution
    actor: str
    note: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A resolution that may not be, and why not."""

    reason: str


def missing_there(ours: Instruction, day: date) -> Case:
    """Return the case of a transfer that is settled here and on no statement there."""
    return case_of(ours, Finding.MISSING_THERE, day, "SETTLED here, not on the statement there")


def case_of(ours: Instruction, kind: Finding, day: date, details: str) -> Case:
    """Return a new case about an instruction."""
    return new_case((kind, details), ours.partner, ours.uetr, day, ours)


def new_case(found: Break, partner: str, uetr: UUID, day: date, ours: Instruction | None) -> Case:
    """Return the case of a break: the same one however often it is found."""
    kind, details = found
    return Case(
        id=uuid5(CASES, f"{partner}:{uetr}:{kind}:{details}"),
        kind=kind,
        partner=partner,
        uetr=uetr,
        day=day,
        details=details,
        payment_id=ours.payment_id if ours else None,
    )


@dataclass(frozen=True, slots=True)
class Review:
    """What statements now make of cases."""

    standing: Sequence[Case]
    """The cases of all breaks that were found."""
    new: Sequence[Case]
    explained: Sequence[Case]
    """Those whose break is gone: closed, nothing moved."""


def reviewed(found: Sequence[Case], known: Sequence[Case], why: str) -> Review:
    """Compare the breaks of some transfers with all cases that there are about them."""
    standing, new = [], []
    for case in found:
        same = [one for one in known if one.is_about(case)]
        kept = [one for one in same if not one.is_explained_by_itself]
        if kept:
            standing.append(kept[0])
            continue
        new.append(replace(case, id=uuid5(case.id, str(len(same)))) if same else case)
        standing.append(new[-1])
    gone = [case for case in known if _is_gone(case, found)]
    return Review(standing, new, [explained(case, why) for case in gone])


def _is_gone(case: Case, found: Sequence[Case]) -> bool:
    open_break = case.kind in BREAKS and case.status is not CaseStatus.RESOLVED
    return open_break and not any(case.is_about(one) for one in found)


_WHY = {
    Kind.NOT_FOUND: "not found there past its in-flight window; the bank is not idempotent",
    Kind.REFUSED: "its bank refuses it, past its in-flight window",
    Kind.UNCLEAR: "its bank answers nothing intelligible about it, past its in-flight window",
}
_ANOTHER = "its bank has refused every message of ours, and yet has its UETR: another transfer"


def noticed(
    before: Instruction, decision: Decision, answer: BankResponse, now: datetime
) -> list[Case]:
    """Return the case that a step of an instruction calls for, if any."""
    after = decision.state
    if decision.is_late:
        details = f"a definite answer contradicts {after.status}"
        return [case_of(after, Finding.LATE_ANSWER, now.date(), details)]
    if after.status is Status.RECONCILE and before.status is not Status.RECONCILE:
        details = _WHY.get(answer.kind, _ANOTHER)
        return [case_of(after, Finding.OUTCOME_UNKNOWN, now.date(), details)]
    return []


def is_answered(before: Instruction, after: Instruction) -> bool:
    """Say whether the bank itself has ended what was left to a person."""
    return before.status is Status.RECONCILE and after.status in FINAL


def is_waiting(case: Case) -> bool:
    """Say whether people are asked what became of a transfer, and have not said so yet."""
    return case.kind is Finding.OUTCOME_UNKNOWN and case.status is not CaseStatus.RESOLVED


def explained(case: Case, why: str) -> Case:
    """Close a case that has explained itself; nothing moves."""
    proposal = Proposal(Resolution.EXPLAINED, SERVICE, why)
    return _resolved(case, proposal)


def resolve(
    case: Case, wanted: Proposal, ours: Instruction | None, *, is_booked: bool = False
) -> Case | Refused:
    """Decide what a proposal makes of a case; what moves money needs a second person."""
    if case.status is CaseStatus.RESOLVED:
        return Refused(f"it is resolved as {case.resolution} already")
    if wanted.actor == SERVICE:
        return Refused(f"{SERVICE} is the service itself, and no person")
    waits = ours is not None and ours.status is Status.RECONCILE
    if wanted.resolution is Resolution.EXPLAINED:
        if waits:
            return Refused("money is in flight: SETTLE or RETURN says where it belongs")
        return _resolved(case, wanted)
    if not waits:
        return Refused("no transfer waits for an outcome: only EXPLAINED is left")
    if wanted.resolution is Resolution.RETURN and is_booked:
        return Refused("its bank's statement has it: given back, it would be paid twice")
    if case.resolution is not wanted.resolution:
        return _moved(case, wanted, CaseStatus.PROPOSED, proposed_by=wanted.actor)
    if case.proposed_by == wanted.actor:
        return Refused("who has proposed it may not confirm it: a second person must")
    return _resolved(case, wanted)


def outcome_of(case: Case) -> BankResponse | None:
    """Return what takes the place of the bank's word once a case is resolved, if anything does."""
    if case.status is not CaseStatus.RESOLVED or case.resolution not in _WORD:
        return None
    return BankResponse(_WORD[case.resolution], reason="reconciled")


def audited(case: Case, actor: str) -> AuditRecorded:
    """Return what the audit log is told of a case's last step; never its note, which is prose."""
    plain = {"kind": case.kind, "partner": case.partner, "uetr": case.uetr, "day": case.day}
    plain |= {"payment_id": case.payment_id, "resolution": case.resolution}
    action = {CaseStatus.OPEN: "CASE_OPENED", CaseStatus.PROPOSED: "CASE_PROPOSED"}
    return AuditRecorded(
        actor=actor,
        action=action.get(case.status, "CASE_RESOLVED"),
        about=str(case.id),
        metadata={name: str(value) for name, value in plain.items() if value is not None},
    )


def _resolved(case: Case, wanted: Proposal) -> Case:
    proposed_by = case.proposed_by or wanted.actor
    return replace(_moved(case, wanted, CaseStatus.RESOLVED, proposed_by), resolved_by=wanted.actor)


def _moved(case: Case, wanted: Proposal, status: CaseStatus, proposed_by: str) -> Case:
    return replace(
        case,
        status=status,
        resolution=wanted.resolution,
        note=wanted.note,
        proposed_by=proposed_by,
        version=case.version + 1,
    )
