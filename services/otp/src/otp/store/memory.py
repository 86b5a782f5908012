"""The memory twin of otp's tables."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from otp.domain import Challenge, CodeAttempt, Issued, Refusal, RequestKey, User, Verdict
from otp.store.port import Verification
from payment_schemas.ids import ChallengeId


class MemoryChallenges:
    """Challenges by id, verifications by attempt, users by id, refusals by request."""

    def __init__(self, tx: Any) -> None:
        self._tx = tx
        self._challenges: dict[ChallengeId, Challenge] = tx.own["challenge"]
        self._verifications: dict[CodeAttempt, Verification] = tx.own["verification"]
        self._users: dict[str, User] = tx.own["code_user"]
        self._refusals: dict[tuple[UUID, int], Refusal] = tx.own["challenge_refusal"]

    async def lock_users(self, user_ids: Collection[str]) -> Mapping[str, User]:
        return {name: self._users.setdefault(name, User(name)) for name in user_ids}

    async def with_issued(
        self, users: Mapping[str, User], since: datetime, most: int
    ) -> dict[str, User]:
        found = {name: self._issued(name, since)[-most:] for name in users}
        return {name: replace(user, issued=tuple(found[name])) for name, user in users.items()}

    def _issued(self, user_id: str, since: datetime) -> list[Issued]:
        found = [
            Issued(one.payment.payment_id, one.number, one.issued_at, one.expires_at, one.state)
            for one in self._challenges.values()
            if one.payment.user_id == user_id and one.issued_at > since
        ]
        return sorted(found, key=lambda one: one.issued_at)

    async def find_user(self, user_id: str) -> User | None:
        return self._users.get(user_id)

    async def save_users(self, users: Sequence[User]) -> None:
        self._users.update({one.user_id: replace(one, issued=()) for one in users})

    async def answered(self, keys: Collection[RequestKey]) -> Mapping[RequestKey, Refusal | None]:
        found = {key: self._refusals.get((key.payment_id, key.version)) for key in keys}
        known = self._challenges.keys()
        return {key: old for key, old in found.items() if old or key.challenge_id in known}

    async def refuse(self, refusals: Mapping[RequestKey, Refusal]) -> None:
        for key, refused in refusals.items():
            self._refusals.setdefault((key.payment_id, key.version), refused)

    async def add(self, challenges: Sequence[Challenge]) -> set[ChallengeId]:
        new = {one.id: one for one in reversed(challenges) if one.id not in self._challenges}
        self._challenges.update(new)
        return {name for name, one in new.items() if not self._superseded(one)}

    def _superseded(self, challenge: Challenge) -> bool:
        return any(
            one.payment.payment_id == challenge.payment.payment_id and one.number > challenge.number
            for one in self._challenges.values()
        )

    async def lock(self, ids: Collection[ChallengeId]) -> Mapping[ChallengeId, Challenge]:
        known = [self._challenges[name] for name in ids if name in self._challenges]
        return {one.id: replace(one, superseded=self._superseded(one)) for one in known}

    async def save(self, challenges: Sequence[Challenge]) -> None:
        self._challenges.update({one.id: one for one in challenges})

    async def verdicts(self, questions: Collection[CodeAttempt]) -> Mapping[CodeAttempt, Verdict]:
        known = [one for one in questions if one in self._verifications]
        return {one: self._verifications[one].verdict for one in known}

    async def add_verifications(self, verifications: Sequence[Verification]) -> None:
        for one in verifications:
            self._verifications.setdefault(one.question, one)
