"""Unlocking of a user's codes by an operator, with events for the audit log and the user."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from otp.domain import Lock, User, challenge_id_of
from otp.handlers.judging import lock_changed
from otp.store import Challenges
from payment_schemas.events.base import Event
from payment_schemas.events.record import AuditRecorded
from service_runtime.clock import Clock
from service_runtime.logs import Log
from service_runtime.messages import Cause, Emit, ProducerRecord

SERVICE = "otp"
ACTION = "CODES_UNLOCKED"
NUMBERS = (3, 2, 1)
"""The numbers of a payment's challenges, latest first."""
RunInTransaction = Callable[[Callable[[Any], Awaitable[Sequence[ProducerRecord]]]], Awaitable[None]]
"""Runs a function in a transaction and commits the records that it returns."""

_log = Log("codes")


@dataclass(frozen=True, slots=True)
class Unlocking:
    """Unlocks users; the events are committed in the same transaction."""

    store: Callable[[Any], Challenges]
    run_in_transaction: RunInTransaction
    clock: Clock

    async def unlock(self, user_id: str, actor: str) -> User | None:
        """Unlock a user; return its state before, or None if not locked. Raises Unavailable."""
        found: list[User] = []
        await self.run_in_transaction(partial(self._unlock, user_id, actor, found))
        return found[-1] if found else None

    async def _unlock(
        self, user_id: str, actor: str, found: list[User], tx: Any
    ) -> Sequence[ProducerRecord]:
        challenges = self.store(tx)
        user = await challenges.find_user(user_id)
        if user is None or user.lock is None:
            return ()
        found.append(user)
        await challenges.save_users([replace(user, wrong_in_a_row=0, lock=None)])
        lock = user.lock
        _log.info("codes_unlocked", payment_id=lock.payment_id)
        events = [_audited(user, lock, actor), await self._notice(challenges, user, lock)]
        # The cause depends on the lock alone, so a retry creates events with the same ids.
        cause = Cause(lock.payment_id, discriminator=f"unlocked-{lock.at.isoformat()}")
        return [Emit(event, cause).outgoing(SERVICE, self.clock.now()) for event in events]

    async def _notice(self, challenges: Challenges, user: User, lock: Lock) -> Event:
        ids = [challenge_id_of(lock.payment_id, number) for number in NUMBERS]
        known = await challenges.lock(ids)
        latest = next(known[name] for name in ids if name in known)
        return lock_changed(user, latest, lock, is_locked=False)


def _audited(user: User, lock: Lock, actor: str) -> AuditRecorded:
    metadata = {"wrong_codes": user.wrong_in_a_row, "payment_id": lock.payment_id}
    return AuditRecorded(
        actor=actor,
        action=ACTION,
        about=user.user_id,
        metadata={name: str(value) for name, value in metadata.items()},
    )
