"""Review cases with their evidence and entries."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, LiteralString
from uuid import UUID

from compliance.domain.cases import Case, case_id_of, ctr_due_on
from compliance.domain.cash import is_reportable
from service_runtime.postgres import PostgresTransaction, json_rows

_SELECT: LiteralString = """
    select id, kind, user_id, business_day, state, outcome, detected_at, suspect_known, due_on,
           assignee, amends, version, opened_at, closed_at
    from review_case"""
_FIND: LiteralString = _SELECT + " where id = %(id)s and lower(user_id) <> lower(%(hidden)s)"
_CHANGES = ("state", "outcome", "suspect_known", "due_on", "assignee", "closed_at", "version")


class Cases:
    """Cases within one transaction."""

    def __init__(self, tx: PostgresTransaction) -> None:
        self._tx = tx

    async def open_suspicious(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Open a case for each user with a payment to review, or add to the undecided one.

        A payment is evidence once: later reasons are added to its first case, open or closed.
        """
        rows = list({row["payment_id"]: row for row in rows}.values())
        new = await self._unlinked("SAR", rows)
        if new:
            await self._open_sar(new)
            await self._keep_evidence(new)
        await self._link_by_user(rows)

    async def open_for_cash(self, payment_ids: Sequence[UUID]) -> None:
        """Open a case for each user and business day of these payments with cash over the limit."""
        days = await self._tx.rows(
            """select distinct user_id, business_day from known_payment
               where payment_id = any(%(ids)s) and instrument = 'CASH'
                 and confirmed_at is not null and amount_usd_minor is not null
               order by user_id, business_day""",
            ids=list(payment_ids),
        )
        for day in days:
            await self._sum_up(**day)

    async def _unlinked(self, kind: str, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        known = await self._tx.rows(
            """select payment_id from case_payment
               where kind = %(kind)s and payment_id = any(%(ids)s)""",
            kind=kind,
            ids=[row["payment_id"] for row in rows],
        )
        linked = {row["payment_id"] for row in known}
        return [dict(row) for row in rows if row["payment_id"] not in linked]

    async def _open_sar(self, rows: Sequence[Mapping[str, Any]]) -> None:
        first: dict[str, dict[str, Any]] = {}
        for row in rows:
            case = {**row, "id": case_id_of("SAR", row["payment_id"])}
            first.setdefault(row["user_id"], case)
        # In one order for all writers, so that two batches cannot deadlock.
        await self._tx.run(
            """insert into review_case (id, kind, user_id, detected_at, due_on)
               select id, 'SAR', user_id, detected_at, due_on
               from json_to_recordset(%(rows)s::json)
                   as new (id uuid, user_id text, detected_at timestamptz, due_on date)
               order by user_id
               on conflict (user_id) where kind = 'SAR' and state <> 'CLOSED'
               do update set version = review_case.version + 1""",
            rows=json_rows([first[user] for user in sorted(first)]),
        )

    async def _keep_evidence(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Take payments out of the history's retention, also ones that are not known yet."""
        ordered = sorted(rows, key=lambda row: str(row["payment_id"]))
        await self._tx.run(
            """insert into known_payment (payment_id, user_id, transaction_id, amount_minor,
                                          currency, seen_at)
               select payment_id, user_id, transaction_id, amount_minor, currency, null
               from json_populate_recordset(null::known_payment, %(rows)s::json)
               on conflict (payment_id) do update set seen_at = null,
                   transaction_id = excluded.transaction_id""",
            rows=json_rows(ordered),
        )

    async def _link_by_user(self, rows: Sequence[Mapping[str, Any]]) -> None:
        await self._tx.run(
            """insert into case_payment as known (kind, payment_id, case_id, reasons)
               select 'SAR', new.payment_id, review_case.id,
                      array(select json_array_elements_text(new.reasons))
               from json_to_recordset(%(rows)s::json)
                   as new (payment_id uuid, user_id text, reasons json)
               join review_case on review_case.user_id = new.user_id
                   and review_case.kind = 'SAR' and review_case.state <> 'CLOSED'
               order by new.payment_id
               on conflict (kind, payment_id) do update
               set reasons = array(select distinct unnest(known.reasons || excluded.reasons)
                                   order by 1)""",
            rows=json_rows(rows),
        )

    async def _sum_up(self, user_id: str, business_day: date) -> None:
        # Payments of one person come in several partitions: of two transactions the second one
        # waits here, and then sees what the first one has written.
        await self._tx.run(
            "select pg_advisory_xact_lock(hashtextextended(%(name)s, 2))",
            name=f"{user_id}\n{business_day}",
        )
        rows = await self._tx.rows(
            """select cash.payment_id, confirmed_at, case_id,
                      sum(amount_usd_minor) over ()::bigint as total
               from known_payment as cash left join case_payment as linked
                   on linked.payment_id = cash.payment_id and linked.kind = 'CTR'
               where user_id = %(user_id)s and business_day = %(business_day)s
                 and instrument = 'CASH' and confirmed_at is not null
               order by confirmed_at, cash.payment_id""",
            user_id=user_id,
            business_day=business_day,
        )
        new = [row for row in rows if row["case_id"] is None]
        if new and is_reportable(rows[0]["total"]):
            await self._open_ctr(user_id, business_day, new)

    async def _open_ctr(
        self, user_id: str, business_day: date, payments: Sequence[Mapping[str, Any]]
    ) -> None:
        opened = await self._tx.rows(
            """insert into review_case (id, kind, user_id, business_day, detected_at, due_on,
                                        amends)
               values (%(id)s, 'CTR', %(user_id)s, %(day)s, %(detected_at)s, %(due_on)s,
                       (select id from review_case where user_id = %(user_id)s
                           and business_day = %(day)s and outcome = 'FILED'
                        order by closed_at desc limit 1))
               on conflict (user_id, business_day) where kind = 'CTR' and state <> 'CLOSED'
               do update set version = review_case.version + 1
               returning id""",
            id=case_id_of("CTR", payments[0]["payment_id"]),
            user_id=user_id,
            day=business_day,
            detected_at=payments[-1]["confirmed_at"],
            due_on=ctr_due_on(business_day),
        )
        ids = [one["payment_id"] for one in payments]
        await self._tx.run(
            """insert into case_payment (kind, payment_id, case_id, reasons)
               select 'CTR', unnest(%(ids)s::uuid[]), %(case_id)s, array['cash']
               on conflict do nothing""",
            ids=ids,
            case_id=opened[0]["id"],
        )
        await self._tx.run(
            "update known_payment set seen_at = null where payment_id = any(%(ids)s)", ids=ids
        )

    async def find(self, case_id: UUID, hidden_user: str) -> Case | None:
        """Return a case; None also where it is about `hidden_user`."""
        rows = await self._tx.rows(_FIND, id=case_id, hidden=hidden_user)
        return Case(**rows[0]) if rows else None

    async def lock(self, case_id: UUID, hidden_user: str) -> Case | None:
        """Return a case as `find` does, and keep others from changing it."""
        rows = await self._tx.rows(_FIND + " for update", id=case_id, hidden=hidden_user)
        return Case(**rows[0]) if rows else None

    async def of_period(
        self, kind: str, first: datetime, end: datetime, hidden_user: str, most: int
    ) -> list[Case]:
        """Return the cases that were detected in a period, but for those without suspicion."""
        rows = await self._tx.rows(
            _SELECT
            + """ where kind = %(kind)s and detected_at >= %(first)s and detected_at < %(end)s
                    and outcome is distinct from 'NOT_SUSPICIOUS'
                    and lower(user_id) <> lower(%(hidden)s)
                  order by detected_at, id limit %(most)s""",
            kind=kind,
            first=first,
            end=end,
            hidden=hidden_user,
            most=most,
        )
        return [Case(**row) for row in rows]

    async def save(self, case: Case) -> None:
        """Write what has changed of a locked case, as its next version."""
        changed = {name: getattr(case, name) for name in _CHANGES}
        await self._tx.run(
            """update review_case
               set state = %(state)s, outcome = %(outcome)s, suspect_known = %(suspect_known)s,
                   due_on = %(due_on)s, assignee = %(assignee)s, closed_at = %(closed_at)s,
                   version = %(version)s
               where id = %(id)s""",
            id=case.id,
            **changed,
        )
