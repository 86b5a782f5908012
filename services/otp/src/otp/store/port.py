"""The port to otp's tables."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from otp.domain import Asked, Challenge, CodeAttempt, Refusal, User, Verdict
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
        """Lock and return users, inserting new ones; before any challenge is locked."""
        ...

    async def with_issued(
        self, users: Mapping[str, User], since: datetime, most: int
    ) -> dict[str, User]:
        """Return locked users with those challenges that were issued later; the latest `most`."""
        ...

    async def find_user(self, user_id: str) -> User | None:
        """Lock and return a user; None for an unknown one."""
        ...

    async def save_users(self, users: Sequence[User]) -> None:
        """Write back the wrong codes and locks of locked users."""
        ...

    async def answered(self, asked: Collection[Asked]) -> Mapping[Asked, Refusal | None]:
        """Return the requests that were answered by a refusal, or by a challenge (None)."""
        ...

    async def refuse(self, refusals: Mapping[Asked, Refusal]) -> None:
        """Store the refusals of requests, each once."""
        ...

    async def add(self, challenges: Sequence[Challenge]) -> set[ChallengeId]:
        """Store new challenges; return those that are the latest of their payments."""
        ...

    async def lock(self, ids: Collection[ChallengeId]) -> Mapping[ChallengeId, Challenge]:
        """Lock and return the existing challenges."""
        ...

    async def save(self, challenges: Sequence[Challenge]) -> None:
        """Write back the attempts and states of locked challenges."""
        ...

    async def verdicts(self, questions: Collection[CodeAttempt]) -> Mapping[CodeAttempt, Verdict]:
        """Return the earlier verdicts."""
        ...

    async def note(self, verifications: Sequence[Verification]) -> None:
        """Store verdicts, each once."""
        ...
