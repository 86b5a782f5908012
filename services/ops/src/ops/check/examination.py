"""A check of the running system: the services' own checks, and one across services."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from ops.check.joining import DisorderError
from ops.check.movements import Movements
from ops.check.sources import LAST, Sources, Span, span_of
from ops.clients.listings import FIRST
from ops.domain.errors import OpsError, UnavailableError
from ops.domain.findings import Findings, OwnerFigures, Violation
from ops.domain.rows import Row
from payment_schemas.invariants import Fault, Movement, PaymentRecords, faults_of
from service_runtime.clock import Clock

MOST_SUSPECTS = 1000
"""Payments that are checked again; under load many change while they are read."""
RECHECK_S = 1.0
ACROSS = ("I1", "I4", "I6", "I9", "I10", "I12", "I13")
WITHOUT_LIVENESS = "audit"
"""Audit cannot distinguish a stuck payment from one that waits for its customer."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a check."""

    unfinished_after_s: float = 60.0
    """Older unfinished work is a violation (I8)."""
    grace_s: float = 10.0
    """Seconds for which a mismatch is checked again, because events take time between services."""
    days: int = 7
    """Days, including today, whose statements are compared."""


class Examination:
    """One run of the check."""

    def __init__(self, sources: Sources, clock: Clock, limits: Limits) -> None:
        self._sources = sources
        self._clock = clock
        self._limits = limits
        self._started_at = clock.now()
        self._suspects: dict[str, list[Fault]] = {}
        self._cases: dict[str, Row] | None = None
        self.findings = Findings()

    def whole(self) -> Findings:
        """Check everything."""
        self.query_owners()
        try:
            # The statements first: every payment of a booked transfer is then in the export.
            with self._statements() as movements:
                self._compare(Span(), movements)
                self._report_unmatched(movements)
            self._recheck_suspects(with_statements=True)
        except OpsError as error:
            self.findings.note_unavailable(str(error))
        self._report_suspects()
        return self.findings

    def slice(self, after: str) -> str:
        """Check one page of payments across services; return where the next slice begins."""
        until = self._sources.last_of_page(after)
        self._compare(Span(after, until), None)
        self._recheck_suspects(with_statements=False)
        self._report_suspects()
        return FIRST if until == LAST else until

    def run_part(self, part: Callable[[Findings], None]) -> None:
        """Run another part of the check and note a service without a response."""
        try:
            part(self.findings)
        except OpsError as error:
            self.findings.note_unavailable(str(error))

    def query_owners(self, since: datetime | None = None) -> None:
        """Query every service's own check of the changes since then, or of its whole history."""
        try:
            owners = self._sources.owners()
        except OpsError as error:
            self.findings.note_unavailable(str(error))
            return
        for owner in owners:
            query: dict[str, Any] = {"since": since.isoformat() if since else None}
            if owner == "confirm":
                query["unfinished_after_s"] = self._limits.unfinished_after_s
            try:
                self._note(owner, self._sources.owner_findings(owner, **query))
            except OpsError as error:
                self.findings.note_unavailable(str(error))

    def _note(self, owner: str, found: Mapping[str, Any]) -> None:
        findings = self.findings
        findings.dead_letters += found["dead_letters"]
        findings.parked += found["parked"]
        findings.owners[owner] = OwnerFigures(
            dead_letters=found["dead_letters"],
            parked=found["parked"],
            unfinished=len(found["unfinished"]),
            outbox_oldest_s=found.get("outbox_oldest_s"),
        )
        for row in found["violations"]:
            findings.add(_violation_of(owner, row))
        if owner == "confirm":
            findings.checked["I3"] += 1
        if owner == "audit":
            findings.checked["I15"] += 1
        if owner != WITHOUT_LIVENESS:
            findings.checked["I8"] += 1
            self._note_unfinished(owner, found["unfinished"])

    def _note_unfinished(self, owner: str, unfinished: Iterable[Mapping[str, Any]]) -> None:
        for row in unfinished:
            if row["age_s"] >= self._limits.unfinished_after_s:
                self.findings.unfinished += 1
                details = f"unfinished at {owner} for {row['age_s']:.0f} s"
                self.findings.add(Violation("I8", row["payment_id"], details))

    def _statements(self) -> Movements:
        return self._sources.movements(self._started_at.date(), self._limits.days)

    def _compare(self, span: Span, movements: Movements | None) -> None:
        """Apply the rules to every payment of a span; a mismatch is a suspect."""
        for payment_id, seen in self._seen(span, movements):
            self._count(seen)
            faults = faults_of(seen)
            if faults:
                self._suspect(payment_id, faults, seen)

    def _seen(
        self, span: Span, movements: Movements | None
    ) -> Iterable[tuple[str, PaymentRecords]]:
        try:
            for payment_id, seen in self._sources.joined(span):
                payment = seen.payment
                moved = movements_of(seen, movements) if movements else None
                if payment and moved == [] and self._is_before_statements(payment.updated_at):
                    moved = None
                yield payment_id, replace(seen, movements=moved)
        except DisorderError as error:
            what = f"an export is out of order: {error}"
            raise UnavailableError(what, "make status") from None

    def _is_before_statements(self, moment: datetime) -> bool:
        return moment.date() <= self._started_at.date() - timedelta(days=self._limits.days)

    def _count(self, seen: PaymentRecords) -> None:
        self.findings.payments += seen.payment is not None
        for invariant in ACROSS:
            self.findings.checked[invariant] += 1
        self.findings.checked["I2"] += seen.movements is not None

    def _suspect(self, payment_id: str, faults: list[Fault], seen: PaymentRecords) -> None:
        if len(self._suspects) < MOST_SUSPECTS:
            self._suspects[payment_id] = faults
        elif seen.payment and seen.payment.updated_at > self._started_at - self._grace:
            self.findings.in_motion += 1
        else:
            self._report(payment_id, faults)

    @property
    def _grace(self) -> timedelta:
        return timedelta(seconds=self._limits.grace_s)

    def _report_unmatched(self, movements: Movements) -> None:
        """Report movements without a payment."""
        for one in movements.unmatched():
            details = f"{one.partner} moved {one.amount} {one.currency} for no payment"
            self._found(Violation("I2", one.uetr, details))

    def _recheck_suspects(self, *, with_statements: bool) -> None:
        """Check suspects again until they match or the grace period ends."""
        deadline = time.monotonic() + self._limits.grace_s
        while self._suspects and time.monotonic() < deadline:
            time.sleep(RECHECK_S)
            if with_statements:
                with self._statements() as movements:
                    self._review(movements)
            else:
                self._review(None)

    def _review(self, movements: Movements | None) -> None:
        for payment_id in list(self._suspects):
            for _, seen in self._seen(span_of(payment_id), movements):
                self._suspects[payment_id] = faults_of(seen)
            if not self._suspects[payment_id]:
                del self._suspects[payment_id]

    def _report_suspects(self) -> None:
        for payment_id, faults in self._suspects.items():
            self._report(payment_id, faults)
        self._suspects = {}

    def _report(self, payment_id: str, faults: Iterable[Fault]) -> None:
        for fault in faults:
            self._found(Violation(fault.invariant, payment_id, fault.details))

    def _found(self, violation: Violation) -> None:
        """Store a violation; a break with a bank is combined with settlement's case."""
        case = self._case_of(violation.about) if violation.invariant == "I2" else None
        if case is None:
            self.findings.add(violation)
        elif case["status"] == "RESOLVED":
            self.findings.explained += 1
        else:
            known = f"; settlement has a case: {case['kind']}, {case['status']}, {case['id']}"
            self.findings.add(replace(violation, details=violation.details + known))

    def _case_of(self, about: str) -> Row | None:
        """Return the case of a payment or a UETR; all cases are loaded once."""
        if self._cases is None:
            self._cases = {}
            try:
                for one in self._sources.cases():
                    self._cases |= dict.fromkeys((one["uetr"], one["payment_id"]), one)
            except OpsError as error:
                self.findings.note_unavailable(str(error))
        return self._cases.get(about)


def _violation_of(owner: str, row: Mapping[str, Any]) -> Violation:
    about = row.get("payment_id") or row.get("account") or owner
    return Violation(row["invariant"], str(about), f"{owner}: {row['details']}")


def movements_of(seen: PaymentRecords, movements: Movements) -> list[Movement] | None:
    """Return the banks' movements of a payment; None where they cannot be known.

    A bank on Kafka keeps its book itself, and settlement compares the statements that it sends. A
    bank of the demonstration shows its book here, too.
    """
    if seen.payment is None:
        return None
    found, instruction = movements.of(seen.payment.uetr), seen.instruction
    if found or instruction is None or instruction.transport != "kafka":
        return found
    return [] if movements.has_book_of(instruction.partner) else None
