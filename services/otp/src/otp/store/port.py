"""The port to otp's tables."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from otp.domain import Challenge, CodeAttempt, Refusal, RequestKey, User, Verdict
from payment_schemas.ids import ChallengeId


@dataclass(frozen=True, slots=True)
class Verification:
    """A code attempt, its verdict, and when it was judged."""

    question: CodeAttempt
    verdict: Verdict
    judged_at: datetime


class Challenges(Protocol):
    """Challenges, verifications and users within one transaction."""

    async def lock_users(self, user_ids: Collection[str]) -> Mapping[str, User]:
        """Lock and return users; insert new ones. Call it before challenges are locked."""
        ...

    async def with_issued(
        self, users: Mapping[str, User], since: datetime, most: int
    ) -> dict[str, User]:
        """Return the users with their challenges issued after `since`; the latest `most`."""
        ...

    async def find_user(self, user_id: str) -> User | None:
        """Lock and return a user; None for an unknown one."""
        ...

    async def save_users(self, users: Sequence[User]) -> None:
        """Write back the wrong codes and locks of locked users."""
        ...

    async def answered(self, keys: Collection[RequestKey]) -> Mapping[RequestKey, Refusal | None]:
        """Return the requests that already have a result: a refusal, or None for a challenge."""
        ...

    async def refuse(self, refusals: Mapping[RequestKey, Refusal]) -> None:
        """Insert refusals; skip a request that has one."""
        ...

    async def add(self, challenges: Sequence[Challenge]) -> set[ChallengeId]:
        """Insert new challenges; return the ids that are the latest of their payments."""
        ...

    async def lock(self, ids: Collection[ChallengeId]) -> Mapping[ChallengeId, Challenge]:
        """Lock and return the existing challenges."""
        ...

    async def save(self, challenges: Sequence[Challenge]) -> None:
        """Write back the attempts and states of locked challenges."""
        ...

    async def verdicts(self, questions: Collection[CodeAttempt]) -> Mapping[CodeAttempt, Verdict]:
        """Return the stored verdicts."""
        ...

    async def add_verifications(self, verifications: Sequence[Verification]) -> None:
        """Insert verifications; skip an attempt that has one."""
        ...
