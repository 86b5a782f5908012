"""Refunds in PostgreSQL: a work table of its own."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from psycopg.rows import DictRow

from charges.domain.refund import Refund, RefundStatus, RefundStep
from charges.store.charges import Charges
from payment_schemas.money import Money
from service_runtime.messages import Trace
from service_runtime.postgres import PostgresTransaction, json_rows

REFUND_TABLE = "refund"


def refund_of(row: DictRow) -> Refund:
    """Return the refund in a row of the table."""
    return Refund(
        id=row["id"],
        charge_id=row["charge_id"],
        user_id=row["user_id"],
        money=Money(row["amount_minor"], row["currency"]),
        provider=row["provider"],
        charge_reference=row["charge_reference"],
        provider_reference=row["provider_reference"],
        due_at=row["due_at"],
        status=RefundStatus(row["status"]),
        next_step=RefundStep(row["next_step"]),
        was_sent=row["was_sent"],
        tries=row["tries"],
        code=row["code"],
    )


def _row_of(refund: Refund) -> dict[str, Any]:
    return {
        "id": refund.id,
        "status": refund.status,
        "next_step": refund.next_step,
        "was_sent": refund.was_sent,
        "tries": refund.tries,
        "code": refund.code,
        "due_at": refund.due_at,
    }


class Refunds:
    """Refunds within one transaction; a charge is locked before its refunds."""

    def __init__(self, tx: PostgresTransaction) -> None:
        self.tx = tx
        self.charges = Charges(tx)

    async def add(self, refund: Refund, trace: Trace) -> None:
        """Add a refund; it is due at once."""
        row = _row_of(refund) | {
            "charge_id": refund.charge_id,
            "user_id": refund.user_id,
            "amount_minor": refund.money.amount_minor,
            "currency": refund.money.currency,
            "provider": refund.provider,
            "charge_reference": refund.charge_reference,
            "provider_reference": refund.provider_reference,
            "trace": trace,
        }
        await self.tx.run(
            """insert into refund (id, charge_id, user_id, amount_minor, currency, provider,
                   charge_reference, provider_reference, status, next_step, was_sent, tries,
                   due_at, trace)
               select id, charge_id, user_id, amount_minor, currency, provider, charge_reference,
                   provider_reference, status, next_step, was_sent, tries, due_at, trace
               from json_populate_recordset(null::refund, %(rows)s::json)""",
            rows=json_rows([row]),
        )

    async def charge_of(self, refund_id: UUID) -> UUID | None:
        """Return the charge of a refund."""
        rows = await self.tx.rows("select charge_id from refund where id = %(id)s", id=refund_id)
        return rows[0]["charge_id"] if rows else None

    async def lock(
        self, ids: Iterable[UUID], epochs: Mapping[UUID, int] | None = None
    ) -> dict[UUID, Refund]:
        """Lock and return refunds; with `epochs`, those whose lease still has the epoch."""
        rows = await self.tx.rows(
            """select * from refund
               where id in (select value::uuid from json_array_elements_text(%(ids)s::json))
               order by id for update""",
            ids=json_rows(sorted({str(one) for one in ids})),
        )
        return {
            row["id"]: refund_of(row)
            for row in rows
            if epochs is None or epochs[row["id"]] == row["epoch"]
        }

    async def save(self, refunds: Sequence[Refund], *, ends_lease: bool = False) -> None:
        """Write back refunds that were locked."""
        if not refunds:
            return
        rows = json_rows([_row_of(one) for one in sorted(refunds, key=lambda one: one.id)])
        await self.tx.run(
            """update refund as old
               set status = new.status, next_step = new.next_step, was_sent = new.was_sent,
                   tries = new.tries, code = new.code, due_at = new.due_at,
                   lease_until = case when %(ends_lease)s then null else old.lease_until end,
                   updated_at = clock_timestamp()
               from json_populate_recordset(null::refund, %(rows)s::json) as new
               where old.id = new.id""",
            rows=rows,
            ends_lease=ends_lease,
        )

    async def of_charge(self, charge_id: UUID) -> list[DictRow]:
        """Return a charge's refunds, the oldest first."""
        return await self.tx.rows(
            """select id, amount_minor, currency, status, code, created_at from refund
               where charge_id = %(id)s order by created_at, id limit 100""",
            id=charge_id,
        )
