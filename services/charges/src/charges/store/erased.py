"""Erased persons, and their cards that no open payment needs."""

from collections.abc import Collection

from charges.domain.cards import Card
from charges.store.cards import card_of
from service_runtime.postgres import PostgresTransaction


class ErasedSubjects:
    """Erased persons within one transaction."""

    def __init__(self, tx: PostgresTransaction) -> None:
        self.tx = tx

    async def add(self, user_ids: Collection[str]) -> None:
        """Note that users were erased; may be repeated."""
        await self.tx.run(
            """insert into erased_subject (user_id) select unnest(%(users)s::text[])
               on conflict do nothing""",
            users=sorted(set(user_ids)),
        )

    async def cards(self, limit: int) -> list[Card]:
        """Lock and return cards of erased users that no open payment needs."""
        rows = await self.tx.rows(
            """select card.* from card join erased_subject using (user_id)
               where deleted_at is null and not exists (
                   select from charge where source = card.token
                   and status in ('CREATED', 'AUTHORIZING', 'UNKNOWN', 'AUTHORIZED'))
               order by card.id limit %(limit)s for update of card""",
            limit=limit,
        )
        return [card_of(row) for row in rows]
