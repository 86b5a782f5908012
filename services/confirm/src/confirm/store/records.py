"""Queries of the gateway and of operators, and the opening of accounts."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import DictRow

from confirm.domain.ledger import ledger
from confirm.domain.opening import Opening
from confirm.domain.payment import Payment
from confirm.store.postgres import payment_of
from double_entry.store import PostgresLedger
from payment_schemas.ids import payment_id_of
from service_runtime.postgres import PostgresTransaction, json_rows

MATCHES = 20


class ForeignAccountError(ValueError):
    """An account of that name exists with another owner or currency."""


class LedgerFullError(ValueError):
    """The balance of the opening equity account would exceed its column."""


async def page_of_payments(tx: PostgresTransaction, after: UUID, limit: int) -> list[DictRow]:
    """Return a page of payments by id, for checks across services."""
    return await tx.rows(
        """select id as payment_id, user_id, transaction_id, status, version,
                  settlement_status, settlement_version, uetr, amount_minor, currency,
                  to_account, risk_score, challenge_number, updated_at
           from payment join payment_state using (id)
           -- The planner derives no condition on the other table from an inequality.
           where payment.id > %(after)s and payment_state.id > %(after)s
           order by id limit %(limit)s""",
        after=after,
        limit=limit,
    )


class PaymentQueries:
    """Queries, and the opening of accounts, in one transaction."""

    def __init__(self, tx: PostgresTransaction) -> None:
        self._tx = tx

    async def payment(self, user_id: str, transaction_id: str) -> Payment | None:
        """Return one user's payment."""
        payment_id = payment_id_of(user_id, transaction_id)
        rows = await self._tx.rows("select * from payment_record where id = %(id)s", id=payment_id)
        return payment_of(rows[0]) if rows else None

    async def matching(self, name: str, user_id: str | None) -> list[Payment]:
        """Return payments by transaction id, id, UETR or reference, of one user or of all."""
        rows = await self._tx.rows(
            """select * from payment_record
               where (transaction_id = %(name)s or id = %(uuid)s or uetr = %(uuid)s
                      or reference = %(name)s)
               and (%(user_id)s::text is null or user_id = %(user_id)s)
               order by created_at limit %(limit)s""",
            name=name,
            uuid=_uuid(name),
            user_id=user_id,
            limit=MATCHES,
        )
        return [payment_of(row) for row in rows]

    async def named(self, payment_ids: Sequence[UUID]) -> list[Payment]:
        """Return the payments with these ids, by id."""
        rows = await self._tx.rows(
            "select * from payment_record where id = any(%(ids)s) order by id", ids=payment_ids
        )
        return [payment_of(row) for row in rows]

    async def accounts(self, prefix: str, after: str, limit: int) -> list[DictRow]:
        """Return a page of accounts by name: those after `after` that begin with the prefix."""
        return await self._tx.rows(
            """select id, owner, currency, balance_minor from account
               where starts_with(id, %(prefix)s) and id > %(after)s order by id limit %(limit)s""",
            prefix=prefix,
            after=after,
            limit=limit,
        )

    async def answers(self, keys: Sequence[Mapping[Any, str]]) -> list[DictRow]:
        """Return the stored final responses of these keys."""
        return await self._tx.rows(
            """select user_id, idempotency_key, answer_body as body
               from json_to_recordset(%(keys)s::json)
                   as asked (user_id text, idempotency_key text)
               join payment_record using (user_id, idempotency_key)
               where answer_body is not null""",
            keys=json_rows(keys),
        )

    async def open_accounts(self, opening: Opening) -> int:
        """Open the accounts that do not exist; return their number.

        Raises ForeignAccountError with the name of the first account that does not fit the
        request, and LedgerFullError.
        """
        store = PostgresLedger(self._tx)
        new = await store.open_accounts(opening.accounts())
        opened = [account for account in opening.accounts() if account.id in new]
        funding = ledger({account.id: account for account in opened})
        for transfer in opening.transfers(opened):
            funding.post(transfer)
        try:
            await store.post(funding)
            # Statements are pipelined: this read raises the error of the posting before it.
            await self.existing(opening)
        except psycopg.errors.NumericValueOutOfRange:
            raise LedgerFullError from None
        return len(new)

    async def existing(self, opening: Opening) -> int:
        """Return how many of the accounts exist; raise ForeignAccountError."""
        names = [account.id for account in opening.accounts()]
        found = await PostgresLedger(self._tx).accounts(names)
        for ordered in opening.accounts():
            stored = found.get(ordered.id, ordered)
            if (stored.owner, stored.currency) != (ordered.owner, ordered.currency):
                raise ForeignAccountError(ordered.id)
        return len(found)


def _uuid(name: str) -> UUID | None:
    try:
        return UUID(name)
    except ValueError:
        return None
