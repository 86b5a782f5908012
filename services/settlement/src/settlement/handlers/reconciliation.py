"""Reading a partner's statement beside our instructions: it reports and opens cases, no more."""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
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
    audited,
    missing_there,
    new_case,
    reviewed,
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
"""Commits what a function writes, with the records that it returns."""

PAGE_ROWS = 1000
MOST_PAGES = 5000
"""Of one statement: five million entries. Past it something is wrong with the bank."""
MOST_LISTED = 200
MOST_NOTED = 100_000
"""Breaks of a report that are known again, about 10 MB; past it one on two pages counts twice."""
MOST_DAYS = 31
"""How far back a statement that was not read to its end is read later."""
_DAY = timedelta(days=1)
_FIRST = UUID(int=0)

_log = Log("reconciliation")
_runs = metrics.counter("reconciliation", "Statements that were read, by partner and result.")
_opened = metrics.counter("reconciliation_cases_opened", "Cases, by partner and kind.")
_moved = metrics.counter("reconciliation_cases_moved", "Proposals and resolutions, by kind.")


@dataclass(slots=True)
class Report:
    """What one partner's statement of one day came to."""

    partner: str
    day: date
    counts: Counter[str] = field(default_factory=Counter)
    breaks: list[Case] = field(default_factory=list)
    """The first of them; `counts` has all."""
    opened: int = 0
    """Cases that are new; the other breaks were known."""
    closed: int = 0
    """Cases whose break was explained by what was read."""

    _noted: set[UUID] = field(default_factory=set)

    def note(self, cases: Iterable[Case]) -> None:
        """Count breaks, each once, though its transfer stands on two pages."""
        for case in cases:
            if case.id not in self._noted:
                self.counts[case.kind] += 1
                self.breaks += [case][: MOST_LISTED - len(self.breaks)]
            if len(self._noted) < MOST_NOTED:
                self._noted.add(case.id)

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
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
    """Compares statements with instructions, a page and a transaction at a time."""

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
        metrics.gauge("reconciliation_cases", "Unresolved, by kind.", lambda: self._unresolved)

    @property
    def partners(self) -> frozenset[str]:
        """Whose statements can be read."""
        return frozenset(self._banks)

    async def run(self) -> None:
        """Reconcile with every partner what is new, and what could not be read before.

        A partner that is down stops no other, and no other day.
        """
        today = self._clock.now().date()
        for partner in sorted(self._banks):
            for day in await self._unread(partner, today):
                try:
                    await self.reconcile(partner, day)
                except ServiceError as error:
                    _log.warning("statement_unread", partner=partner, reason=str(error))
        await self.count()

    async def count(self) -> None:
        """Count the unresolved cases: they are opened by whoever hears from a bank, too."""
        await self._run_in_transaction(self._count)

    async def _unread(self, partner: str, today: date) -> list[date]:
        """Return yesterday, today, and days before that were never read when they were over."""
        oldest, found = today - MOST_DAYS * _DAY, set[date]()

        async def look(tx: Any) -> Sequence[ProducerRecord]:
            found.update(await self._store(tx).days_read(partner, oldest))
            return ()

        await self._run_in_transaction(look)
        yesterday = today - _DAY
        days = (today - back * _DAY for back in range((today - min(found | {yesterday})).days + 1))
        return sorted(day for day in days if day >= yesterday or day not in found)

    async def reconcile(self, partner: str, day: date) -> Report:
        """Compare a day's statement with our instructions, and open a case for each break.

        Can be repeated: the same break is the same case. Raises Unavailable where the bank or the
        database does not answer; what was found until then stays.
        """
        report, started_at = Report(partner, day), self._clock.now()
        try:
            await self._read(report)
            await self._search(report, started_at)
            await self._run_in_transaction(partial(self._finish, report, started_at))
        except Unavailable:
            _runs.add(1, {"partner": partner, "result": "unread"})
            raise
        broken = any(report.counts[name] for name in BREAKS)
        _runs.add(1, {"partner": partner, "result": "broken" if broken else "matched"})
        return report

    async def _read(self, report: Report) -> None:
        """Go through a statement; each page is compared in a transaction of its own."""
        reading, after = Reading(report.partner, report.day), None
        for _ in range(MOST_PAGES):
            page = await self._banks[report.partner].statement(report.day, after)
            if bookings := reading.bookings(page.entries):
                await self._run_in_transaction(partial(self._compare, report, bookings))
            if page.behind is None:
                return
            if page.behind == after:
                break
            after = page.behind
        raise Unavailable(f"{report.partner}: a statement without an end")

    async def _compare(
        self, report: Report, bookings: Sequence[Booking], tx: Any
    ) -> Sequence[ProducerRecord]:
        """Judge each transfer on a page by all that its partner has ever booked under its UETR."""
        cases, uetrs = self._store(tx), sorted({one.entry.uetr for one in bookings})
        ours = await cases.known(uetrs)
        await cases.enter(bookings)
        booked = await cases.booked(report.partner, uetrs)
        found = []
        for uetr in uetrs:
            mine = ours.get(uetr)
            broken = breaks_of(report.partner, booked[uetr], mine)
            found += [new_case(one, report.partner, uetr, report.day, mine) for one in broken]
            report.counts[finding_of(mine)] += not broken
        return await self._review(report, cases, uetrs, found)

    async def _search(self, report: Report, started_at: datetime) -> None:
        """Find what is settled here and stands on no statement.

        A bank books before it answers, so what was settled before the statement was read is on it;
        or, where midnight or an outage lay between, on the one before, which is read only then.
        """
        begin = datetime.combine(report.day, time(), UTC)
        until = min(begin + _DAY, started_at)
        settled = Settled(report.partner, begin, until)
        found: list[bool] = []
        await self._run_in_transaction(partial(self._look, settled, found))
        if not found:
            return
        await self._read(Report(report.partner, report.day - _DAY))
        after: list[UUID] = [_FIRST]
        while after:
            await self._run_in_transaction(partial(self._miss, report, settled, after))

    async def _look(self, settled: Settled, found: list[bool], tx: Any) -> Sequence[ProducerRecord]:
        if await self._store(tx).unbooked(settled, _FIRST, 1):
            found.append(True)
        return ()

    async def _miss(
        self, report: Report, settled: Settled, after: list[UUID], tx: Any
    ) -> Sequence[ProducerRecord]:
        cases = self._store(tx)
        missing = await cases.unbooked(settled, after.pop(), PAGE_ROWS)
        if len(missing) == PAGE_ROWS:
            after.append(missing[-1].payment_id)
        found = [missing_there(one, report.day) for one in missing]
        return await self._review(report, cases, [one.uetr for one in missing], found)

    async def _review(
        self, report: Report, cases: Cases, uetrs: Iterable[UUID], found: Sequence[Case]
    ) -> Sequence[ProducerRecord]:
        """Open a case for each break that has none, and close those whose break is gone."""
        known = await cases.about(report.partner, uetrs)
        review = reviewed(found, known, f"explained by the statement of {report.day}")
        new = await cases.open(review.new)
        await cases.save(review.explained)
        report.note(review.standing)
        report.opened += len(new)
        report.closed += len(review.explained)
        return told_of([*new, *review.explained], SERVICE, self._clock.now())

    async def _finish(self, report: Report, read_at: datetime, tx: Any) -> Sequence[ProducerRecord]:
        await self._store(tx).note_read(report.partner, report.day, read_at)
        return await self._count(tx)

    async def _count(self, tx: Any) -> Sequence[ProducerRecord]:
        counts = await self._store(tx).counts()
        # A kind that is gone shows as none, not as what it was.
        self._unresolved = dict.fromkeys(self._unresolved, 0.0) | {
            kind: float(count) for kind, count in counts.items()
        }
        return ()


def step_of(case: Case, actor: str) -> Emit:
    """Return what tells of a case's last step, and count it."""
    if case.version == 1:
        _opened.add(1, {"partner": case.partner, "kind": str(case.kind)})
        _log.warning("case_opened", uetr=case.uetr, reason=case.kind)
    else:
        _moved.add(1, {"kind": str(case.kind), "status": str(case.status)})
        _log.info("case_moved", uetr=case.uetr, reason=case.kind, status=case.status)
    return Emit(audited(case, actor), Cause(case.id, discriminator=str(case.version)))


def told_of(cases: Iterable[Case], actor: str, now: datetime) -> Sequence[ProducerRecord]:
    """Return the records that tell of the cases' last steps."""
    return [step_of(case, actor).outgoing(SERVICE, now) for case in cases]


def _shown(case: Case) -> dict[str, Any]:
    return {
        "case_id": case.id,
        "kind": case.kind,
        "uetr": case.uetr,
        "payment_id": case.payment_id,
        "details": case.details,
    }
