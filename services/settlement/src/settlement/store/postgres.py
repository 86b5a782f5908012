"""Instructions in PostgreSQL."""

from collections.abc import Iterable, Sequence
from typing import Any

from payment_schemas.ids import PaymentId
from service_runtime.postgres import PostgresTransaction, json_rows
from settlement.domain import Instruction
from settlement.store.cases import Cases, PostgresCases
from settlement.store.port import NewInstruction


class PostgresInstructions:
    """Instructions in PostgreSQL."""

    def __init__(self, tx: PostgresTransaction) -> None:
        self._tx = tx

    async def add(self, new: Sequence[NewInstruction]) -> set[PaymentId]:
        rows = json_rows([_added(item) for item in _by_id(new)])
        await self._tx.run(
            """insert into instruction (id, user_id, transaction_id, uetr, partner, amount_minor,
                   currency, debtor_account, creditor_account, confirmed_at, status, next_step,
                   version, sent_at, unusable_since, due_at, trace)
               select id, user_id, transaction_id, uetr, partner, amount_minor, currency,
                   debtor_account, creditor_account, confirmed_at, status, next_step,
                   version, sent_at, unusable_since, due_at, trace
               from json_populate_recordset(null::instruction, %(rows)s::json)
               order by id on conflict do nothing""",
            rows=rows,
        )
        # A separate statement sees the row of a concurrent transaction that won the race.
        lost = await self._tx.rows(
            """select new.id from json_to_recordset(%(rows)s::json) as new (id uuid, uetr uuid)
               left join instruction as old on old.id = new.id
               where old.uetr is distinct from new.uetr""",
            rows=rows,
        )
        return {row["id"] for row in lost}

    async def begin(self, instructions: Iterable[Instruction]) -> None:
        await self._tx.run(
            """update instruction as old
               set status = new.status, next_step = new.next_step, version = new.version,
                   sent_at = new.sent_at,
                   updated_at = case when old.version = new.version then old.updated_at
                                     else clock_timestamp() end
               from json_to_recordset(%(rows)s::json) as new
                   (id uuid, status text, next_step text, version int, sent_at timestamptz)
               where old.id = new.id""",
            rows=json_rows([_changed(row) for row in instructions]),
        )

    async def save(self, instructions: Iterable[Instruction]) -> None:
        await self._tx.run(
            """update instruction as old
               set status = new.status, next_step = new.next_step,
                   tries = new.tries, version = new.version, reason = new.reason,
                   bank_reference = new.bank_reference, sent_at = new.sent_at,
                   unusable_since = new.unusable_since,
                   due_at = new.due_at, lease_until = null,
                   updated_at = case when old.version = new.version then old.updated_at
                                     else clock_timestamp() end
               from json_to_recordset(%(rows)s::json) as new
                   (id uuid, status text, next_step text, tries int,
                    version int, reason text, bank_reference text, due_at timestamptz,
                    sent_at timestamptz, unusable_since timestamptz)
               where old.id = new.id""",
            rows=json_rows([_changed(row) for row in instructions]),
        )

    @property
    def cases(self) -> Cases:
        return PostgresCases(self._tx)


def _by_id(new: Sequence[NewInstruction]) -> list[NewInstruction]:
    return sorted(new, key=lambda item: item.instruction.payment_id)


def _added(new: NewInstruction) -> dict[str, Any]:
    instruction = new.instruction
    return _changed(instruction) | {
        "user_id": instruction.user_id,
        "transaction_id": instruction.transaction_id,
        "uetr": instruction.uetr,
        "partner": instruction.partner,
        "amount_minor": instruction.money.amount_minor,
        "currency": instruction.money.currency,
        "debtor_account": instruction.debtor_account,
        "creditor_account": instruction.creditor_account,
        "confirmed_at": instruction.confirmed_at,
        "trace": new.trace,
    }


def _changed(instruction: Instruction) -> dict[str, Any]:
    return {
        "id": instruction.payment_id,
        "status": instruction.status,
        "next_step": instruction.next_step,
        "tries": instruction.tries,
        "version": instruction.version,
        "reason": instruction.reason,
        "bank_reference": instruction.bank_reference,
        "due_at": instruction.due_at,
        "sent_at": instruction.sent_at,
        "unusable_since": instruction.unusable_since,
    }
