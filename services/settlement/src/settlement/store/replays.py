"""Replays: which instructions of a partner on Kafka are published again on request."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from service_runtime.postgres import PostgresTransaction
from settlement.domain import Instruction
from settlement.store.rows import instruction_of


@dataclass(frozen=True, slots=True)
class Replay:
    """A replay in progress: it goes on behind its position, up to `until`."""

    partner: str
    actor: str
    until: datetime
    position_at: datetime
    position_id: UUID
    published: int = 0


class PostgresReplays:
    """Replays in one transaction."""

    def __init__(self, tx: PostgresTransaction) -> None:
        self._tx = tx

    async def begin(self, replay: Replay) -> bool:
        """Begin a replay; return whether the partner has none in progress."""
        rows = await self._tx.rows(
            """insert into partner_replay as old (partner, actor, until, position_at, position_id)
               values (%(partner)s, %(actor)s, %(until)s, %(position_at)s, %(position_id)s)
               on conflict (partner) do update
               set actor = excluded.actor, until = excluded.until, published = 0,
                   position_at = excluded.position_at, position_id = excluded.position_id,
                   finished_at = null
               where old.finished_at is not null
               returning partner""",
            partner=replay.partner,
            actor=replay.actor,
            until=replay.until,
            position_at=replay.position_at,
            position_id=replay.position_id,
        )
        return bool(rows)

    async def due(self, every_s: float) -> list[Replay]:
        """Return and lock the replays whose last step was so long ago, of any instance."""
        rows = await self._tx.rows(
            """select partner, actor, until, position_at, position_id, published
               from partner_replay
               where finished_at is null
                 and stepped_at <= now() - make_interval(secs => %(every_s)s)
               order by partner for update skip locked""",
            every_s=every_s,
        )
        return [Replay(**row) for row in rows]

    async def next(self, replay: Replay, limit: int) -> Sequence[Instruction]:
        """Return the next instructions that the bank may book, in the order of publication.

        Neither what is REJECTED, whose money went back, nor what people are deciding about.
        """
        rows = await self._tx.rows(
            """select * from instruction
               where partner = %(partner)s and next_step in ('PUBLISH', 'AWAIT')
                 and sent_at is not null and (sent_at, id) > (%(at)s, %(id)s)
                 and sent_at <= %(until)s and status in ('SENT', 'SETTLED')
               order by sent_at, id limit %(limit)s""",
            partner=replay.partner,
            at=replay.position_at,
            id=replay.position_id,
            until=replay.until,
            limit=limit,
        )
        return [instruction_of(row) for row in rows]

    async def save(self, replay: Replay, *, is_finished: bool) -> None:
        """Save the position of a replay."""
        await self._tx.run(
            """update partner_replay
               set position_at = %(at)s, position_id = %(id)s, published = %(published)s,
                   stepped_at = clock_timestamp(),
                   finished_at = case when %(is_finished)s then clock_timestamp() end
               where partner = %(partner)s""",
            partner=replay.partner,
            at=replay.position_at,
            id=replay.position_id,
            published=replay.published,
            is_finished=is_finished,
        )
