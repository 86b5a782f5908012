"""The states of identity checks that compliance has announced."""

from collections.abc import Mapping, Sequence

from payment_schemas.events.kyc import KycStatusChanged
from payment_schemas.events.risk import KycStatus
from service_runtime.postgres import PostgresTransaction, json_rows


class KnownIdentities:
    """Announced states within one transaction."""

    def __init__(self, tx: PostgresTransaction) -> None:
        self._tx = tx

    async def announce(self, events: Sequence[KycStatusChanged]) -> None:
        """Keep the last event of each user, in whatever order they are read."""
        last = {one.user_id: one for one in sorted(events, key=lambda one: one.version)}
        await self._tx.run(
            """insert into kyc_status as known (user_id, version, status, valid_until)
               select user_id, version, status, valid_until
               from json_populate_recordset(null::kyc_status, %(rows)s::json) order by user_id
               on conflict (user_id) do update
               set version = excluded.version, status = excluded.status,
                   valid_until = excluded.valid_until
               where known.version < excluded.version""",
            rows=json_rows([one.model_dump(mode="json") for one in last.values()]),
        )


async def known_statuses(
    tx: PostgresTransaction, user_ids: Sequence[str]
) -> Mapping[str, KycStatus]:
    """Return the announced states of users as of now: a verification ends by itself."""
    rows = await tx.rows(
        """select user_id,
                  case when status = 'verified' and valid_until <= now() then 'expired'
                       else status end as status
           from kyc_status
           where user_id in (select value from json_array_elements_text(%(ids)s::json))""",
        ids=json_rows(list(user_ids)),
    )
    return {row["user_id"]: row["status"] for row in rows}
