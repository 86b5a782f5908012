"""Comparison of partners' statements with instructions; it reports, opens and closes cases."""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from service_runtime import metrics
from service_runtime.clock import Clock
from service_runtime.errors import ServiceError, Unavailable
from service_runtime.logs import Log
from service_runtime.messages import Cause, Emit, ProducerRecord
from settlement.clients import PartnerBank
from settlement.domain.reconciliation import (
    SERVICE,
    Case,
    audit_event,
    missing_there,
    new_case,
    review_breaks,
)
from settlement.domain.statements import (
    BREAKS,
    Booking,
    Finding,
    Reading,
    breaks_of,
    finding_of,
)
from settlement.store import Cases, Settled

RunInTransaction = Callable[[Callable[[Any], Awaitable[Sequence[ProducerRecord]]]], Awaitable[None]]
"""Runs a function in a transaction and publishes the records that it returns."""

PAGE_ROWS = 1000
MOST_PAGES = 5000
"""Maximum number of pages of one statement (five million entries)."""
MOST_LISTED = 200
MOST_NOTED = 100_000
"""Breaks that a report remembers (about 10 MB); later ones on two pages count twice."""
MOST_DAYS = 31
"""Age in days up to which an incompletely read statement is read again."""
_DAY = timedelta(days=1)
_FIRST = UUID(int=0)

_log = Log("reconciliation")
_runs = metrics.counter("reconciliation", "Statement readings, by partner and result.")
_opened = metrics.counter("reconciliation_cases_opened", "Opened cases, by partner and kind.")
_moved = metrics.counter("reconciliation_cases_moved", "Proposals and resolutions of cases.")


@dataclass(slots=True)
class Report:
    """The result of comparing one partner's statement of one day."""

    partner: str
    day: date
    counts: Counter[str] = field(default_factory=Counter)
    breaks: list[Case] = field(default_factory=list)
    """The first breaks, up to MOST_LISTED; `counts` counts all."""
    opened: int = 0
    """Number of new cases; the other breaks had a case already."""
    closed: int = 0
    """Number of cases whose break is gone after this reading."""

    _noted: set[UUID] = field(default_factory=set)

    def note(self, cases: Iterable[Case]) -> None:
        """Count each break once, even if its transfer is on two pages."""
        for case in cases:
            if case.id not in self._noted:
                self.counts[case.kind] += 1
                self.breaks += [case][: MOST_LISTED - len(self.breaks)]
            if len(self._noted) < MOST_NOTED:
                self._noted.add(case.id)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain values."""
        names = (Finding.MATCHED, Finding.IN_MOTION, *BREAKS)
        return {
            "partner": self.partner,
            "date": self.day,
            **{name.lower(): self.counts[name] for name in names},
            "cases_opened": self.opened,
            "cases_closed": self.closed,
            "breaks": [_shown(case) for case in self.breaks],
        }


class Reconciliation:
    """Compares statements with instructions; each page is one transaction."""

    def __init__(
        self,
        banks: Mapping[str, PartnerBank],
        store: Callable[[Any], Cases],
        run_in_transaction: RunInTransaction,
        clock: Clock,
    ) -> None:
        self._banks = banks
        self._store = store
        self._run_in_transaction = run_in_transaction
        self._clock = clock
        self._unresolved: dict[str, float] = {}
        metrics.gauge("reconciliation_cases", "Unresolved cases.", lambda: self._unresolved)

    @property
    def partners(self) -> frozenset[str]:
        """The partners whose statements can be read."""
        return frozenset(self._banks)

    async def run(self) -> None:
        """Reconcile each partner's new statements and those that could not be read before.

        A failure of one statement does not stop the others. A partner on Kafka sends its own.
        """
        today, sending = self._clock.now().date(), set[str]()

        async def query(tx: Any) -> Sequence[ProducerRecord]:
            sending.update(await self._store(tx).partners_that_send())
            return ()

        await self._run_in_transaction(query)
        for partner in sorted(self._banks.keys() - sending):
            for day in await self._unread(partner, today):
                try:
                    await self.reconcile(partner, day)
                except ServiceError as error:
                    _log.warning("statement_unread", partner=partner, reason=str(error))
        await self.count()

    async def count(self) -> None:
        """Count the unresolved cases; workers of settlement open cases, too."""
        await self._run_in_transaction(self._count)

    async def _unread(self, partner: str, today: date) -> list[date]:
        """Return yesterday, today, and earlier days without a reading after their end."""
        oldest, read = today - MOST_DAYS * _DAY, set[date]()

        async def query(tx: Any) -> Sequence[ProducerRecord]:
            read.update(await self._store(tx).days_read(partner, oldest))
            return ()

        await self._run_in_transaction(query)
        yesterday = today - _DAY
        days = (today - back * _DAY for back in range((today - min(read | {yesterday})).days + 1))
        return sorted(day for day in days if day >= yesterday or day not in read)

    async def reconcile(self, partner: str, day: date) -> Report:
        """Compare a day's statement with the instructions, and open a case for each break.

        Idempotent: a repeated break has the same case. Raises Unavailable if the bank or the
        database does not respond; the pages committed until then stay.
        """
        report, started_at = Report(partner, day), self._clock.now()
        try:
            await self._read_statement(report)
            await self._find_missing(report, started_at)
            await self._run_in_transaction(partial(self._finish, report, started_at))
        except Unavailable:
            _runs.add(1, {"partner": partner, "result": "unread"})
            raise
        _note_result(report)
        return report

    async def reconcile_received(self) -> None:
        """Find what is missing on statements that banks have sent, page by page, to their end."""
        now, received = self._clock.now(), list[tuple[str, date]]()

        async def query(tx: Any) -> Sequence[ProducerRecord]:
            oldest = now.date() - MOST_DAYS * _DAY
            received.extend(await self._store(tx).statements_received(oldest))
            return ()

        await self._run_in_transaction(query)
        for partner, day in received:
            report = Report(partner, day)
            await self._review_settled(report, self._settled_on(report, now))
            await self._run_in_transaction(partial(self._finish, report, now))
            _note_result(report)

    async def _read_statement(self, report: Report) -> None:
        """Read a statement; compare each page in its own transaction."""
        reading, after = Reading(report.partner, report.day), None
        for _ in range(MOST_PAGES):
            page = await self._banks[report.partner].statement(report.day, after)
            if bookings := reading.bookings(page.entries):
                await self._run_in_transaction(partial(self._compare, report, bookings))
            if page.next_cursor is None:
                return
            if page.next_cursor == after:
                break
            after = page.next_cursor
        raise Unavailable(f"{report.partner}: the statement has no end")

    async def _compare(
        self, report: Report, bookings: Sequence[Booking], tx: Any
    ) -> Sequence[ProducerRecord]:
        moved = await compare(report, bookings, self._store(tx))
        return audit_steps(moved, SERVICE, self._clock.now())

    async def _find_missing(self, report: Report, started_at: datetime) -> None:
        """Open cases for transfers that are SETTLED here and on no statement.

        A bank books before it responds. So a transfer that was settled before this reading is on
        this statement or, after midnight or an outage, on the previous day's, which is then read.
        """
        settled = replace(self._settled_on(report, started_at), is_by_http=True)
        found: list[bool] = []
        await self._run_in_transaction(partial(self._find_unbooked, settled, found))
        if not found:
            return
        await self._read_statement(Report(report.partner, report.day - _DAY))
        await self._review_settled(report, settled)

    def _settled_on(self, report: Report, now: datetime) -> Settled:
        begin = datetime.combine(report.day, time(), UTC)
        return Settled(report.partner, begin, min(begin + _DAY, now))

    async def _review_settled(self, report: Report, settled: Settled) -> None:
        after: list[UUID] = [_FIRST]
        while after:
            await self._run_in_transaction(partial(self._review_missing, report, settled, after))

    async def _find_unbooked(
        self, settled: Settled, found: list[bool], tx: Any
    ) -> Sequence[ProducerRecord]:
        if await self._store(tx).unbooked(settled, _FIRST, 1):
            found.append(True)
        return ()

    async def _review_missing(
        self, report: Report, settled: Settled, after: list[UUID], tx: Any
    ) -> Sequence[ProducerRecord]:
        cases = self._store(tx)
        missing = await cases.unbooked(settled, after.pop(), PAGE_ROWS)
        if len(missing) == PAGE_ROWS:
            after.append(missing[-1].payment_id)
        found = [missing_there(row, report.day) for row in missing]
        moved = await _review(report, cases, [row.uetr for row in missing], found)
        return audit_steps(moved, SERVICE, self._clock.now())

    async def _finish(self, report: Report, read_at: datetime, tx: Any) -> Sequence[ProducerRecord]:
        await self._store(tx).note_read(report.partner, report.day, read_at)
        return await self._count(tx)

    async def _count(self, tx: Any) -> Sequence[ProducerRecord]:
        counts = await self._store(tx).counts()
        # A kind without cases is reported as 0; otherwise the gauge would keep its last value.
        self._unresolved = dict.fromkeys(self._unresolved, 0.0) | {
            kind: float(count) for kind, count in counts.items()
        }
        return ()


async def compare(report: Report, bookings: Sequence[Booking], cases: Cases) -> Sequence[Case]:
    """Compare each transfer on a page with all bookings of the partner under its UETR.

    Returns the cases that were opened or closed.
    """
    uetrs = sorted({booking.entry.uetr for booking in bookings})
    instructions = await cases.instructions_of(uetrs)
    await cases.add_bookings(bookings)
    booked = await cases.booked(report.partner, uetrs)
    found = []
    for uetr in uetrs:
        row = instructions.get(uetr)
        broken = breaks_of(report.partner, booked[uetr], row)
        found += [new_case(one, report.partner, uetr, report.day, row) for one in broken]
        report.counts[finding_of(row)] += not broken
    return await _review(report, cases, uetrs, found)


async def _review(
    report: Report, cases: Cases, uetrs: Iterable[UUID], found: Sequence[Case]
) -> Sequence[Case]:
    """Open a case for each new break, and close the cases whose break is gone; return both."""
    known = await cases.about(report.partner, uetrs)
    review = review_breaks(found, known, f"explained by the statement of {report.day}")
    new = await cases.open(review.new)
    await cases.save(review.explained)
    report.note(review.standing)
    report.opened += len(new)
    report.closed += len(review.explained)
    return [*new, *review.explained]


def audit_step(case: Case, actor: str) -> Emit:
    """Return the audit entry of a case's last step; log and count the step."""
    if case.version == 1:
        _opened.add(1, {"partner": case.partner, "kind": str(case.kind)})
        _log.warning("case_opened", uetr=case.uetr, reason=case.kind)
    else:
        _moved.add(1, {"kind": str(case.kind), "status": str(case.status)})
        _log.info("case_moved", uetr=case.uetr, reason=case.kind, status=case.status)
    return Emit(audit_event(case, actor), Cause(case.id, discriminator=str(case.version)))


def audit_steps(cases: Iterable[Case], actor: str, now: datetime) -> Sequence[ProducerRecord]:
    """Return the audit records of the cases' last steps."""
    return [audit_step(case, actor).outgoing(SERVICE, now) for case in cases]


def _note_result(report: Report) -> None:
    broken = any(report.counts[name] for name in BREAKS)
    _runs.add(1, {"partner": report.partner, "result": "broken" if broken else "matched"})


def _shown(case: Case) -> dict[str, Any]:
    return {
        "case_id": case.id,
        "kind": case.kind,
        "uetr": case.uetr,
        "payment_id": case.payment_id,
        "details": case.details,
    }
