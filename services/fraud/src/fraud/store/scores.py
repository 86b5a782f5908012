"""Scores that were given, and what became of their payments."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from fraud.domain.features import FEATURES
from fraud.domain.monitoring import Pairs
from service_runtime.postgres import REPORT, PostgresTransaction, json_rows

MOST_SAMPLED = 5_000
"""Scores of one measurement of drift."""
_LABELLED = """
    labelled as (
        select version, payment_id, probability,
               (report.payment_id is not null)::int as fraud
        from score join paid using (payment_id) left join report using (payment_id)
        where scored_at >= %(since)s
          and (report.payment_id is not null or confirmed_at < %(mature)s))"""
"""Scores of confirmed payments whose frauds are known by now."""


@dataclass(frozen=True, slots=True)
class Scored:
    """A version's score of a payment."""

    payment_id: UUID
    version: str
    decides: bool
    user_id: str
    probability: float
    reasons: tuple[str, ...]
    features: tuple[float, ...]
    scored_at: datetime


@dataclass(frozen=True, slots=True)
class Sample:
    """Recent scores of a version."""

    features: NDArray[np.float32]
    probabilities: NDArray[np.float32]


class Scores:
    """Scores within one transaction."""

    def __init__(self, tx: PostgresTransaction) -> None:
        self._tx = tx

    async def add(self, scores: Sequence[Scored]) -> None:
        """Keep scores, the first of a payment and version. A crash may lose the last ones."""
        await self._tx.run("set local synchronous_commit = off")
        await self._tx.run(
            """insert into score (payment_id, version, decides, user_id, probability, reasons,
                                  features, scored_at)
               select payment_id, version, decides, user_id, probability, reasons, features,
                      scored_at
               from json_populate_recordset(null::score, %(rows)s::json)
               order by payment_id, version on conflict do nothing""",
            rows=json_rows(scores),
        )

    async def decided(self, payment_id: UUID) -> dict[str, Any] | None:
        """Return the score of a payment that risk was given."""
        rows = await self._tx.rows(
            """select version, probability, reasons, features, scored_at from score
               where payment_id = %(payment_id)s and decides""",
            payment_id=payment_id,
        )
        return rows[0] if rows else None

    async def sample(self, version: str, since: datetime) -> Sample:
        """Return a version's recent scores."""
        rows = await self._tx.rows(
            """select features, probability from score
               where version = %(version)s and scored_at >= %(since)s
               order by scored_at desc limit %(most)s""",
            version=version,
            since=since,
            most=MOST_SAMPLED,
        )
        features = [row["features"] for row in rows] or np.empty((0, len(FEATURES)))
        return Sample(
            np.array(features, dtype=np.float32),
            np.array([row["probability"] for row in rows], dtype=np.float32),
        )

    async def outcomes(self, since: datetime, mature: datetime) -> list[dict[str, Any]]:
        """Return by version: payments whose truth is known, expected and found frauds, Brier."""
        await self._tx.use(REPORT)
        return await self._tx.rows(
            f"""with {_LABELLED}
               select version, count(*) as payments, sum(probability) as expected,
                      sum(fraud)::int as found, avg((probability - fraud) ^ 2) as brier
               from labelled group by version order by version""",  # noqa: S608 - constants
            since=since,
            mature=mature,
        )

    async def pairs(
        self, challenger: str, champion: str, since: datetime, mature: datetime
    ) -> Pairs:
        """Return the difference of two versions over the payments that both have scored."""
        await self._tx.use(REPORT)
        (row,) = await self._tx.rows(
            f"""with {_LABELLED},
               pairs as (
                   select (one.probability - fraud) ^ 2 - (other.probability - fraud) ^ 2 as less
                   from labelled as one join labelled as other using (payment_id, fraud)
                   where one.version = %(challenger)s and other.version = %(champion)s)
               select count(*) as count, coalesce(avg(less), 0)::float as mean,
                      coalesce(var_samp(less), 0)::float as variance
               from pairs""",  # noqa: S608 - constants
            challenger=challenger,
            champion=champion,
            since=since,
            mature=mature,
        )
        return Pairs(**row)
