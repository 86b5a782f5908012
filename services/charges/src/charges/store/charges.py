"""Charges in PostgreSQL: the work table, and the postings of their captures."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from psycopg.rows import DictRow

from charges.domain.answers import outcome_of
from charges.domain.charge import Charge, Goal, Status, Step
from charges.domain.postings import INTERNAL
from double_entry.rules import Ledger, Transfer
from double_entry.store import PostgresLedger
from payment_schemas.money import Money
from service_runtime.lanes import Place
from service_runtime.messages import Trace
from service_runtime.postgres import PostgresTransaction, json_rows
from service_runtime.work_table import hand_over

CHARGE_TABLE = "charge"

_SAVE: LiteralString = """
    update charge as old
    set status = new.status, goal = new.goal, next_step = new.next_step, review = new.review,
        outcome = coalesce(old.outcome, new.outcome), provider = new.provider,
        attempt = new.attempt, tried = new.tried, tries = new.tries, version = new.version,
        code = new.code, provider_reference = new.provider_reference, sent_at = new.sent_at,
        captured_minor = new.captured_minor, refunding_minor = new.refunding_minor,
        refunded_minor = new.refunded_minor, disputed_minor = new.disputed_minor,
        due_at = new.due_at,
        -- A repeat of a call has the same address; afterwards nobody needs it.
        email = case when new.status in ('CREATED', 'AUTHORIZING', 'UNKNOWN', 'AUTHORIZED')
                     then old.email else '' end,
        lease_until = case when %(ends_lease)s then null else old.lease_until end,
        updated_at = case when old.version = new.version then old.updated_at
                          else clock_timestamp() end
    from json_populate_recordset(null::charge, %(rows)s::json) as new where old.id = new.id"""


def charge_of(row: DictRow) -> Charge:
    """Return the charge in a row of the table."""
    return Charge(
        id=row["id"],
        user_id=row["user_id"],
        money=Money(row["amount_minor"], row["currency"]),
        source=row["source"],
        email=row["email"],
        created_at=row["created_at"],
        due_at=row["due_at"],
        status=Status(row["status"]),
        goal=Goal(row["goal"]),
        next_step=Step(row["next_step"]),
        review=row["review"],
        may_retry=row["may_retry"],
        provider=row["provider"],
        attempt=row["attempt"],
        tried=tuple(row["tried"]),
        tries=row["tries"],
        version=row["version"],
        code=row["code"],
        provider_reference=row["provider_reference"],
        sent_at=row["sent_at"],
        captured_minor=row["captured_minor"],
        refunding_minor=row["refunding_minor"],
        refunded_minor=row["refunded_minor"],
        disputed_minor=row["disputed_minor"],
    )


def _row_of(charge: Charge) -> dict[str, Any]:
    return {
        "id": charge.id,
        "status": charge.status,
        "goal": charge.goal,
        "next_step": charge.next_step,
        "review": charge.review,
        "outcome": outcome_of(charge),
        "provider": charge.provider,
        "attempt": charge.attempt,
        "tried": charge.tried,
        "tries": charge.tries,
        "version": charge.version,
        "code": charge.code,
        "provider_reference": charge.provider_reference,
        "sent_at": charge.sent_at,
        "captured_minor": charge.captured_minor,
        "refunding_minor": charge.refunding_minor,
        "refunded_minor": charge.refunded_minor,
        "disputed_minor": charge.disputed_minor,
        "due_at": charge.due_at,
    }


class Charges:
    """Charges within one transaction."""

    def __init__(self, tx: PostgresTransaction) -> None:
        self.tx = tx

    async def add(
        self, charge: Charge, metadata: Mapping[str, Any], trace: Trace, place: Place | None = None
    ) -> None:
        """Add a charge, due at once: it begins in its place after the commit, or by a claim."""
        row = _row_of(charge) | {
            "user_id": charge.user_id,
            "amount_minor": charge.money.amount_minor,
            "currency": charge.money.currency,
            "source": charge.source,
            "email": charge.email,
            "metadata": metadata,
            "may_retry": charge.may_retry,
            "created_at": charge.created_at,
            "trace": trace,
        }
        await self.tx.run(
            """insert into charge (id, user_id, amount_minor, currency, source, email, metadata,
                   status, goal, next_step, review, may_retry, attempt, tried, tries, version,
                   created_at, updated_at, due_at, trace, epoch, attempts, owner, lease_until)
               select id, user_id, amount_minor, currency, source, email, metadata, status, goal,
                   next_step, review, may_retry, attempt, tried, tries, version, created_at,
                   created_at, due_at, trace, %(epoch)s, %(epoch)s,
                   case %(epoch)s when 1 then %(owner)s end,
                   case %(epoch)s when 1
                       then clock_timestamp() + make_interval(secs => %(lease_s)s) end
               from json_populate_recordset(null::charge, %(rows)s::json)""",
            rows=json_rows([row]),
            epoch=int(place is not None),
            owner=self.tx.owner,
            lease_s=place.lease_s if place else 0.0,
        )
        hand_over(self.tx, [charge.id], [(charge.id, charge, trace, place)])

    async def lock(self, ids: Iterable[UUID]) -> dict[UUID, Charge]:
        """Lock and return charges as they are now."""
        rows = await self.tx.rows(
            """select * from charge
               where id in (select value::uuid from json_array_elements_text(%(ids)s::json))
               order by id for update""",
            ids=json_rows(sorted({str(one) for one in ids})),
        )
        return {row["id"]: charge_of(row) for row in rows}

    async def locked(self, charge_id: UUID, user_id: str) -> Charge | None:
        """Lock and return a user's charge."""
        found = (await self.lock([charge_id])).get(charge_id)
        return found if found and found.user_id == user_id else None

    async def found(self, charge_id: UUID, user_id: str) -> tuple[Charge, DictRow] | None:
        """Return a user's charge, and its row."""
        rows = await self.tx.rows(
            "select * from charge where id = %(id)s and user_id = %(user_id)s",
            id=charge_id,
            user_id=user_id,
        )
        return (charge_of(rows[0]), rows[0]) if rows else None

    async def save(self, charges: Sequence[Charge], *, ends_lease: bool = False) -> None:
        """Write back charges that were locked."""
        if charges:
            rows = json_rows([_row_of(one) for one in sorted(charges, key=lambda one: one.id)])
            await self.tx.run(_SAVE, rows=rows, ends_lease=ends_lease)

    async def contradict(self, ids: Sequence[UUID]) -> None:
        """Mark charges whose provider contradicts what was decided, for people to see."""
        if ids:
            await self.tx.run(
                """update charge set contradicted_at = coalesce(contradicted_at, now())
                   where id in (select value::uuid from json_array_elements_text(%(ids)s::json))""",
                ids=json_rows([str(one) for one in ids]),
            )

    async def post(self, transfers: Iterable[Transfer]) -> None:
        """Post transfers; all of their accounts are internal."""
        ledger = Ledger({}, INTERNAL)
        for transfer in transfers:
            ledger.post(transfer)
        await PostgresLedger(self.tx).post(ledger)

    async def is_new(self, provider: str, event_id: str) -> bool:
        """Keep a webhook's id; return whether it was not there."""
        added = await self.tx.rows(
            """insert into provider_event (provider, event_id) values (%(provider)s, %(id)s)
               on conflict do nothing returning event_id""",
            provider=provider,
            id=event_id,
        )
        return bool(added)

    async def in_review(self, after: tuple[datetime, UUID], limit: int) -> list[DictRow]:
        """Return charges that a person is to review, the oldest first."""
        return await self.tx.rows(
            """select id, user_id, amount_minor, currency, status, review, provider, created_at
               from charge
               where review in ('LISTED', 'HELD') and (created_at, id) > (%(at)s, %(id)s)
               order by created_at, id limit %(limit)s""",
            at=after[0],
            id=after[1],
            limit=limit,
        )
