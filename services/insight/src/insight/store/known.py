"""What the owners of payments see of them, as far as chat may answer from it."""

from collections.abc import Sequence
from typing import Any

from service_runtime.postgres import PostgresTransaction, json_rows


class KnownPayments:
    """Known payments within one transaction."""

    def __init__(self, tx: PostgresTransaction) -> None:
        self._tx = tx

    async def save(self, rows: Sequence[dict[str, Any]]) -> None:
        """Keep the state with the highest sequence of each payment, in whatever order they come."""
        latest: dict[Any, dict[str, Any]] = {}
        for row in sorted(rows, key=lambda one: one["sequence"]):
            latest[row["payment_id"]] = row
        ordered = sorted(latest.values(), key=lambda one: str(one["payment_id"]))
        await self._tx.run(
            """insert into known_payment as old
               select * from json_populate_recordset(null::known_payment, %(rows)s::json)
               on conflict (payment_id) do update set sequence = excluded.sequence,
                   status = excluded.status, settlement_status = excluded.settlement_status,
                   reason = excluded.reason, updated_at = excluded.updated_at
               where old.sequence < excluded.sequence""",
            rows=json_rows(ordered),
        )
