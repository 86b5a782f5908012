"""What is known of payments: as history of their users, and for dry runs."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from compliance.domain.payments import CheckedPayment, History
from service_runtime.postgres import REPORT, PostgresTransaction, json_rows

DRY_RUN_PAYMENTS = 10_000
_FACTS = (
    "user_id", "payee", "amount_minor", "amount_usd_minor", "currency", "country", "debtor_hit",
    "creditor_hit", "match_score", "list_version", "kyc",
)  # fmt: skip
_HISTORY = ("payments_24h", "amount_24h_usd_minor", "payee_known", "monitored")


class Payments:
    """Known payments within one transaction."""

    def __init__(self, tx: PostgresTransaction) -> None:
        self._tx = tx

    async def know_assessed(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Keep what risk has said of payments."""
        await self._tx.run(
            """insert into known_payment as known (payment_id, user_id, transaction_id,
                   amount_usd_minor, debtor_hit, creditor_hit, match_score, list_version, kyc,
                   score, factors)
               select payment_id, user_id, transaction_id, amount_usd_minor, debtor_hit,
                      creditor_hit, match_score, list_version, kyc, score, factors
               from json_populate_recordset(null::known_payment, %(rows)s::json)
               on conflict (payment_id) do update
               set amount_usd_minor = excluded.amount_usd_minor, debtor_hit = excluded.debtor_hit,
                   creditor_hit = excluded.creditor_hit, match_score = excluded.match_score,
                   list_version = excluded.list_version, kyc = excluded.kyc,
                   score = excluded.score, factors = excluded.factors,
                   transaction_id = excluded.transaction_id
               where known.kyc is null""",
            rows=_by_id(rows),
        )

    async def know_confirmed(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Keep what confirm has said of payments."""
        await self._tx.run(
            """insert into known_payment as known (payment_id, user_id, transaction_id, account,
                   payee, amount_minor, currency, country, confirmed_at, instrument, branch,
                   business_day)
               select payment_id, user_id, transaction_id, account, payee, amount_minor, currency,
                      country, confirmed_at, instrument, branch, business_day
               from json_populate_recordset(null::known_payment, %(rows)s::json)
               on conflict (payment_id) do update
               set payee = excluded.payee, amount_minor = excluded.amount_minor,
                   currency = excluded.currency, country = excluded.country,
                   confirmed_at = excluded.confirmed_at, account = excluded.account,
                   instrument = excluded.instrument, branch = excluded.branch,
                   business_day = excluded.business_day, transaction_id = excluded.transaction_id
               where known.confirmed_at is null""",
            rows=_by_id(rows),
        )

    async def histories(self, payments: Mapping[UUID, CheckedPayment]) -> dict[UUID, History]:
        """Return the history of each payment's user in the 24 hours before it."""
        rows = [
            {"id": name, "user_id": one.user_id, "payee": one.payee, "at": one.at}
            for name, one in payments.items()
        ]
        found = await self._tx.rows(
            """select wanted.id, payments_24h, amount_24h_usd_minor,
                      exists (select from known_payment as paid
                              where paid.user_id = wanted.user_id and paid.payee = wanted.payee
                                and paid.confirmed_at < wanted.at) as payee_known,
                      exists (select from monitored_user as monitored
                              where monitored.user_id = wanted.user_id
                                and coalesce(wanted.at < monitored.until, true)) as monitored
               from json_to_recordset(%(rows)s::json)
                        as wanted (id uuid, user_id text, payee text, at timestamptz)
               cross join lateral (
                   select count(*) as payments_24h,
                          coalesce(sum(amount_usd_minor), 0)::bigint as amount_24h_usd_minor
                   from known_payment as paid
                   where paid.user_id = wanted.user_id and paid.confirmed_at < wanted.at
                     and paid.confirmed_at >= wanted.at - interval '24 hours') as recent""",
            rows=json_rows(rows),
        )
        return {row.pop("id"): History(**row) for row in found}

    async def last(self) -> list[tuple[UUID, CheckedPayment, History]]:
        """Return the last confirmed payments with their histories, the newest first.

        Whether a payee was known and the 24 hours before are counted as of each payment; who is
        monitored, as of now. Reads as much of the table as it needs: for reports.
        """
        await self._tx.use(REPORT)
        rows = await self._tx.rows(
            """with last as materialized (
                   select * from known_payment where confirmed_at is not null
                   order by confirmed_at desc, payment_id desc limit %(most)s),
               around as (
                   select payment_id, user_id, payee, amount_usd_minor, confirmed_at
                   from known_payment
                   where confirmed_at >= (select min(confirmed_at) from last) - interval '24 hours'
                     and user_id in (select user_id from last)),
               counted as (
                   select payment_id, count(*) over day as payments_24h,
                          coalesce(sum(amount_usd_minor) over day, 0)::bigint
                              as amount_24h_usd_minor
                   from around
                   window day as (partition by user_id order by confirmed_at
                                  range between interval '24 hours' preceding
                                            and interval '1 microsecond' preceding)),
               first as (
                   select user_id, payee, min(confirmed_at) as first_at from known_payment
                   where confirmed_at is not null and user_id in (select user_id from last)
                   group by user_id, payee)
               select last.*, payments_24h, amount_24h_usd_minor,
                      first_at < last.confirmed_at as payee_known,
                      exists (select from monitored_user as monitored
                              where monitored.user_id = last.user_id
                                and coalesce(now() < until, true)) as monitored
               from last join counted using (payment_id)
               join first on first.user_id = last.user_id and first.payee = last.payee
               order by last.confirmed_at desc, last.payment_id desc""",
            most=DRY_RUN_PAYMENTS,
        )
        return [(row["payment_id"], _payment(row), _history(row)) for row in rows]


def _payment(row: Mapping[str, Any]) -> CheckedPayment:
    return CheckedPayment(at=row["confirmed_at"], **{name: row[name] for name in _FACTS})


def _history(row: Mapping[str, Any]) -> History:
    return History(**{name: row[name] for name in _HISTORY})


def _by_id(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows in one order for all writers, so that two batches cannot deadlock."""
    ordered = sorted(rows, key=lambda row: str(row["payment_id"]))
    return json_rows(ordered)
