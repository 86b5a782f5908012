"""What a bank's statement and our instructions say of each other, and who may resolve it. Pure."""

from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from uuid import NAMESPACE_URL, UUID, uuid5

from payment_schemas.events.record import AuditRecorded
from payment_schemas.money import Money
from settlement.domain.instruction import Answer, Instruction, Kind, Status

CASES = uuid5(NAMESPACE_URL, "urn:countersign:reconciliation-case")


class Finding(StrEnum):
    """What one line of a comparison comes to."""

    MATCHED = "MATCHED"
    IN_MOTION = "IN_MOTION"
    """Booked there, and not settled here yet: the next enquiry will say so."""
    MISSING_THERE = "MISSING_THERE"
    MISSING_HERE = "MISSING_HERE"
    AMOUNT_DIFFERS = "AMOUNT_DIFFERS"
    OUTCOME_UNKNOWN = "OUTCOME_UNKNOWN"
    """No statement's: the bank knows nothing of what it was sent, and may not be sent it again."""
    LATE_ANSWER = "LATE_ANSWER"
    """No statement's: the bank has contradicted an outcome."""


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


@dataclass(frozen=True, slots=True)
class StatementEntry:
    """One movement of money on a bank's statement."""

    uetr: UUID
    money: Money | None
    """None where the amount is none of ours: unreadable, or in another currency's decimals."""


@dataclass(frozen=True, slots=True)
class Case:
    """Something that a person has to look at."""

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
    def id(self) -> UUID:
        """The same break is the same case, however often it is found."""
        return uuid5(CASES, f"{self.partner}:{self.uetr}:{self.kind}")


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


def compared(partner: str, entry: StatementEntry, ours: Instruction | None) -> tuple[Finding, str]:
    """Say what an entry of a partner's statement comes to, and in words what does not fit."""
    if ours is None:
        return Finding.MISSING_HERE, "booked there, unknown here"
    if ours.partner != partner:
        return Finding.MISSING_HERE, f"booked there, sent to {ours.partner} by us"
    if ours.status is Status.REJECTED:
        return Finding.MISSING_HERE, "booked there, REJECTED and returned here"
    if entry.money != ours.money:
        there = entry.money or "an amount that is none"
        return Finding.AMOUNT_DIFFERS, f"{there} there, {ours.money} here"
    return (Finding.MATCHED if ours.status is Status.SETTLED else Finding.IN_MOTION), ""


def missing_there(ours: Instruction, day: date) -> Case:
    """Return the case of a transfer that is settled here and on no statement there."""
    return case_of(ours, Finding.MISSING_THERE, day, "SETTLED here, not on the statement there")


def case_of(ours: Instruction, kind: Finding, day: date, details: str) -> Case:
    """Return a new case about an instruction."""
    return Case(kind, ours.partner, ours.uetr, day, details, ours.payment_id)


def noticed(before: Instruction, after: Instruction, now: datetime, *, is_late: bool) -> list[Case]:
    """Return the case that a step of an instruction calls for, if any."""
    if is_late:
        details = f"a definite answer contradicts {after.status}"
        return [case_of(after, Finding.LATE_ANSWER, now.date(), details)]
    if after.status is Status.RECONCILE and before.status is not Status.RECONCILE:
        details = "not found there past its in-flight window; the bank is not idempotent"
        return [case_of(after, Finding.OUTCOME_UNKNOWN, now.date(), details)]
    return []


def resolve(case: Case, wanted: Proposal, ours: Instruction | None) -> Case | Refused:
    """Decide what a proposal makes of a case; what moves money needs a second person."""
    if case.status is CaseStatus.RESOLVED:
        return Refused(f"it is resolved as {case.resolution} already")
    waits = ours is not None and ours.status is Status.RECONCILE
    if wanted.resolution is Resolution.EXPLAINED:
        if waits:
            return Refused("money is in flight: SETTLE or RETURN says where it belongs")
        return _resolved(case, wanted)
    if not waits:
        return Refused("no transfer waits for an outcome: only EXPLAINED is left")
    if case.resolution is not wanted.resolution:
        return _moved(case, wanted, CaseStatus.PROPOSED, proposed_by=wanted.actor)
    if case.proposed_by == wanted.actor:
        return Refused("who has proposed it may not confirm it: a second person must")
    return _resolved(case, wanted)


def word_of(case: Case) -> Answer | None:
    """Return what takes the place of the bank's word once a case is resolved, if anything does."""
    if case.status is not CaseStatus.RESOLVED or case.resolution not in _WORD:
        return None
    return Answer(_WORD[case.resolution], reason="reconciled")


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
