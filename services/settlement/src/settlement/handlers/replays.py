"""Replays: instructions that an operator has published again, at a bounded rate."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from payment_schemas.events.record import AuditRecorded
from service_runtime.clock import Clock
from service_runtime.messages import Cause, Emit, ProducerRecord
from settlement.domain import Instruction
from settlement.domain.partners import KafkaPartner, may_be_replayed
from settlement.domain.reconciliation import SERVICE
from settlement.handlers.publishing import Outlet
from settlement.handlers.reconciliation import RunInTransaction
from settlement.store import PostgresInstructions, PostgresPartners, PostgresReplays, Replay

STEP_S = 1.0
STEP_RECORDS = 200
"""Records a second to one partner: new instructions still go out in between."""
_FIRST = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Replays:
    """Publishes again what an operator asks for."""

    outlet: Outlet
    run_in_transaction: RunInTransaction
    clock: Clock

    async def one(self, tx: Any, profile: KafkaPartner, uetr: UUID) -> ProducerRecord | str:
        """Return the record of an instruction, or why it is not published again."""
        found = (await PostgresInstructions(tx).lock([uetr])).get(uetr)
        row = found.instruction if found else None
        if found is None or row is None or row.partner != profile.partner or row.sent_at is None:
            return "the partner was never sent this UETR over Kafka"
        if not may_be_replayed(row):
            return f"the transfer is {row.status}: the bank must not book it"
        return self.outlet.record_of(row, profile, found.trace).record

    async def begin(self, tx: Any, partner: str, actor: str, since: datetime) -> str | None:
        """Begin to publish what was published since then; return why not, if it cannot begin."""
        replay = Replay(partner, actor, self.clock.now(), since, _FIRST)
        began = await PostgresReplays(tx).begin(replay)
        return None if began else "a replay of this partner is in progress"

    async def step(self) -> None:
        """Publish the next records of each replay."""
        await self.run_in_transaction(self._step)

    async def _step(self, tx: Any) -> Sequence[ProducerRecord]:
        replays = PostgresReplays(tx)
        due = await replays.due(STEP_S)
        profiles = await PostgresPartners(tx).hold([replay.partner for replay in due])
        records: list[ProducerRecord] = []
        for replay in due:
            profile = profiles[replay.partner]
            if profile.is_suspended:
                continue
            rows = await replays.next(replay, STEP_RECORDS)
            records += [self.outlet.record_of(row, profile, ()).record for row in rows]
            moved, is_finished = _moved_on(replay, rows), len(rows) < STEP_RECORDS
            await replays.save(moved, is_finished=is_finished)
            records += [self._finished(moved)] if is_finished else []
        return records

    def _finished(self, replay: Replay) -> ProducerRecord:
        event = AuditRecorded(
            actor=replay.actor,
            action="PARTNER_REPLAYED",
            about=replay.partner,
            metadata={"published": str(replay.published), "until": replay.until.isoformat()},
        )
        return Emit(event, Cause(self.clock.new_id())).outgoing(SERVICE, self.clock.now())


def _moved_on(replay: Replay, rows: Sequence[Instruction]) -> Replay:
    if not rows:
        return replay
    last, published = rows[-1], replay.published + len(rows)
    position_at = last.sent_at or replay.position_at
    return replace(
        replay, position_at=position_at, position_id=last.payment_id, published=published
    )
