"""Otp's tables in PostgreSQL."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from otp.domain import Challenge, Payment, Question, SecretHash, State, Verdict
from otp.store.port import CHECKED, CHECKED_FOR, COUNTED, LISTED, Verification, findings
from payment_schemas.ids import ChallengeId, PaymentId, RequestId
from service_runtime.postgres import PostgresTransaction, json_rows


def _sorted_rows(challenges: Iterable[Challenge]) -> str:
    """One order for all writers: two batches that meet wait for each other, never in a circle."""
    return json_rows([_row(one) for one in sorted(challenges, key=lambda one: str(one.id))])


def _row(challenge: Challenge) -> dict[str, Any]:
    payment = challenge.payment
    return {
        "id": challenge.id,
        "payment_id": payment.payment_id,
        "number": challenge.number,
        "user_id": payment.user_id,
        "amount_minor": payment.amount_minor,
        "currency": payment.currency,
        "payee": payment.payee,
        "salt": challenge.secret.salt,
        "digest": challenge.secret.digest,
        "expires_at": challenge.expires_at,
        "attempts": challenge.attempts,
        "state": challenge.state,
    }


def _challenge(row: Mapping[str, Any]) -> Challenge:
    payment = Payment(
        PaymentId(row["payment_id"]),
        row["user_id"],
        row["amount_minor"],
        row["currency"],
        row["payee"],
    )
    return Challenge(
        payment,
        row["number"],
        SecretHash(row["salt"], row["digest"]),
        row["expires_at"],
        row["attempts"],
        State(row["state"]),
        row["superseded"],
    )


class PostgresChallenges:
    """Challenges and verifications in PostgreSQL."""

    def __init__(self, tx: PostgresTransaction) -> None:
        self._tx = tx

    async def add(self, challenges: Sequence[Challenge]) -> set[ChallengeId]:
        found = await self._tx.rows(
            """with added as (
                   insert into challenge (id, payment_id, number, user_id, amount_minor, currency,
                                          payee, salt, digest, expires_at)
                   select id, payment_id, number, user_id, amount_minor, currency, payee, salt,
                          digest, expires_at
                   from json_populate_recordset(null::challenge, %(rows)s::json)
                   on conflict do nothing returning id, payment_id, number)
               -- A statement does not see its own inserts in the table: both are asked.
               select id from added
               where not exists (select from challenge as later
                                 where later.payment_id = added.payment_id
                                   and later.number > added.number)
                 and not exists (select from added as later
                                 where later.payment_id = added.payment_id
                                   and later.number > added.number)""",
            rows=_sorted_rows(challenges),
        )
        return {ChallengeId(row["id"]) for row in found}

    async def lock(self, ids: Collection[ChallengeId]) -> Mapping[ChallengeId, Challenge]:
        found = await self._tx.rows(
            """select one.*, exists (select from challenge as later
                                     where later.payment_id = one.payment_id
                                       and later.number > one.number) as superseded
               from challenge as one
               where one.id in (select value::uuid from json_array_elements_text(%(ids)s::json))
               order by one.id for update of one""",
            ids=json_rows(list(ids)),
        )
        return {ChallengeId(row["id"]): _challenge(row) for row in found}

    async def save(self, challenges: Sequence[Challenge]) -> None:
        await self._tx.run(
            """update challenge as kept set attempts = new.attempts, state = new.state
               from json_to_recordset(%(rows)s::json) as new (id uuid, attempts int, state text)
               where kept.id = new.id""",
            rows=_sorted_rows(challenges),
        )

    async def verdicts(self, questions: Collection[Question]) -> Mapping[Question, Verdict]:
        found = await self._tx.rows(
            """select kept.*
               from json_to_recordset(%(rows)s::json)
                    as asked (request_id uuid, challenge_id uuid, payment_id uuid)
               join verification as kept using (request_id, challenge_id, payment_id)""",
            rows=json_rows(list(questions)),
        )
        return {
            Question(
                RequestId(row["request_id"]),
                ChallengeId(row["challenge_id"]),
                PaymentId(row["payment_id"]),
            ): Verdict(row["result"], row["challenge_over"], row["counted"])
            for row in found
        }

    async def note(self, verifications: Sequence[Verification]) -> None:
        await self._tx.run(
            """insert into verification (request_id, challenge_id, payment_id, result,
                                         challenge_over, counted, judged_at)
               select (question->>'request_id')::uuid, (question->>'challenge_id')::uuid,
                      (question->>'payment_id')::uuid, verdict->>'result',
                      (verdict->>'challenge_over')::boolean, (verdict->>'counted')::boolean,
                      judged_at
               from json_to_recordset(%(rows)s::json)
                    as new (question json, verdict json, judged_at timestamptz)
               order by 1, 2, 3
               on conflict (request_id, challenge_id, payment_id) do nothing""",
            rows=json_rows(verifications),
        )

    async def of_payment(self, payment_id: UUID) -> list[dict[str, Any]]:
        return await self._tx.rows(
            """select id as challenge_id, number, state, attempts, expires_at
               from challenge where payment_id = %(payment_id)s order by number""",
            payment_id=payment_id,
        )

    async def export(self, after: UUID, limit: int) -> list[dict[str, Any]]:
        return await self._tx.rows(
            """select page.payment_id, found.challenges
               from (select distinct payment_id from challenge where payment_id > %(after)s
                     order by payment_id limit %(limit)s) as page
               cross join lateral (
                   select json_agg(json_build_object(
                              'state', state, 'attempts', attempts, 'amount_minor', amount_minor,
                              'currency', currency, 'payee', payee) order by number) as challenges
                   from challenge as one where one.payment_id = page.payment_id) as found
               order by page.payment_id""",
            after=after,
            limit=limit,
        )

    async def check(self, now: datetime) -> dict[str, Any]:
        violations = await self._tx.rows(
            """select payment_id, 'challenge ' || number || ': ' || attempts || ' attempts and '
                      || state || ', but ' || counted || ' counted and ' || accepted || ' accepted'
                      as details
               from (select one.*, judged.*
                     from (select * from challenge where expires_at > %(since)s
                           order by expires_at desc limit %(checked)s) as one
                     cross join lateral (
                           select count(*) as counted,
                                  count(*) filter (where result = 'valid') as accepted
                           from verification as kept
                           where kept.challenge_id = one.id and kept.counted) as judged) as seen
               where attempts <> counted or (state = 'ACCEPTED')::int <> accepted
               limit %(listed)s""",
            since=now - CHECKED_FOR,
            checked=CHECKED,
            listed=LISTED,
        )
        counts = await self._tx.rows(
            """select count(*) as dead_letters
               from (select from dead_letter limit %(most)s) as letters""",
            most=COUNTED,
        )
        return findings(violations, counts[0]["dead_letters"])
