"""Disputes in PostgreSQL."""

from uuid import UUID

from psycopg.rows import DictRow

from charges.domain.disputes import Dispute, DisputeNews, DisputeStatus
from charges.store.charges import Charges
from payment_schemas.money import Money
from service_runtime.postgres import PostgresTransaction


def dispute_of(row: DictRow) -> Dispute:
    """Return the dispute in a row of the table."""
    return Dispute(
        id=row["id"],
        charge_id=row["charge_id"],
        user_id=row["user_id"],
        provider=row["provider"],
        dispute_id=row["dispute_id"],
        money=Money(row["amount_minor"], row["currency"]),
        held_minor=row["held_minor"],
        reason=row["reason"],
        status=DisputeStatus(row["status"]),
    )


class Disputes:
    """Disputes within one transaction; a charge is locked before its disputes."""

    def __init__(self, tx: PostgresTransaction) -> None:
        self.tx = tx
        self.charges = Charges(tx)

    async def charge_of(self, provider: str, news: DisputeNews) -> UUID | None:
        """Return the charge whose payment at the provider is disputed."""
        rows = await self.tx.rows(
            """select id from charge
               where provider = %(provider)s and provider_reference = %(reference)s""",
            provider=provider,
            reference=news.provider_reference,
        )
        return rows[0]["id"] if rows else None

    async def lock(self, provider: str, dispute_id: str) -> Dispute | None:
        """Lock and return a provider's dispute."""
        rows = await self.tx.rows(
            """select * from dispute
               where provider = %(provider)s and dispute_id = %(dispute_id)s for update""",
            provider=provider,
            dispute_id=dispute_id,
        )
        return dispute_of(rows[0]) if rows else None

    async def save(self, dispute: Dispute) -> None:
        """Add a dispute, or write back its status."""
        await self.tx.run(
            """insert into dispute (id, charge_id, user_id, provider, dispute_id, amount_minor,
                   held_minor, currency, reason, status)
               values (%(id)s, %(charge_id)s, %(user_id)s, %(provider)s, %(dispute_id)s,
                   %(amount_minor)s, %(held_minor)s, %(currency)s, %(reason)s, %(status)s)
               on conflict (id) do update
               set status = excluded.status, updated_at = clock_timestamp()""",
            id=dispute.id,
            charge_id=dispute.charge_id,
            user_id=dispute.user_id,
            provider=dispute.provider,
            dispute_id=dispute.dispute_id,
            amount_minor=dispute.money.amount_minor,
            held_minor=dispute.held_minor,
            currency=dispute.money.currency,
            reason=dispute.reason,
            status=dispute.status,
        )
