"""Confirm's tables in PostgreSQL: a batch is one statement for each table, with JSON rows."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import fields
from typing import Any, LiteralString

from psycopg.rows import DictRow

from confirm.domain.decision import ReviewCase
from confirm.domain.ledger import Account, Ledger
from confirm.domain.payment import Payment, Status
from payment_schemas.events.confirmation import ConfirmRequested
from payment_schemas.ids import PaymentId, payment_id_of
from service_runtime.postgres import PostgresTransaction, json_rows

_FIELDS = [field.name for field in fields(Payment)]
_FIXED = {
    "id", "user_id", "transaction_id", "idempotency_key", "amount_minor", "currency",
    "from_account", "to_account", "uetr", "reference", "created_at", "ip_address",
    "device_fingerprint", "country", "traceparent", "settlement_method",
}  # fmt: skip
"""Columns that never change once they are written."""


def _listed(names: Iterable[str], prefix: str = "") -> str:
    return ", ".join(prefix + name for name in names)


def _statement(template: LiteralString) -> LiteralString:
    """Insert the column names, which are dataclass fields and never client input."""
    filled: Any = (
        template.replace("{all}", _listed(_FIELDS))
        .replace("{changing}", _listed(_CHANGING))
        .replace("{changed}", _listed(_CHANGING, "changed."))
    )
    return filled  # type: ignore[no-any-return]


_CHANGING = [name for name in _FIELDS if name not in _FIXED]

_OPEN = _statement("""
insert into payment ({all})
select {all} from json_populate_recordset(null::payment, %(rows)s::json)""")

_SAVE = _statement("""
update payment set ({changing}, lease_until)
    = ({changed}, null)
from json_populate_recordset(null::payment, %(rows)s::json) as changed
where payment.id = changed.id""")

_LOCK_KNOWN = _statement("""
with asked as materialized (
    select * from json_to_recordset(%(rows)s::json) as asked (id uuid, user_id text, key text))
select {all} from payment where id in (
    select payment.id from asked join payment using (id)
    union
    select payment.id from asked join payment
        on payment.user_id = asked.user_id and payment.idempotency_key = asked.key)
order by id for update""")

_LOCK = _statement("""
select {all} from payment
where id in (select value::uuid from json_array_elements_text(%(ids)s::json))
order by id for update""")

_ACCOUNTS: LiteralString = """
select id, owner, currency, balance_minor, minimum_minor from account
where id in (select value from json_array_elements_text(%(ids)s::json))"""

# Not `for update`: the foreign keys of new payments and entries lock their account's key, and two
# transactions on the in-flight account would deadlock.
_LOCK_ACCOUNTS = _ACCOUNTS + " order by id for no key update"

_JOURNALS: LiteralString = """
insert into journal (id, payment_id, kind)
select id, payment_id, kind from json_to_recordset(%(rows)s::json)
    as posted (id uuid, payment_id uuid, kind text)"""

_ENTRIES: LiteralString = """
insert into entry (journal_id, account_id, amount_minor, currency)
select id, account_id, side.amount_minor, currency
from json_to_recordset(%(rows)s::json)
         as posted (id uuid, debit_account text, credit_account text, amount_minor bigint,
                    currency text),
     lateral (values (debit_account, -posted.amount_minor), (credit_account, posted.amount_minor))
         as side (account_id, amount_minor)"""

_NEW_SYSTEM_ACCOUNTS: LiteralString = """
insert into account (id, owner, currency, minimum_minor)
select id, null, currency, case when id like 'equity:%%' then null else 0 end
from json_to_recordset(%(rows)s::json) as ours (id text, currency text)
order by id on conflict do nothing"""

_BALANCES: LiteralString = """
with delta as materialized (
    select * from json_to_recordset(%(rows)s::json) as delta (id text, amount_minor bigint)),
locked as materialized (
    select id from account where id in (select id from delta) order by id for no key update)
update account set balance_minor = balance_minor + delta.amount_minor
from delta join locked using (id) where account.id = delta.id
returning account.id"""

_REVIEWS: LiteralString = """
insert into review_case (id, payment_id, reasons)
select id, payment_id, reasons from json_to_recordset(%(rows)s::json)
    as opened (id uuid, payment_id uuid, reasons jsonb)
on conflict do nothing"""


def payment_of(row: DictRow) -> Payment:
    """Return the payment of a row; the row may have more columns."""
    values = {name: row[name] for name in _FIELDS}
    return Payment(**{**values, "status": Status(values["status"])})


def _changeable(payment: Payment) -> dict[str, Any]:
    """Return only the changeable columns: half as much for PostgreSQL to parse."""
    return {name: getattr(payment, name) for name in ("id", *_CHANGING)}


class PostgresPayments:
    """Payments, accounts and the ledger in one PostgreSQL transaction."""

    def __init__(self, tx: PostgresTransaction) -> None:
        self._tx = tx

    async def accounts(self, ids: Collection[str]) -> dict[str, Account]:
        return await self._accounts(_ACCOUNTS, ids)

    async def lock_accounts(self, ids: Collection[str]) -> dict[str, Account]:
        return await self._accounts(_LOCK_ACCOUNTS, ids)

    async def _accounts(self, statement: LiteralString, ids: Collection[str]) -> dict[str, Account]:
        if not ids:
            return {}
        rows = await self._tx.rows(statement, ids=json_rows(sorted(ids)))
        return {row["id"]: Account(**row) for row in rows}

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
        rows = await self._tx.rows(_LOCK_KNOWN, rows=json_rows(lookups))
        return [payment_of(row) for row in rows]

    async def lock(self, ids: Iterable[PaymentId]) -> dict[PaymentId, Payment]:
        rows = await self._tx.rows(_LOCK, ids=json_rows(sorted({str(name) for name in ids})))
        return {row["id"]: payment_of(row) for row in rows}

    async def save(self, payments: Collection[Payment]) -> None:
        if payments:
            await self._tx.run(_SAVE, rows=json_rows([_changeable(item) for item in payments]))

    async def post(self, ledger: Ledger) -> None:
        if not ledger.journals:
            return
        journals = json_rows(ledger.journals)
        posted_to = [
            {"id": name, "currency": journal.currency}
            for journal in ledger.journals
            for name in (journal.debit_account, journal.credit_account)
            if name not in ledger.accounts
        ]
        moved = {name: delta for name, delta in ledger.deltas.items() if delta}
        customers = [name for name in moved if name in ledger.accounts]
        system = [name for name in moved if name not in ledger.accounts]
        await self._tx.run(_JOURNALS, rows=journals)
        await self._open_system_accounts(posted_to)
        await self._tx.run(_ENTRIES, rows=journals)
        # System accounts come last: every instance updates them, so their locks must be short.
        for names in (customers, system):
            await self._change_balances(names, moved)

    async def _open_system_accounts(self, accounts: Sequence[dict[str, str]]) -> None:
        known = await self.accounts({account["id"] for account in accounts})
        new = {account["id"]: account for account in accounts if account["id"] not in known}
        if new:
            await self._tx.run(_NEW_SYSTEM_ACCOUNTS, rows=json_rows(list(new.values())))

    async def _change_balances(self, names: Collection[str], deltas: dict[str, int]) -> None:
        if names:
            rows: list[dict[str, Any]] = [
                {"id": name, "amount_minor": deltas[name]} for name in sorted(names)
            ]
            await self._tx.run(_BALANCES, rows=json_rows(rows))

    async def open_reviews(self, cases: Sequence[ReviewCase]) -> None:
        if cases:
            await self._tx.run(_REVIEWS, rows=json_rows(list(cases)))
