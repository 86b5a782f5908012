"""The entries of sample: the port, PostgreSQL, and the memory twin."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Protocol
from uuid import UUID

from payment_schemas.ids import PaymentId
from sample.domain import Entry
from service_runtime.postgres import PostgresTransaction, json_rows

COUNTED = 10_000
"""Dead letters beyond it are not counted."""


class Entries(Protocol):
    """Entries within one transaction."""

    async def add(self, entries: Sequence[Entry]) -> set[PaymentId]:
        """Add entries; return the payments that had none yet."""
        ...

    async def of_payment(self, payment_id: UUID) -> list[dict[str, Any]]:
        """Return a payment's entry, if there is one."""
        ...

    async def dead_letters(self) -> int:
        """Count the records that were refused, up to a bound."""
        ...


class PostgresEntries:
    """Entries in PostgreSQL."""

    def __init__(self, tx: PostgresTransaction) -> None:
        self._tx = tx

    async def add(self, entries: Sequence[Entry]) -> set[PaymentId]:
        # One order for all writers: two batches that meet wait for each other, never in a circle.
        ordered = sorted(entries, key=lambda each: str(each.payment_id))
        found = await self._tx.rows(
            """insert into entry (payment_id, user_id, amount_minor, currency, confirmed_at)
               select payment_id, user_id, amount_minor, currency, confirmed_at
               from json_populate_recordset(null::entry, %(rows)s::json)
               on conflict do nothing returning payment_id""",
            rows=json_rows(ordered),
        )
        return {PaymentId(row["payment_id"]) for row in found}

    async def of_payment(self, payment_id: UUID) -> list[dict[str, Any]]:
        return await self._tx.rows(
            "select * from entry where payment_id = %(payment_id)s", payment_id=payment_id
        )

    async def dead_letters(self) -> int:
        rows = await self._tx.rows(
            "select count(*) from (select from dead_letter limit %(most)s) as refused",
            most=COUNTED,
        )
        return int(rows[0]["count"])


class MemoryEntries:
    """The memory twin."""

    def __init__(self, tx: Any) -> None:
        self._tx = tx
        self._entries: dict[PaymentId, Entry] = tx.own["entry"]

    async def add(self, entries: Sequence[Entry]) -> set[PaymentId]:
        new = {each.payment_id: each for each in entries if each.payment_id not in self._entries}
        self._entries |= new
        return set(new)

    async def of_payment(self, payment_id: UUID) -> list[dict[str, Any]]:
        return [asdict(each) for each in self._entries.values() if each.payment_id == payment_id]

    async def dead_letters(self) -> int:
        return len(self._tx.tables.dead_letters)
