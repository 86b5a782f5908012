"""What routing has learned, and the log of its choices."""

from collections.abc import Sequence
from uuid import UUID

from charges.domain.routing import DISCOUNT, Arm, Choice, RouteRow
from service_runtime.postgres import PostgresTransaction, json_rows


class Routes:
    """Arms and choices within one transaction."""

    def __init__(self, tx: PostgresTransaction) -> None:
        self._tx = tx

    async def arms(self) -> dict[str, dict[str, Arm]]:
        """Return all arms, by segment and provider."""
        rows = await self._tx.rows("select segment, provider, successes, failures from route_arm")
        found: dict[str, dict[str, Arm]] = {}
        for row in rows:
            arm = Arm(row["successes"], row["failures"])
            found.setdefault(row["segment"], {})[row["provider"]] = arm
        return found

    async def log(self, choices: Sequence[tuple[UUID, int, Choice]]) -> None:
        """Keep choices with their propensities and reasons."""
        rows = [
            {
                "charge_id": charge_id,
                "attempt": attempt,
                "provider": choice.provider,
                "propensity": choice.propensity,
                "segment": choice.segment,
                "reasons": dict(choice.reasons),
            }
            for charge_id, attempt, choice in choices
        ]
        if rows:
            await self._tx.run(
                """insert into route_choice (charge_id, attempt, provider, propensity, segment,
                       reasons)
                   select charge_id, attempt, provider, propensity, segment, reasons
                   from json_populate_recordset(null::route_choice, %(rows)s::json)
                   on conflict do nothing""",
                rows=json_rows(rows),
            )

    async def learn(self, outcomes: Sequence[RouteRow]) -> None:
        """Add outcomes to the log and to the arms, which are discounted by each."""
        if not outcomes:
            return
        await self._tx.run(
            """update route_choice as old set is_success = new.is_success
               from json_populate_recordset(null::route_choice, %(rows)s::json) as new
               where old.charge_id = new.charge_id and old.attempt = new.attempt""",
            rows=json_rows([_row_of(one) for one in outcomes]),
        )
        # In the order of the key, so that two transactions do not deadlock.
        await self._tx.run(
            """with new as (
                   select segment, provider, count(*) filter (where is_success) as successes,
                       count(*) filter (where not is_success) as failures
                   from json_populate_recordset(null::route_choice, %(rows)s::json) group by 1, 2),
               aged as (select segment, sum(successes + failures)::float8 as outcomes
                        from new group by 1)
               insert into route_arm (segment, provider, successes, failures)
               select known.segment, known.provider, coalesce(new.successes, 0),
                   coalesce(new.failures, 0)
               from (select segment, provider from new union
                     select arm.segment, arm.provider from route_arm as arm
                     join aged on aged.segment = arm.segment) as known
               left join new on new.segment = known.segment and new.provider = known.provider
               order by 1, 2
               on conflict (segment, provider) do update
               set successes = excluded.successes + route_arm.successes * power(%(discount)s,
                       (select outcomes from aged where aged.segment = excluded.segment)),
                   failures = excluded.failures + route_arm.failures * power(%(discount)s,
                       (select outcomes from aged where aged.segment = excluded.segment)),
                   updated_at = clock_timestamp()""",
            rows=json_rows([_row_of(one) for one in outcomes]),
            discount=DISCOUNT,
        )


def _row_of(row: RouteRow) -> dict[str, object]:
    return {
        "charge_id": row.charge_id,
        "attempt": row.attempt,
        "segment": row.segment,
        "provider": row.provider,
        "is_success": row.is_success,
    }
