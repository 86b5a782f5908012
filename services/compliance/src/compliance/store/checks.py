"""Checks, and users under monitoring."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from compliance.domain.checks import Check
from service_runtime.postgres import PostgresTransaction, json_rows


class Checks:
    """Checks within one transaction."""

    def __init__(self, tx: PostgresTransaction) -> None:
        self._tx = tx

    async def add(self, checks: Sequence[Check]) -> None:
        """Keep checks."""
        await self._tx.run(
            """insert into compliance_check (id, user_id, payment_id, type, status, rules, results,
                                             metadata, by)
               select id, user_id, payment_id, type, status, rules, results, metadata, by
               from json_populate_recordset(null::compliance_check, %(rows)s::json)""",
            rows=json_rows([asdict(one) for one in checks]),
        )

    async def found(self, check_id: UUID) -> dict[str, Any] | None:
        """Return a check."""
        rows = await self._tx.rows(
            """select id, user_id, payment_id, type, status, rules, results, metadata,
                      created_at
               from compliance_check where id = %(id)s""",
            id=check_id,
        )
        return rows[0] if rows else None

    async def monitor(self, user_id: str, reason: str, by: str, until: datetime | None) -> None:
        """Put a user under monitoring, or change its end and reason."""
        await self._tx.run(
            """insert into monitored_user (user_id, reason, started_by, until)
               values (%(user_id)s, %(reason)s, %(by)s, %(until)s)
               on conflict (user_id) do update
               set reason = excluded.reason, started_by = excluded.started_by,
                   started_at = now(), until = excluded.until""",
            user_id=user_id,
            reason=reason,
            by=by,
            until=until,
        )
