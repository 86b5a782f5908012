"""What people read of cases: the queue, evidence, entries."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, LiteralString
from uuid import UUID

from compliance.domain.cases import Case
from compliance.domain.filings import EvidencePayment
from service_runtime.postgres import PostgresTransaction

MOST_EVIDENCE = 2000
"""Payments of a case that are shown and drafted: as many as the form of a CTR has parties."""
_FACTS = tuple(EvidencePayment.__dataclass_fields__)
_QUEUE: LiteralString = """
    select id, kind, user_id, business_day, state, outcome, detected_at, suspect_known, due_on,
           assignee, amends, version, opened_at, closed_at, payments, amount_usd_minor
    from review_case cross join lateral (
        select count(*) as payments, sum(amount_usd_minor)::bigint as amount_usd_minor
        from case_payment join known_payment using (payment_id)
        where case_id = review_case.id) as evidence
    where (due_on, id) > (%(due_on)s, %(id)s) and lower(user_id) <> lower(%(hidden)s)
      and (%(kind)s::text is null or review_case.kind = %(kind)s)
      and (%(state)s::text is null or state = %(state)s)"""
_ORDER: LiteralString = " order by due_on, id limit %(limit)s"
_EVIDENCE: LiteralString = """
    select paid.payment_id, paid.transaction_id, coalesce(confirmed_at, linked_at, seen_at) as at,
           account, payee, amount_minor, currency, amount_usd_minor, instrument, branch, score,
           factors, kyc, debtor_hit or creditor_hit as sanctions_hit,
           confirmed_at is not null as is_confirmed, coalesce(reasons, '{}') as reasons,
           checked.id as check_id, checked.status as check_status"""
_CHECK: LiteralString = """
    left join lateral (
        select id, status from compliance_check where payment_id = paid.payment_id
        order by created_at desc limit 1) as checked on true"""
_LINKED: LiteralString = """
    from case_payment join known_payment as paid using (payment_id)"""


class Reviews:
    """Reads of cases within one transaction."""

    def __init__(self, tx: PostgresTransaction) -> None:
        self._tx = tx

    async def queue(
        self, after: tuple[date, UUID], limit: int, **wanted: str | None
    ) -> Sequence[dict[str, Any]]:
        """Return cases, those due first; without a state, the undecided ones."""
        over: LiteralString = (
            " and state = 'CLOSED'" if wanted["state"] == "CLOSED" else " and state <> 'CLOSED'"
        )
        due_on, case_id = after
        return await self._tx.rows(
            _QUEUE + over + _ORDER, due_on=due_on, id=case_id, limit=limit, **wanted
        )

    async def evidence(self, case: Case) -> Sequence[dict[str, Any]]:
        """Return the payments of a case; of a CTR case, all cash of the day."""
        if case.kind == "CTR":
            source: LiteralString = """
                from known_payment as paid left join case_payment
                    on case_payment.payment_id = paid.payment_id and kind = 'CTR'"""
            where: LiteralString = """
                where user_id = %(user_id)s and business_day = %(day)s and instrument = 'CASH'
                  and confirmed_at is not null"""
        else:
            source, where = _LINKED, " where case_id = %(case_id)s"
        return await self._tx.rows(
            _EVIDENCE + source + _CHECK + where + " order by at, payment_id limit %(most)s",
            case_id=case.id,
            user_id=case.user_id,
            day=case.business_day,
            most=MOST_EVIDENCE,
        )

    async def entries(self, case_id: UUID) -> Sequence[dict[str, Any]]:
        """Return the last entries of a case, the newest first."""
        return await self._tx.rows(
            """select id, at, by, act, text from case_entry where case_id = %(case_id)s
               order by at desc, id desc limit 500""",
            case_id=case_id,
        )

    async def notes(self, case_id: UUID) -> Sequence[str]:
        """Return the notes of a case, the oldest first."""
        rows = await self._tx.rows(
            """select text from case_entry
               where case_id = %(case_id)s and act = 'NOTED' order by at, id""",
            case_id=case_id,
        )
        return [row["text"] for row in rows]

    async def trail(
        self, after: tuple[datetime, UUID], limit: int, **wanted: Any
    ) -> Sequence[dict[str, Any]]:
        """Return entries of all cases, or of one, the oldest first."""
        at, entry_id = after
        return await self._tx.rows(
            """select case_entry.id, case_id, at, by, act, text
               from case_entry join review_case on review_case.id = case_id
               where (at, case_entry.id) > (%(at)s, %(id)s)
                 and lower(user_id) <> lower(%(hidden)s)
                 and (%(case_id)s::uuid is null or case_id = %(case_id)s)
               order by at, case_entry.id limit %(limit)s""",
            at=at,
            id=entry_id,
            limit=limit,
            **wanted,
        )

    async def add_entry(self, entry: Mapping[str, Any]) -> None:
        """Add what a person did, read or wrote."""
        await self._tx.run(
            """insert into case_entry (case_id, by, act, text)
               values (%(case_id)s, %(by)s, %(act)s, %(text)s)""",
            **entry,
        )


def evidence_of(rows: Sequence[Mapping[str, Any]]) -> Sequence[EvidencePayment]:
    """Return payments as drafts need them."""
    return [EvidencePayment(**{name: row[name] for name in _FACTS}) for row in rows]
