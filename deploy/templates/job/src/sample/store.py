"""Reports in PostgreSQL."""

from dataclasses import asdict
from typing import Any

from sample.domain import Report
from service_runtime.postgres import PostgresTransaction


class Reports:
    """Reports within one transaction."""

    def __init__(self, tx: PostgresTransaction) -> None:
        self._tx = tx

    async def add(self, report: Report) -> None:
        """Add a report; a run that is repeated for one due time adds nothing."""
        await self._tx.run(
            """insert into report (due_at, made_at, instance)
               values (%(due_at)s, %(made_at)s, %(instance)s) on conflict do nothing""",
            **asdict(report),
        )

    async def latest(self, limit: int) -> list[dict[str, Any]]:
        """Return the latest reports, newest first."""
        return await self._tx.rows(
            "select * from report order by due_at desc limit %(limit)s", limit=limit
        )
