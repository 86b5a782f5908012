"""Compliance is away while risk asks it about payments under load: none is confirmed unruled."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
from chaos_arena import Arena, NotHealedError, until

from local_stack import discovery

AWAY_S = 8.0
"""Longer than the rules of a batch may take (1.5 s), and than a breaker's window."""
DECIDED_WITHIN_S = 120


async def compliance_away(arena: Arena, count: int) -> str:
    """Start compliance, let it stand still and be killed, and stop it when all is decided."""
    await asyncio.to_thread(_start, arena)
    try:
        began = datetime.now(UTC)
        for _ in range(count):
            await arena.pause("compliance", 0, AWAY_S)
            await arena.kill("compliance")
        ended = datetime.now(UTC)
        return await _judged(arena, began, ended)
    finally:
        await asyncio.to_thread(_stop, arena)


def _start(arena: Arena) -> None:
    arena.stack.start_services(["compliance"])
    arena.stack.refresh()


def _stop(arena: Arena) -> None:
    arena.stack.stop_process("compliance")
    del arena.stack.instances["compliance"]
    arena.stack.refresh()
    # Commands read where the services are: no longer compliance, whose group they would check.
    discovery.describe(arena.stack.layout, arena.stack.description())


async def _judged(arena: Arena, began: datetime, ended: datetime) -> str:
    """Compare what confirm has confirmed of that time with what compliance has checked."""

    async def decided() -> bool:
        rows = await asyncio.to_thread(_payments, arena, began, ended)
        return all(status != "AWAITING_RISK" for _, status in rows)

    await until(decided, DECIDED_WITHIN_S, "payments still wait for their rules")
    rows = await asyncio.to_thread(_payments, arena, began, ended)
    checked = await asyncio.to_thread(_checked, arena)
    confirmed = {payment for payment, status in rows if status == "CONFIRMED"}
    if unruled := confirmed - checked:
        raise NotHealedError(f"{len(unruled)} payments were confirmed without their rules")
    if not confirmed:
        raise NotHealedError("no payment was confirmed: nothing was shown")
    return f"{len(confirmed)} payments confirmed meanwhile, all by the rules"


def _payments(arena: Arena, began: datetime, ended: datetime) -> Sequence[tuple[UUID, str]]:
    statement = """select payment.id, status
                   from confirm.payment join confirm.payment_state using (id)
                   where created_at between %s and %s"""
    return [(row[0], row[1]) for row in _rows(arena, "confirm", statement, (began, ended))]


def _checked(arena: Arena) -> set[UUID]:
    statement = "select payment_id from compliance.compliance_check where payment_id is not null"
    return {row[0] for row in _rows(arena, "compliance", statement, ())}


def _rows(arena: Arena, service: str, statement: Any, given: Sequence[Any]) -> list[Any]:
    with psycopg.connect(arena.stack.description().owner_dsn(service)) as owner:
        return owner.execute(statement, given).fetchall()
