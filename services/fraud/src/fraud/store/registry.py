"""Versions of models and their stages."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from fraud.domain.scoring import Card
from fraud.domain.stages import Registered, Step
from service_runtime.postgres import PostgresTransaction, json_rows


class Registry:
    """The registry within one transaction."""

    def __init__(self, tx: PostgresTransaction) -> None:
        self._tx = tx

    async def add(self, card: Card) -> None:
        """Register a version, as a shadow; the first one of an empty registry is live."""
        await self._tx.run(
            """insert into model (version, stage, share, card, live_since)
               select %(version)s, case when first then 'LIVE' else 'SHADOW' end,
                      case when first then 100 else 0 end, %(card)s::jsonb,
                      case when first then now() end
               from (select %(is_first)s and not exists (select from model) as first) as asked
               on conflict do nothing""",
            version=card.version,
            card=json_rows(card.summary()),
            is_first=card.is_first,
        )

    async def models(self) -> list[Registered]:
        """Return all versions."""
        rows = await self._tx.rows(
            """select version, stage, share, card->'figures' as figures, live_since
               from model order by version"""
        )
        return [Registered(**row) for row in rows]

    async def locked(self) -> list[Registered]:
        """Return all versions; nobody else changes a stage until the transaction ends."""
        await self._tx.run("select pg_advisory_xact_lock(hashtext('fraud.model'))")
        return await self.models()

    async def cards(self) -> list[dict[str, Any]]:
        """Return all versions as operators read them."""
        return await self._tx.rows(
            """select version, stage, share, card, registered_at, live_since
               from model order by registered_at, version"""
        )

    async def take(self, steps: Sequence[Step], at: datetime) -> None:
        """Take steps. The database refuses a step up without two people."""
        for step in steps:
            await self._tx.run(
                """update model set stage = %(stage)s, share = %(share)s,
                          live_since = case when %(stage)s = 'LIVE' then %(at)s else live_since end
                   where version = %(version)s""",
                version=step.version,
                stage=step.stage,
                share=step.share,
                at=at,
            )
