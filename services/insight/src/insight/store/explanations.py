"""Explanations in PostgreSQL: a work table."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg.rows import DictRow

from insight.domain.explanation import Explanation
from insight.domain.shape import Shape, shape_from
from service_runtime.messages import Trace
from service_runtime.postgres import PostgresTransaction, json_rows

EXPLANATION_TABLE = "explanation"


@dataclass(frozen=True, slots=True)
class Assessed:
    """An assessed payment, to be explained."""

    id: UUID
    user_id: str
    transaction_id: str
    shape: Shape
    trace: Trace = ()


def assessed_of(row: DictRow) -> Assessed:
    """Return the payment in a row of the table."""
    return Assessed(row["id"], row["user_id"], row["transaction_id"], shape_from(row["shape"]))


class Explanations:
    """Explanations within one transaction."""

    def __init__(self, tx: PostgresTransaction) -> None:
        self._tx = tx

    async def add(self, new: Iterable[tuple[Assessed, Explanation | None]]) -> set[UUID]:
        """Add payments; without an explanation they are due. Return those that were not known."""
        rows = [
            {
                "id": one.id,
                "user_id": one.user_id,
                "transaction_id": one.transaction_id,
                "score": one.shape.score,
                "level": one.shape.level,
                "shape": one.shape.as_dict(),
                "trace": one.trace,
                **_words(explanation),
            }
            for one, explanation in sorted(new, key=lambda pair: pair[0].id)
        ]
        found = await self._tx.rows(
            """insert into explanation (id, user_id, transaction_id, score, level, shape, trace,
                   summary, recommendations, source, reason, explained_at, due_at)
               select id, user_id, transaction_id, score, level, shape, trace, summary,
                   recommendations, source, reason,
                   case when source is not null then clock_timestamp() end,
                   case when source is null then clock_timestamp() end
               from json_populate_recordset(null::explanation, %(rows)s::json)
               on conflict do nothing returning id""",
            rows=json_rows(rows),
        )
        return {row["id"] for row in found}

    async def finish(self, explained: Iterable[tuple[UUID, Explanation]]) -> None:
        """Write explanations of rows that were claimed; they are due no more."""
        rows = [{"id": row_id, **_words(explanation)} for row_id, explanation in explained]
        await self._tx.run(
            """update explanation as old
               set summary = new.summary, recommendations = new.recommendations,
                   source = new.source, reason = new.reason, explained_at = clock_timestamp(),
                   due_at = null, lease_until = null
               from json_populate_recordset(null::explanation, %(rows)s::json) as new
               where old.id = new.id""",
            rows=json_rows(rows),
        )

    async def of_payment(self, payment_id: UUID) -> list[DictRow]:
        """Return the explanation of a payment, or nothing."""
        return await self._tx.rows(
            """select id as payment_id, score, level, shape->'factors' as factors, summary,
                   recommendations, source, reason, explained_at
               from explanation where id = %(id)s""",
            id=payment_id,
        )

    async def of_user(self, user_id: str, transaction_id: str) -> list[DictRow]:
        """Return the explanation of a user's payment, or nothing."""
        return await self._tx.rows(
            """select transaction_id, score, level, shape->'factors' as factors, summary,
                   recommendations, source, explained_at
               from explanation
               where user_id = %(user_id)s and transaction_id = %(transaction_id)s""",
            user_id=user_id,
            transaction_id=transaction_id,
        )


def _words(explanation: Explanation | None) -> dict[str, Any]:
    if explanation is None:
        return {}
    texts: Sequence[str] = explanation.recommendations
    return {
        "summary": explanation.summary,
        "recommendations": texts,
        "source": explanation.source,
        "reason": explanation.reason,
    }
