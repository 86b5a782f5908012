"""What otp asks of its tables."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from otp.domain import Asked, Challenge, CodeAttempt, Refusal, User, Verdict
from payment_schemas.ids import ChallengeId

LISTED = 100
"""Violations that a check names at most."""
CHECKED = 1000
"""Challenges that a check looks at: the latest ones."""
COUNTED = 10_000
"""Past it a check stops counting."""
CHECKED_FOR = timedelta(days=1)
"""How long after its end a challenge is still checked."""


@dataclass(frozen=True, slots=True)
class Verification:
    """A question, its answer, and when it was given."""

    question: CodeAttempt
    verdict: Verdict
    judged_at: datetime


class Challenges(Protocol):
    """Challenges, verifications and users within one transaction."""

    async def lock_users(self, user_ids: Collection[str]) -> Mapping[str, User]:
        """Lock and return users, whom it makes known where they are new; before challenges."""
        ...

    async def with_issued(
        self, users: Mapping[str, User], since: datetime, most: int
    ) -> dict[str, User]:
        """Return locked users with those challenges that were issued later; the latest `most`."""
        ...

    async def find_user(self, user_id: str) -> User | None:
        """Lock and return a user, or None where nothing is known of one."""
        ...

    async def save_users(self, users: Sequence[User]) -> None:
        """Write back the wrong codes and locks of locked users."""
        ...

    async def answered(self, asked: Collection[Asked]) -> Mapping[Asked, Refusal | None]:
        """Return those requests that were answered: by a refusal, or by a challenge (None)."""
        ...

    async def refuse(self, refusals: Mapping[Asked, Refusal]) -> None:
        """Keep why requests were refused, each once."""
        ...

    async def add(self, challenges: Sequence[Challenge]) -> set[ChallengeId]:
        """Keep new challenges; return those of them that are the latest of their payments."""
        ...

    async def lock(self, ids: Collection[ChallengeId]) -> Mapping[ChallengeId, Challenge]:
        """Lock and return the challenges that there are."""
        ...

    async def save(self, challenges: Sequence[Challenge]) -> None:
        """Write back the attempts and states of locked challenges."""
        ...

    async def verdicts(self, questions: Collection[CodeAttempt]) -> Mapping[CodeAttempt, Verdict]:
        """Return the answers that were given before."""
        ...

    async def note(self, verifications: Sequence[Verification]) -> None:
        """Keep answers, each once."""
        ...

    async def of_payment(self, payment_id: UUID) -> list[dict[str, Any]]:
        """Return a payment's challenges as operators see them: no salt, no digest."""
        ...

    async def export(self, after: UUID, limit: int) -> list[dict[str, Any]]:
        """Return payments behind `after` in the order of their ids, with their challenges."""
        ...

    async def check(self, now: datetime) -> dict[str, Any]:
        """Return what is wrong and what was set aside, bounded."""
        ...


def findings(violations: Sequence[Mapping[str, Any]], dead_letters: int) -> dict[str, Any]:
    """Return what a check found, in the shape that operators read.

    Otp answers every request in the transaction that reads it and has no work table: nothing can
    be unfinished or parked.
    """
    named = [{"invariant": "I10", **row} for row in violations]
    return {"violations": named, "unfinished": [], "parked": 0, "dead_letters": dead_letters}
