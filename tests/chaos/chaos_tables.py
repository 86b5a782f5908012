"""Counts read directly from the tables."""

from typing import Any, LiteralString

import psycopg
from chaos_arena import GROUPS, Arena
from psycopg import sql

EFFECTS: dict[str, LiteralString] = {
    "transfers": "select count(*) from confirm.transfer",
    "steps of payments": "select coalesce(sum(version), 0) from confirm.payment_state",
    "steps of settlements": "select coalesce(sum(version), 0) from settlement.instruction",
    "deliveries": "select count(*) from notification.delivery",
    "challenges": "select count(*) from otp.challenge",
    "attempts": "select coalesce(sum(attempts), 0) from otp.challenge",
    "assessments": "select count(*) from risk.assessment",
    "audit entries": "select count(*) from audit.audit_log",
}
"""The counts that a replayed record must not change."""

NEVER: dict[str, LiteralString] = {
    "I10 more than five attempts of a challenge": """
        select challenge_id::text from otp.verification where counted
        group by 1 having count(*) > 5""",
    "I10 more than fifteen attempts of a payment": """
        select payment_id::text from otp.verification where counted
        group by 1 having count(*) > 15""",
    "I10 more than one accepted code of a payment": """
        select payment_id::text from otp.verification where result = 'valid'
        group by 1 having count(*) > 1""",
    # A killed PostgreSQL loses its statistics, so they count from its last start.
    "a deadlock in the database": """
        select deadlocks::text from pg_stat_database
        where datname = current_database() and deadlocks > 0""",
}


async def rows(arena: Arena, statement: LiteralString | sql.Composed) -> list[Any]:
    """Return the result of a statement, as the superuser."""
    dsn = arena.stack.description().admin_dsn
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        found = await connection.execute(statement)
        return await found.fetchall() if found.description else []


async def effects(arena: Arena) -> dict[str, int]:
    """Count all effects in the system and at the banks."""
    counted = {name: int((await rows(arena, one))[0][0]) for name, one in EFFECTS.items()}
    return counted | {"movements at banks": len(await arena.edge.statement())}


async def never(arena: Arena) -> list[str]:
    """Return forbidden rows of the tables."""
    return [f"{name}: {row[0]}" for name, one in NEVER.items() for row in await rows(arena, one)]


async def dead_letters(arena: Arena) -> int:
    """Count the dead letters."""
    found = 0
    for reader in GROUPS:
        table = sql.Identifier(reader, "dead_letter")
        found += (await rows(arena, sql.SQL("select count(*) from {}").format(table)))[0][0]
    return found


async def forget_offsets(arena: Arena, tables: str) -> None:
    """Empty every service's tables of what it has consumed: only natural keys detect repeats."""
    arena.log.fault("purge", what=tables)
    for service in GROUPS:
        names = [sql.Identifier(service, table) for table in tables.split(", ")]
        await rows(arena, sql.SQL("truncate {}").format(sql.SQL(", ").join(names)))
