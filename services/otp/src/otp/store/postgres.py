"""Otp's tables in PostgreSQL."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from otp.domain import (
    Challenge,
    CodeAttempt,
    Issued,
    Lock,
    Payment,
    Refusal,
    RequestKey,
    SecretHash,
    State,
    User,
    Verdict,
)
from otp.store.port import Verification
from payment_schemas.ids import ChallengeId, PaymentId, RequestId
from service_runtime.postgres import PostgresTransaction, json_rows


def _sorted_rows(challenges: Iterable[Challenge]) -> str:
    """Return rows in one order for all writers, so that concurrent batches do not deadlock."""
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
        "issued_at": challenge.issued_at,
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
        row["issued_at"],
        row["expires_at"],
        row["attempts"],
        State(row["state"]),
        row["superseded"],
    )


def _user(row: Mapping[str, Any]) -> User:
    lock = None
    if row["locked_at"] is not None:
        transaction_id, payment_id = row["locked_transaction_id"], row["locked_payment_id"]
        lock = Lock(row["locked_at"], PaymentId(payment_id), transaction_id)
    return User(row["user_id"], row["wrong_in_a_row"], lock)


def _issued(row: Mapping[str, Any]) -> Issued:
    payment_id, state = PaymentId(row["payment_id"]), State(row["state"])
    return Issued(payment_id, row["number"], row["issued_at"], row["expires_at"], state)


def _refused(key: RequestKey, refusal: Refusal) -> dict[str, Any]:
    return {
        "payment_id": key.payment_id,
        "version": key.version,
        "number": key.number,
        "reason": refusal.reason,
        "retry_after_s": refusal.retry_after_s,
    }


class PostgresChallenges:
    """Otp's tables in one PostgreSQL transaction."""

    def __init__(self, tx: PostgresTransaction) -> None:
        self._tx = tx

    async def lock_users(self, user_ids: Collection[str]) -> Mapping[str, User]:
        ids = json_rows(sorted(user_ids))
        await self._tx.run(
            """insert into code_user (user_id)
               select value from json_array_elements_text(%(ids)s::json)
               order by value on conflict do nothing""",
            ids=ids,
        )
        found = await self._tx.rows(
            """select * from code_user
               where user_id in (select value from json_array_elements_text(%(ids)s::json))
               order by user_id for update""",
            ids=ids,
        )
        return {row["user_id"]: _user(row) for row in found}

    async def with_issued(
        self, users: Mapping[str, User], since: datetime, most: int
    ) -> dict[str, User]:
        found = await self._tx.rows(
            """select one.user_id, payment_id, number, issued_at, expires_at, state
               from json_array_elements_text(%(ids)s::json) as asked
               cross join lateral (
                   select * from challenge
                   where challenge.user_id = asked.value and issued_at > %(since)s
                   order by issued_at desc limit %(most)s) as one
               order by issued_at""",
            ids=json_rows(list(users)),
            since=since,
            most=most,
        )
        issued: dict[str, list[Issued]] = {name: [] for name in users}
        for row in found:
            issued[row.pop("user_id")].append(_issued(row))
        return {name: replace(user, issued=tuple(issued[name])) for name, user in users.items()}

    async def find_user(self, user_id: str) -> User | None:
        found = await self._tx.rows(
            "select * from code_user where user_id = %(user_id)s for update", user_id=user_id
        )
        return _user(found[0]) if found else None

    async def save_users(self, users: Sequence[User]) -> None:
        await self._tx.run(
            """update code_user as kept
               set wrong_in_a_row = new.wrong_in_a_row, locked_at = (lock->>'at')::timestamptz,
                   locked_payment_id = (lock->>'payment_id')::uuid,
                   locked_transaction_id = lock->>'transaction_id'
               from json_to_recordset(%(rows)s::json)
                   as new (user_id text, wrong_in_a_row int, lock json)
               where kept.user_id = new.user_id""",
            rows=json_rows([replace(one, issued=()) for one in users]),
        )

    async def answered(self, keys: Collection[RequestKey]) -> Mapping[RequestKey, Refusal | None]:
        found = await self._tx.rows(
            """select asked.*, refused.reason, refused.retry_after_s
               from json_to_recordset(%(rows)s::json)
                   as asked (payment_id uuid, version int, number int)
               left join challenge_refusal as refused using (payment_id, version)
               where refused.reason is not null or exists (
                   select from challenge where challenge.payment_id = asked.payment_id
                                           and challenge.number = asked.number)""",
            rows=json_rows(list(keys)),
        )
        return {
            RequestKey(PaymentId(row["payment_id"]), row["version"], row["number"]): (
                Refusal(row["reason"], row["retry_after_s"]) if row["reason"] else None
            )
            for row in found
        }

    async def refuse(self, refusals: Mapping[RequestKey, Refusal]) -> None:
        if not refusals:
            return
        await self._tx.run(
            """insert into challenge_refusal
                   (payment_id, version, number, reason, retry_after_s)
               select payment_id, version, number, reason, retry_after_s
               from json_populate_recordset(null::challenge_refusal, %(rows)s::json)
               order by payment_id, version on conflict do nothing""",
            rows=json_rows([_refused(key, refusal) for key, refusal in refusals.items()]),
        )

    async def add(self, challenges: Sequence[Challenge]) -> set[ChallengeId]:
        found = await self._tx.rows(
            """with added as (
                   insert into challenge (id, payment_id, number, user_id, amount_minor, currency,
                                          payee, salt, digest, issued_at, expires_at)
                   select id, payment_id, number, user_id, amount_minor, currency, payee, salt,
                          digest, issued_at, expires_at
                   from json_populate_recordset(null::challenge, %(rows)s::json)
                   on conflict do nothing returning id, payment_id, number)
               -- A statement does not see its own inserts in the table, so both are queried.
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

    async def verdicts(self, questions: Collection[CodeAttempt]) -> Mapping[CodeAttempt, Verdict]:
        found = await self._tx.rows(
            """select kept.*
               from json_to_recordset(%(rows)s::json)
                    as asked (request_id uuid, challenge_id uuid, payment_id uuid)
               join verification as kept using (request_id, challenge_id, payment_id)""",
            rows=json_rows(list(questions)),
        )
        return {
            CodeAttempt(
                RequestId(row["request_id"]),
                ChallengeId(row["challenge_id"]),
                PaymentId(row["payment_id"]),
            ): Verdict(row["result"], row["challenge_over"], row["counted"], row["codes_locked"])
            for row in found
        }

    async def add_verifications(self, verifications: Sequence[Verification]) -> None:
        await self._tx.run(
            """insert into verification (request_id, challenge_id, payment_id, result,
                                         challenge_over, counted, codes_locked, judged_at)
               select (question->>'request_id')::uuid, (question->>'challenge_id')::uuid,
                      (question->>'payment_id')::uuid, verdict->>'result',
                      (verdict->>'challenge_over')::boolean, (verdict->>'counted')::boolean,
                      (verdict->>'codes_locked')::boolean, judged_at
               from json_to_recordset(%(rows)s::json)
                    as new (question json, verdict json, judged_at timestamptz)
               order by 1, 2, 3
               on conflict (request_id, challenge_id, payment_id) do nothing""",
            rows=json_rows(verifications),
        )
