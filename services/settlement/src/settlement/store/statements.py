"""Stores of bookings and of read statements: the port, PostgreSQL and the memory twin."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Protocol
from uuid import UUID

from payment_schemas.money import Money
from service_runtime.postgres import PostgresTransaction, json_rows
from settlement.domain import Instruction, NextStep, Status
from settlement.domain.statements import Booking, StatementEntry
from settlement.store.partners import PARTNERS
from settlement.store.rows import TABLE, instruction_of

BOOKED = f"{TABLE}/booked"
BOOKINGS = "booking"
READ = "statement_read"
PAGES = "statement_page"


@dataclass(frozen=True, slots=True)
class Settled:
    """Filter: transfers of one partner settled in the range `since` <= time < `until`."""

    partner: str
    since: datetime
    until: datetime
    is_by_http: bool = False
    """Whether only transfers that went over HTTP count: what a bank shows there has no others."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a statement that a bank has sent."""

    partner: str
    day: date
    statement_id: str
    page: int
    is_last: bool


class Statements(Protocol):
    """The bookings and the read statements, within one transaction."""

    async def instructions_of(self, uetrs: Iterable[UUID]) -> dict[UUID, Instruction]:
        """Return the instructions of these UETRs, of any partner."""
        ...

    async def add_bookings(self, bookings: Sequence[Booking]) -> None:
        """Store each booking of one partner once; update an amount that the bank has corrected.

        Marks the instructions as booked. Locks out other readers of the partner's statements.
        """
        ...

    async def booked(self, partner: str, uetrs: Iterable[UUID]) -> Mapping[UUID, list[Booking]]:
        """Return all bookings of a partner under these UETRs, of any day."""
        ...

    async def unbooked(self, settled: Settled, after: UUID, limit: int) -> list[Instruction]:
        """Return settled instructions without a booking, by id, with ids above `after`."""
        ...

    async def note_read(self, partner: str, day: date, read_at: datetime) -> None:
        """Record that a statement was read to its end."""
        ...

    async def days_read(self, partner: str, since: date) -> set[date]:
        """Return the days whose statements were read to their end after the day was over."""
        ...

    async def add_page(self, page: Page, received_at: datetime) -> None:
        """Record that a page of a statement was received; a repeated page changes nothing."""
        ...

    async def partners_that_send(self) -> set[str]:
        """Return the partners that send their statements over Kafka."""
        ...

    async def statements_received(self, since: date) -> list[tuple[str, date]]:
        """Return partner and day of statements that came whole, after their day, and are not read.

        Their days are `since` or later.
        """
        ...


class PostgresStatements:
    """Statements in PostgreSQL."""

    def __init__(self, tx: PostgresTransaction) -> None:
        self._tx = tx

    async def instructions_of(self, uetrs: Iterable[UUID]) -> dict[UUID, Instruction]:
        rows = await self._tx.rows(
            # `offset 0` forces one look-up by key for each UETR. A plan made while the table is
            # empty would otherwise read the whole table for every page.
            """select found.* from json_array_elements_text(%(uetrs)s::json) as asked (uetr)
               cross join lateral (
                   select * from instruction where uetr = asked.uetr::uuid offset 0) as found""",
            uetrs=json_rows(sorted(set(uetrs))),
        )
        return {row["uetr"]: instruction_of(row) for row in rows}

    async def add_bookings(self, bookings: Sequence[Booking]) -> None:
        if not bookings:
            return
        # Without the lock, two readers of one partner would not see each other's new bookings.
        partner = bookings[0].partner
        await self._tx.run("select pg_advisory_xact_lock(hashtext(%(name)s))", name=partner)
        rows = [_row(booking) for booking in sorted(bookings, key=lambda booking: booking.id)]
        await self._tx.run(
            """insert into booking as old (id, partner, uetr, day, amount_minor, currency,
                   is_reversal, bank_reference, booked_at)
               select id, partner, uetr, day, amount_minor, currency,
                   is_reversal, bank_reference, booked_at
               from json_populate_recordset(null::booking, %(rows)s::json)
               on conflict (id) do update
               set amount_minor = excluded.amount_minor, currency = excluded.currency
               where (old.amount_minor, old.currency)
                   is distinct from (excluded.amount_minor, excluded.currency)""",
            rows=json_rows(rows),
        )
        for day in sorted({booking.day for booking in bookings}):
            await self._note_booked(day, [row for row in rows if row["day"] == day])

    async def _note_booked(self, day: date, rows: list[dict[str, Any]]) -> None:
        await self._tx.run(
            """update instruction set booked_on = %(day)s
               where id = any(array(
                   select found.id from json_to_recordset(%(rows)s::json)
                       as line (uetr uuid, partner text, is_reversal boolean)
                   cross join lateral (
                       select id from instruction
                       where uetr = line.uetr and partner = line.partner and booked_on is null
                       offset 0) as found
                   where not is_reversal order by found.id))""",
            rows=json_rows(rows),
            day=day,
        )

    async def booked(self, partner: str, uetrs: Iterable[UUID]) -> Mapping[UUID, list[Booking]]:
        rows = await self._tx.rows(
            """select found.* from json_array_elements_text(%(uetrs)s::json) as asked (uetr)
               cross join lateral (
                   select * from booking
                   where uetr = asked.uetr::uuid and partner = %(partner)s offset 0) as found""",
            uetrs=json_rows(sorted(set(uetrs))),
            partner=partner,
        )
        return _by_uetr(map(_booking, rows))

    async def unbooked(self, settled: Settled, after: UUID, limit: int) -> list[Instruction]:
        rows = await self._tx.rows(
            """select * from instruction
               where partner = %(partner)s and status = 'SETTLED' and booked_on is null
                 and id > %(after)s and updated_at >= %(since)s and updated_at < %(until)s
                 and (next_step in ('SEND', 'ENQUIRE') or not %(is_by_http)s)
               order by id limit %(limit)s""",
            partner=settled.partner,
            is_by_http=settled.is_by_http,
            since=settled.since,
            until=settled.until,
            after=after,
            limit=limit,
        )
        return [instruction_of(row) for row in rows]

    async def note_read(self, partner: str, day: date, read_at: datetime) -> None:
        await self._tx.run(
            """insert into statement_read (partner, day, read_at)
               values (%(partner)s, %(day)s, %(read_at)s)
               on conflict (partner, day) do update set read_at = excluded.read_at""",
            partner=partner,
            day=day,
            read_at=read_at,
        )

    async def days_read(self, partner: str, since: date) -> set[date]:
        rows = await self._tx.rows(
            """select day from statement_read
               where partner = %(partner)s and day >= %(since)s
                 and read_at >= (day + 1)::timestamp at time zone 'UTC'""",
            partner=partner,
            since=since,
        )
        return {row["day"] for row in rows}

    async def add_page(self, page: Page, received_at: datetime) -> None:
        await self._tx.run(
            """insert into statement_page (partner, day, statement_id, page, is_last, received_at)
               values (%(partner)s, %(day)s, %(statement_id)s, %(page)s, %(is_last)s,
                       %(received_at)s)
               on conflict do nothing""",
            **asdict(page),
            received_at=received_at,
        )

    async def partners_that_send(self) -> set[str]:
        rows = await self._tx.rows("select partner from kafka_partner order by partner")
        return {row["partner"] for row in rows}

    async def statements_received(self, since: date) -> list[tuple[str, date]]:
        rows = await self._tx.rows(
            """select distinct partner, day from (
                   select partner, day, max(received_at) as received_at
                   from kafka_partner join statement_page using (partner)
                   where day >= %(since)s
                   group by partner, day, statement_id
                   having count(*) = max(page) filter (where is_last)
                      and max(received_at) >= (day + 1)::timestamp at time zone 'UTC') as whole
               where not exists (
                   select from statement_read as read
                   where read.partner = whole.partner and read.day = whole.day
                     and read.read_at >= whole.received_at)
               order by partner, day""",
            since=since,
        )
        return [(row["partner"], row["day"]) for row in rows]


def _by_uetr(bookings: Iterable[Booking]) -> Mapping[UUID, list[Booking]]:
    found: defaultdict[UUID, list[Booking]] = defaultdict(list)
    for booking in bookings:
        found[booking.entry.uetr].append(booking)
    return found


def _row(booking: Booking) -> dict[str, Any]:
    entry = booking.entry
    return {
        "id": booking.id,
        "partner": booking.partner,
        "uetr": entry.uetr,
        "day": booking.day,
        "amount_minor": entry.money.amount_minor if entry.money else None,
        "currency": entry.money.currency if entry.money else None,
        "is_reversal": entry.is_reversal,
        "bank_reference": entry.bank_reference,
        "booked_at": entry.booked_at,
    }


def _booking(row: dict[str, Any]) -> Booking:
    money = None if row["currency"] is None else Money(row["amount_minor"], row["currency"])
    entry = StatementEntry(
        row["uetr"], money, row["is_reversal"], row["bank_reference"], row["booked_at"]
    )
    return Booking(row["id"], row["partner"], row["day"], entry)


class MemoryStatements:
    """The memory twin of the bookings."""

    def __init__(self, tx: Any) -> None:
        self._tx = tx
        self._rows: dict[UUID, Instruction] = tx.own[TABLE]
        self._booked_on: dict[UUID, date] = tx.own[BOOKED]
        self._bookings: dict[UUID, Booking] = tx.own[BOOKINGS]
        self._read: dict[tuple[str, date], datetime] = tx.own[READ]
        self._pages: dict[Page, datetime] = tx.own[PAGES]

    async def instructions_of(self, uetrs: Iterable[UUID]) -> dict[UUID, Instruction]:
        keys: dict[UUID, UUID] = self._tx.own[f"{TABLE}/uetr"]
        return {uetr: self._rows[keys[uetr]] for uetr in uetrs if uetr in keys}

    async def add_bookings(self, bookings: Sequence[Booking]) -> None:
        instructions = await self.instructions_of(booking.entry.uetr for booking in bookings)
        for booking in bookings:
            known = self._bookings.get(booking.id, booking)
            self._bookings[booking.id] = replace(known, entry=booking.entry)
            row = instructions.get(booking.entry.uetr)
            if row and row.partner == booking.partner and not booking.entry.is_reversal:
                self._booked_on.setdefault(row.uetr, booking.day)

    async def booked(self, partner: str, uetrs: Iterable[UUID]) -> Mapping[UUID, list[Booking]]:
        wanted, bookings = set(uetrs), self._bookings.values()
        own = (booking for booking in bookings if booking.partner == partner)
        return _by_uetr(booking for booking in own if booking.entry.uetr in wanted)

    async def unbooked(self, settled: Settled, after: UUID, limit: int) -> list[Instruction]:
        times = self._tx.own[f"{TABLE}/times"]
        found = [
            row
            for key, row in sorted(self._rows.items())
            if key > after
            and row.partner == settled.partner
            and row.status is Status.SETTLED
            and row.uetr not in self._booked_on
            and (row.next_step in (NextStep.SEND, NextStep.ENQUIRE) or not settled.is_by_http)
            and settled.since <= times[key].updated_at < settled.until
        ]
        return found[:limit]

    async def note_read(self, partner: str, day: date, read_at: datetime) -> None:
        self._read[partner, day] = read_at

    async def days_read(self, partner: str, since: date) -> set[date]:
        return {
            day
            for (name, day), read_at in self._read.items()
            if name == partner and day >= since and read_at >= _end_of(day)
        }

    async def add_page(self, page: Page, received_at: datetime) -> None:
        self._pages.setdefault(page, received_at)

    async def partners_that_send(self) -> set[str]:
        return set(self._tx.own[PARTNERS])

    async def statements_received(self, since: date) -> list[tuple[str, date]]:
        found = set()
        for last, received_at in self._pages.items():
            name = last.partner, last.day, last.statement_id
            times = [
                time
                for page, time in self._pages.items()
                if (page.partner, page.day, page.statement_id) == name
            ]
            is_whole = last.is_last and len(times) == last.page and max(times) >= _end_of(last.day)
            read_at = self._read.get((last.partner, last.day), datetime.min.replace(tzinfo=UTC))
            if is_whole and last.day >= since and read_at < max(*times, received_at):
                found.add((last.partner, last.day))
        return sorted(found)


def _end_of(day: date) -> datetime:
    return datetime.combine(day + timedelta(days=1), time(), UTC)
