"""What operators read of charges: listings, one charge with its transfers, routing."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg.rows import DictRow

from charges.domain.evaluation import Logged
from service_runtime.postgres import REPORT, PostgresTransaction

FILTERS = ("status", "provider", "user_id")
MOST_CHOICES = 100_000
"""The newest that an evaluation reads: 20 MB, half a second."""


class Reading:
    """Reads within one transaction."""

    def __init__(self, tx: PostgresTransaction) -> None:
        self._tx = tx

    async def at_once(self) -> None:
        """Read what follows as of one moment; the first statement of the transaction."""
        await self._tx.run("set transaction isolation level repeatable read")

    async def charges(
        self, before: tuple[datetime, UUID], limit: int, **only: str | None
    ) -> list[DictRow]:
        """Return charges, the newest first; `only` may have status, provider and user_id."""
        given = [name for name in FILTERS if only.get(name) is not None]
        # Only what is given: a plan for any value of each would use none of their indexes.
        chosen = "".join(f" and {name} = %({name})s" for name in given)
        return await self._tx.rows(
            f"""select id, user_id, amount_minor, currency, status, review, provider, code,
                   captured_minor, refunding_minor, refunded_minor, created_at
               from charge
               where (created_at, id) < (%(at)s, %(id)s){chosen}
               order by created_at desc, id desc limit %(limit)s""",  # noqa: S608 - names of columns
            at=before[0],
            id=before[1],
            limit=limit,
            **{name: only[name] for name in given},
        )

    async def charge(self, charge_id: UUID) -> DictRow | None:
        """Return a charge's row, without the customer's address."""
        rows = await self._tx.rows(
            """select id, user_id, amount_minor, currency, source, status, goal, next_step, review,
                   outcome, may_retry, provider, attempt, tried, tries, version, code,
                   provider_reference, sent_at, captured_minor, refunding_minor, refunded_minor,
                   disputed_minor, contradicted_at, created_at, updated_at, due_at, parked_at,
                   last_error
               from charge where id = %(id)s""",
            id=charge_id,
        )
        return rows[0] if rows else None

    async def transfers(self, charge_id: UUID) -> list[DictRow]:
        """Return the transfers of a charge and of its refunds, the oldest first."""
        return await self._tx.rows(
            """select kind, debit_account, credit_account, amount_minor, currency, posted_at
               from transfer
               where source_id = %(id)s
                  or source_id in (select id from refund where charge_id = %(id)s
                                   union all select id from dispute where charge_id = %(id)s)
               order by posted_at, kind""",
            id=charge_id,
        )

    async def disputes_of(self, charge_id: UUID) -> list[DictRow]:
        """Return the disputes of a charge, the oldest first."""
        return await self._tx.rows(
            """select dispute_id, amount_minor, held_minor, currency, reason, status, opened_at,
                   updated_at
               from dispute where charge_id = %(id)s order by opened_at, id""",
            id=charge_id,
        )

    async def choices_of(self, charge_id: UUID) -> list[DictRow]:
        """Return the choices of a provider for a charge."""
        return await self._tx.rows(
            """select attempt, provider, propensity, segment, reasons, is_success, chosen_at
               from route_choice where charge_id = %(id)s order by attempt""",
            id=charge_id,
        )

    async def arms(self, now: datetime, hours: int) -> list[DictRow]:
        """Return what routing knows of each provider by segment, and its choices of late."""
        return await self._tx.rows(
            """with late as (
                   select segment, provider, count(*) as choices,
                       count(*) filter (where is_success) as succeeded,
                       count(*) filter (where is_success is not null) as known
                   from route_choice where chosen_at >= %(since)s group by 1, 2)
               select segment, provider, coalesce(arm.successes, 0) as successes,
                   coalesce(arm.failures, 0) as failures, coalesce(late.choices, 0) as choices,
                   coalesce(late.succeeded, 0) as succeeded, coalesce(late.known, 0) as known
               from route_arm as arm full join late using (segment, provider)
               order by segment, provider limit 1000""",
            since=now - timedelta(hours=hours),
        )

    async def logged(self, since: datetime) -> list[Logged]:
        """Return the first choices of charges with their outcomes, the newest first.

        A hard decline has no outcome: it is the card's, whichever provider had been chosen. Later
        attempts are left out: which providers are left for them follows from the first.
        """
        await self._tx.use(REPORT)
        rows = await self._tx.rows(
            """select charge_id, segment, provider, propensity, reasons, is_success
               from route_choice
               where chosen_at >= %(since)s and attempt = 1 and is_success is not null
               order by chosen_at desc limit %(most)s""",
            since=since,
            most=MOST_CHOICES,
        )
        return [_logged(row) for row in rows]


def _logged(row: dict[str, Any]) -> Logged:
    eligible = [name for name, reason in row["reasons"].items() if isinstance(reason, dict)]
    return Logged(
        charge_id=row["charge_id"],
        segment=row["segment"],
        provider=row["provider"],
        propensity=row["propensity"],
        eligible=tuple(sorted(eligible)),
        is_success=row["is_success"],
    )
