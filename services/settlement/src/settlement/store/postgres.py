"""Instructions in PostgreSQL."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, LiteralString
from uuid import UUID

from payment_schemas.ids import PaymentId
from service_runtime.postgres import PostgresTransaction, json_rows
from service_runtime.work_table import INSERTED_LEASE_S, hand_over
from settlement.domain import Instruction
from settlement.store.cases import Cases, PostgresCases
from settlement.store.partners import Partners, PostgresPartners
from settlement.store.port import Added, Locked, NewInstruction, handed
from settlement.store.rows import instruction_of

_SAVE: LiteralString = """
    update instruction as old
    set epoch = old.epoch + new.preempts, status = new.status, next_step = new.next_step,
        tries = new.tries, version = new.version, reason = new.reason,
        bank_reference = new.bank_reference, sent_at = new.sent_at,
        unusable_since = new.unusable_since, unanswered_since = new.unanswered_since,
        due_at = new.due_at, lease_until = null,
        updated_at = case when old.version = new.version then old.updated_at
                          else clock_timestamp() end
    from json_to_recordset(%(rows)s::json) as new
        (id uuid, status text, next_step text, tries int,
         version int, reason text, bank_reference text, due_at timestamptz,
         sent_at timestamptz, unusable_since timestamptz, unanswered_since timestamptz,
         epoch bigint, preempts bigint)
    where old.id = new.id"""


class PostgresInstructions:
    """Instructions in PostgreSQL."""

    def __init__(self, tx: PostgresTransaction) -> None:
        self._tx = tx

    async def add(self, new: Sequence[NewInstruction]) -> Added:
        ordered = sorted(new, key=lambda item: item.instruction.payment_id)
        rows = json_rows([_added(item) for item in ordered])
        added = await self._tx.rows(
            """insert into instruction (id, user_id, transaction_id, uetr, partner, amount_minor,
                   currency, debtor_account, creditor_account, confirmed_at, status, next_step,
                   tries, version, sent_at, unusable_since, unanswered_since, due_at, trace, epoch,
                   attempts, owner, lease_until)
               select id, user_id, transaction_id, uetr, partner, amount_minor, currency,
                   debtor_account, creditor_account, confirmed_at, status, next_step,
                   tries, version, sent_at, unusable_since, unanswered_since, due_at, trace,
                   epoch, epoch,
                   case epoch when 1 then %(owner)s end,
                   case epoch when 1
                       then clock_timestamp() + make_interval(secs => %(lease_s)s) end
               from json_populate_recordset(null::instruction, %(rows)s::json)
               order by id on conflict do nothing returning id""",
            rows=rows,
            owner=self._tx.owner,
            lease_s=INSERTED_LEASE_S,
        )
        inserted = {row["id"] for row in added}
        hand_over(self._tx, inserted, [handed(item) for item in ordered])
        if len(inserted) == len(new):
            return Added(inserted, set())
        # A separate statement sees the row of a concurrent transaction that won the race.
        lost = await self._tx.rows(
            """select new.id from json_to_recordset(%(rows)s::json) as new (id uuid, uetr uuid)
               left join instruction as old on old.id = new.id
               where old.uetr is distinct from new.uetr""",
            rows=rows,
        )
        return Added(inserted, {row["id"] for row in lost})

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

    async def save(
        self, instructions: Iterable[Instruction], epochs: Mapping[UUID, int]
    ) -> set[PaymentId]:
        rows = [
            _changed(row) | {"epoch": epochs[row.payment_id], "preempts": 0}
            for row in sorted(instructions, key=lambda row: row.payment_id)
        ]
        saved = await self._tx.rows(
            _SAVE + " and old.epoch = new.epoch returning old.id", rows=json_rows(rows)
        )
        return {row["id"] for row in saved}

    async def save_reported(self, instructions: Iterable[Instruction]) -> None:
        rows = [_changed(row) | {"preempts": 1} for row in instructions]
        if rows:
            await self._tx.run(_SAVE, rows=json_rows(rows))

    async def lock(self, uetrs: Iterable[UUID]) -> dict[UUID, Locked]:
        # By id, as workers lock their rows.
        rows = await self._tx.rows(
            """select * from instruction where id = any(array(
                   select found.id from json_array_elements_text(%(uetrs)s::json) as asked (uetr)
                   cross join lateral (
                       select id from instruction where uetr = asked.uetr::uuid offset 0) as found))
               order by id for update""",
            uetrs=json_rows(sorted(set(uetrs))),
        )
        return {
            row["uetr"]: Locked(instruction_of(row), tuple(map(tuple, row["trace"])))
            for row in rows
        }

    @property
    def partners(self) -> Partners:
        return PostgresPartners(self._tx)

    @property
    def cases(self) -> Cases:
        return PostgresCases(self._tx)


def _added(new: NewInstruction) -> dict[str, Any]:
    instruction = new.instruction
    return _changed(new.stored) | {
        "epoch": int(new.taker is not None),
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
        "unanswered_since": instruction.unanswered_since,
    }
