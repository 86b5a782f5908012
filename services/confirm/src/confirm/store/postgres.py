"""Confirm's tables in PostgreSQL: a batch is one statement for each step, with JSON rows."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import fields
from functools import cache
from typing import Any, LiteralString
from uuid import UUID

from psycopg.rows import DictRow

from confirm.domain.decision import ReviewCase
from confirm.domain.encrypted import TokenUse
from confirm.domain.payment import Payment, Status
from confirm.store.port import UNFINISHED
from double_entry.rules import Account
from double_entry.store import PostgresLedger
from payment_schemas.events.confirmation import ConfirmRequested
from payment_schemas.ids import PaymentId, payment_id_of
from service_runtime.messages import Due
from service_runtime.postgres import PostgresTransaction, json_rows
from service_runtime.work_table import PostgresWorkTable

_FIELDS = tuple(field.name for field in fields(Payment))
_FIXED = (
    "id", "user_id", "transaction_id", "idempotency_key", "amount_minor", "currency",
    "from_account", "to_account", "uetr", "reference", "created_at", "ip_address",
    "device_fingerprint", "country", "traceparent", "settlement_method", "instrument", "branch",
)  # fmt: skip
"""Columns of `payment`, which never change."""
_STATE = tuple(name for name in _FIELDS if name not in _FIXED)
"""Columns of `payment_state`."""
_SCHEDULING = frozenset({"status", "settlement_status", "due_at"})
"""Columns that decide about the row in `unfinished_payment`."""


def _listed(names: Iterable[str], prefix: str = "") -> str:
    return ", ".join(prefix + name for name in names)


def _statement(template: LiteralString) -> LiteralString:
    """Insert the column names, which are dataclass fields and never client input."""
    filled: Any = (
        template.replace("{all}", _listed(_FIELDS))
        .replace("{fixed}", _listed(_FIXED))
        .replace("{state}", _listed(_STATE))
    )
    return filled  # type: ignore[no-any-return]


_OPEN = _statement("""
with opened as materialized (
    select * from json_populate_recordset(null::payment_record, %(rows)s::json)),
fixed as (insert into payment ({fixed}) select {fixed} from opened),
unfinished as (insert into unfinished_payment (id, due_at)
               select id, due_at from opened where due_at is not null)
insert into payment_state (id, {state}) select id, {state} from opened""")

_LOCK_KNOWN = _statement("""
with asked as materialized (
    select * from json_to_recordset(%(rows)s::json) as asked (id uuid, user_id text, key text))
select {all} from payment join payment_state using (id) where id in (
    select payment.id from asked join payment using (id)
    union
    select payment.id from asked join payment
        on payment.user_id = asked.user_id and payment.idempotency_key = asked.key)
order by id for update of payment_state""")

_LOCK = _statement("""
select {all} from payment join payment_state using (id)
where id in (select value::uuid from json_array_elements_text(%(ids)s::json))
order by id for update of payment_state""")

_LOCK_PAYERS: LiteralString = """
select id, owner, currency, balance_minor, minimum_minor from account
where id in (select from_account from payment
             where id in (select value::uuid from json_array_elements_text(%(ids)s::json)))
order by id for no key update"""

_CLAIM_USES: LiteralString = """
insert into request_token (user_id, token_id, idempotency_key, transaction_id)
select user_id, token_id, idempotency_key, transaction_id
from json_to_recordset(%(rows)s::json)
    as used (user_id text, token_id text, idempotency_key text, transaction_id text)
order by user_id, token_id
on conflict do nothing"""

_USES: LiteralString = """
select user_id, token_id, first.idempotency_key, first.transaction_id
from json_to_recordset(%(rows)s::json) as used (user_id text, token_id text)
join request_token as first using (user_id, token_id)"""

_REVIEWS: LiteralString = """
insert into review_case (id, payment_id, reasons)
select id, payment_id, reasons from json_to_recordset(%(rows)s::json)
    as opened (id uuid, payment_id uuid, reasons jsonb)
on conflict do nothing"""


_SAVE: LiteralString = """
with changed as materialized (
    select *, status = 'DECLINED' or settlement_status in ('SETTLED', 'REJECTED') as is_over
    from json_populate_recordset(null::payment_state, %(rows)s::json)),
over as (delete from unfinished_payment where id in (select id from changed where is_over)),
due as (update unfinished_payment as work set due_at = changed.due_at, lease_until = null
        from changed where work.id = changed.id and not is_over
                       and work.due_at is distinct from changed.due_at)
update payment_state set ({names}) = ({values})
from changed where payment_state.id = changed.id"""


@cache
def _save(names: tuple[str, ...]) -> LiteralString:
    """Return the statement that writes these columns of payments."""
    filled: Any = _SAVE.replace("{names}", _listed(names)).replace(
        "{values}", _listed(names, "changed.")
    )
    return filled  # type: ignore[no-any-return]


def payment_of(row: DictRow) -> Payment:
    """Return the payment of a row; the row may have more columns."""
    values = {name: row[name] for name in _FIELDS}
    return Payment(**{**values, "status": Status(values["status"])})


class PostgresPayments(PostgresLedger):
    """Payments, accounts and the ledger in one PostgreSQL transaction."""

    def __init__(self, tx: PostgresTransaction) -> None:
        super().__init__(tx)
        self._read: dict[PaymentId, Payment] = {}

    async def claim_uses(self, uses: Sequence[TokenUse]) -> set[TokenUse]:
        if not uses:
            return set()
        # Of two in one batch the first counts; the order of the names lets no instances deadlock.
        first = {(use.user_id, use.token_id): use for use in reversed(uses)}
        await self._tx.run(_CLAIM_USES, rows=json_rows(list(first.values())))
        rows = await self._tx.rows(_USES, rows=json_rows(list(first.values())))
        stored = {TokenUse(**row) for row in rows}
        return {use for use in uses if use not in stored}

    async def open(self, payments: Collection[Payment]) -> None:
        if payments:
            # Sorted, so that two instances with the same payments do not deadlock.
            ordered = sorted(payments, key=lambda payment: payment.id)
            await self._tx.run(_OPEN, rows=json_rows(ordered))

    async def lock_known(self, requests: Sequence[ConfirmRequested]) -> list[Payment]:
        lookups = [
            {
                "id": payment_id_of(request.user_id, request.transaction_id),
                "user_id": request.user_id,
                "key": request.idempotency_key,
            }
            for request in requests
        ]
        return self._payments(await self._tx.rows(_LOCK_KNOWN, rows=json_rows(lookups)))

    async def lock(
        self, ids: Iterable[PaymentId], *, with_payers: bool = False
    ) -> tuple[dict[PaymentId, Payment], dict[str, Account]]:
        parameter = {"ids": json_rows(sorted({str(name) for name in ids}))}
        # Both are sent before the first result is awaited: one round trip.
        statements = [_LOCK, _LOCK_PAYERS] if with_payers else [_LOCK]
        cursors = [await self._tx.connection.execute(one, parameter) for one in statements]
        payments, *payers = [await cursor.fetchall() for cursor in cursors]
        states = {payment.id: payment for payment in self._payments(payments)}
        return states, {row["id"]: Account(**row) for rows in payers for row in rows}

    def _payments(self, rows: Iterable[DictRow]) -> list[Payment]:
        found = [payment_of(row) for row in rows]
        self._read.update({payment.id: payment for payment in found})
        return found

    async def save(self, payments: Collection[Payment]) -> None:
        if not payments:
            return
        names = self._changed(payments)
        rows = [{name: getattr(item, name) for name in ("id", *names)} for item in payments]
        await self._tx.run(_save(names), rows=json_rows(rows))

    def _changed(self, payments: Collection[Payment]) -> tuple[str, ...]:
        """Return the columns that differ from what was read in any of the payments."""
        pairs = [(self._read.get(payment.id), payment) for payment in payments]
        return tuple(
            name
            for name in _STATE
            if name in _SCHEDULING
            or any(old is None or getattr(old, name) != getattr(new, name) for old, new in pairs)
        )

    async def open_reviews(self, cases: Sequence[ReviewCase]) -> None:
        if cases:
            await self._tx.run(_REVIEWS, rows=json_rows(list(cases)))


class PostgresDeadlines(PostgresWorkTable[PaymentId]):
    """The unfinished payments, by their deadlines."""

    def __init__(self) -> None:
        super().__init__(UNFINISHED, lambda row: PaymentId(row["id"]))

    async def still_mine(self, tx: PostgresTransaction, due: Sequence[Due[Any]]) -> set[UUID]:
        # A payment is locked before its row here, as by every other transaction: no deadlock.
        await PostgresPayments(tx).lock(item.row for item in due)
        return await super().still_mine(tx, due)
