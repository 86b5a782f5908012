"""Reading a partner's statement beside our instructions: it reports and opens cases, no more."""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from service_runtime import metrics
from service_runtime.clock import Clock
from service_runtime.errors import Unavailable
from service_runtime.logs import Log
from service_runtime.messages import Cause, Emit, Outgoing
from settlement.clients import PartnerBank
from settlement.domain import Instruction
from settlement.domain.reconciliation import (
    Case,
    Finding,
    StatementEntry,
    audited,
    case_of,
    compared,
    missing_there,
)
from settlement.store import Cases, Settled

Keep = Callable[[Callable[[Any], Awaitable[Sequence[Outgoing]]]], Awaitable[None]]
"""Commits what a function writes, with the records that it returns."""

SERVICE = "settlement"
PAGE_ROWS = 1000
MOST_PAGES = 5000
"""Of one statement: five million entries. Past it something is wrong with the bank."""
MOST_LISTED = 200
_FIRST = UUID(int=0)
_BREAKS = (Finding.MISSING_THERE, Finding.MISSING_HERE, Finding.AMOUNT_DIFFERS)

_log = Log("reconciliation")
_runs = metrics.counter("reconciliation", "Statements that were read, by partner and result.")
_opened = metrics.counter("reconciliation_cases_opened", "Cases, by partner and kind.")


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

    def note(self, case: Case) -> None:
        """Count a break."""
        self.counts[case.kind] += 1
        if len(self.breaks) < MOST_LISTED:
            self.breaks.append(case)

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        names = (Finding.MATCHED, Finding.IN_MOTION, *_BREAKS)
        return {
            "partner": self.partner,
            "date": self.day,
            **{name.lower(): self.counts[name] for name in names},
            "cases_opened": self.opened,
            "breaks": [_shown(case) for case in self.breaks],
        }


class Reconciliation:
    """Compares statements with instructions, a page and a transaction at a time."""

    def __init__(
        self,
        banks: Mapping[str, PartnerBank],
        store: Callable[[Any], Cases],
        keep: Keep,
        clock: Clock,
    ) -> None:
        self._banks = banks
        self._store = store
        self._keep = keep
        self._clock = clock
        self._unresolved: dict[str, float] = {}
        metrics.gauge("reconciliation_cases", "Unresolved, by kind.", lambda: self._unresolved)

    @property
    def partners(self) -> frozenset[str]:
        """Whose statements can be read."""
        return frozenset(self._banks)

    async def run(self) -> None:
        """Reconcile yesterday and today with every partner: one that is down stops no other."""
        today = self._clock.now().date()
        for partner in sorted(self._banks):
            for day in (today - timedelta(days=1), today):
                try:
                    await self.reconcile(partner, day)
                except Unavailable as error:
                    _log.warning("statement_unread", partner=partner, reason=str(error))
        await self._keep(self._count)

    async def reconcile(self, partner: str, day: date) -> Report:
        """Compare a day's statement with our instructions, and open a case for each break.

        Can be repeated: the same break is the same case. Raises Unavailable where the bank or the
        database does not answer; what was found until then stays.
        """
        report, started_at = Report(partner, day), self._clock.now()
        try:
            await self._read(report, day)
            await self._search(report, started_at)
            await self._keep(self._count)
        except Unavailable:
            _runs.add(1, {"partner": partner, "result": "unread"})
            raise
        broken = any(report.counts[name] for name in _BREAKS)
        _runs.add(1, {"partner": partner, "result": "broken" if broken else "matched"})
        return report

    async def _read(self, report: Report, day: date) -> None:
        """Go through a statement; each page is compared in a transaction of its own."""
        after: str | None = None
        for _ in range(MOST_PAGES):
            page = await self._banks[report.partner].statement(day, after)
            if page.entries:
                await self._keep(partial(self._compare, report, day, page.entries))
            if page.behind is None:
                return
            after = page.behind
        raise Unavailable(f"{report.partner}: a statement without an end")

    async def _compare(
        self, report: Report, day: date, entries: Sequence[StatementEntry], tx: Any
    ) -> Sequence[Outgoing]:
        cases = self._store(tx)
        ours = await cases.known(entry.uetr for entry in entries)
        await cases.book([one.uetr for one in ours.values() if one.partner == report.partner], day)
        if day != report.day:
            return ()
        broken = []
        for entry in entries:
            instruction = ours.get(entry.uetr)
            finding, details = compared(report.partner, entry, instruction)
            if finding in _BREAKS:
                payment_id = instruction.payment_id if instruction else None
                broken.append(Case(finding, report.partner, entry.uetr, day, details, payment_id))
            else:
                report.counts[finding] += 1
        return await self._opened(report, cases, broken + _booked_twice(report, entries, ours))

    async def _search(self, report: Report, started_at: datetime) -> None:
        """Find what is settled here and stands on no statement.

        A bank books before it answers, so what was settled before the statement was read is on it;
        or, where midnight or an outage lay between, on the one before, which is read only then.
        """
        begin = datetime.combine(report.day, time(), UTC)
        until = min(begin + timedelta(days=1), started_at)
        settled = Settled(report.partner, begin, until)
        found: list[bool] = []
        await self._keep(partial(self._look, settled, found))
        if not found:
            return
        await self._read(report, report.day - timedelta(days=1))
        after: list[UUID] = [_FIRST]
        while after:
            await self._keep(partial(self._miss, report, settled, after))

    async def _look(self, settled: Settled, found: list[bool], tx: Any) -> Sequence[Outgoing]:
        if await self._store(tx).unbooked(settled, _FIRST, 1):
            found.append(True)
        return ()

    async def _miss(
        self, report: Report, settled: Settled, after: list[UUID], tx: Any
    ) -> Sequence[Outgoing]:
        cases = self._store(tx)
        missing = await cases.unbooked(settled, after.pop(), PAGE_ROWS)
        if len(missing) == PAGE_ROWS:
            after.append(missing[-1].payment_id)
        return await self._opened(
            report, cases, [missing_there(one, report.day) for one in missing]
        )

    async def _opened(
        self, report: Report, cases: Cases, broken: Sequence[Case]
    ) -> Sequence[Outgoing]:
        for case in broken:
            report.note(case)
        new = await cases.open(broken) if broken else []
        report.opened += len(new)
        return told_of(new, SERVICE, self._clock.now())

    async def _count(self, tx: Any) -> Sequence[Outgoing]:
        counts = await self._store(tx).counts()
        # A kind that is gone shows as none, not as what it was.
        self._unresolved = dict.fromkeys(self._unresolved, 0.0) | {
            kind: float(count) for kind, count in counts.items()
        }
        return ()


def opening_of(case: Case, actor: str) -> Emit:
    """Return what tells of a case's last step, and count it where it is new."""
    if case.version == 1:
        _opened.add(1, {"partner": case.partner, "kind": str(case.kind)})
        _log.warning("case_opened", partner=case.partner, kind=case.kind, uetr=case.uetr)
    return Emit(audited(case, actor), Cause(case.id, discriminator=str(case.version)))


def told_of(cases: Sequence[Case], actor: str, now: datetime) -> Sequence[Outgoing]:
    """Return the records that tell of the cases' last steps."""
    return [opening_of(case, actor).outgoing(SERVICE, now) for case in cases]


def _booked_twice(
    report: Report, entries: Sequence[StatementEntry], ours: Mapping[UUID, Instruction]
) -> list[Case]:
    """Find transfers of ours that stand twice on one page: all movements but one are not ours."""
    times = Counter(entry.uetr for entry in entries if entry.uetr in ours)
    words = "booked there {} times"
    return [
        case_of(ours[uetr], Finding.MISSING_HERE, report.day, words.format(count))
        for uetr, count in times.items()
        if count > 1
    ]


def _shown(case: Case) -> dict[str, Any]:
    return {
        "case_id": case.id,
        "kind": case.kind,
        "uetr": case.uetr,
        "payment_id": case.payment_id,
        "details": case.details,
    }
