"""Passwords by argon2id, off the event loop. Source of the parameters: OWASP, password storage."""

import argon2
from argon2.exceptions import VerifyMismatchError
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from payment_schemas.sealed import Personal
from service_runtime.compute import Bounds, Executor

_HASHER = argon2.PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
"""19 MiB and two passes: 30 ms on one core, measured."""
MOST_WAITING = 64
WITHIN_S = 3.0
"""Below the 3.5 s for which the gateway waits: the client gets the refusal of identity."""


def common_passwords(min_characters: int) -> frozenset[str]:
    """Return the most common passwords that are long enough: 11,611 of 8 characters or more."""
    return frozenset(
        password for password in FREQUENCY_LISTS["passwords"] if len(password) >= min_characters
    )


class Passwords:
    """Hashes and verifies passwords in a few threads; argon2 releases the interpreter's lock."""

    def __init__(self, workers: int) -> None:
        self.executor = Executor("passwords", Bounds(workers, MOST_WAITING, WITHIN_S))
        # Verified for an unknown user, so that both cases take the same time.
        self._of_nobody = _HASHER.hash("of nobody")

    async def hashed(self, password: Personal) -> str:
        """Return the hash of a new password; raise Unavailable or TimeoutError under load."""
        return await self.executor.run(_hashed, password)

    async def verify(self, stored: str | None, password: Personal) -> bool:
        """Return whether it is the password; without a stored one after the same work."""
        is_right = await self.executor.run(_is_right, stored or self._of_nobody, password)
        return is_right and stored is not None

    def is_outdated(self, stored: str) -> bool:
        """Return whether a hash has other parameters than new ones."""
        return _HASHER.check_needs_rehash(stored)


def _hashed(password: Personal) -> str:
    return _HASHER.hash(password.reveal())


def _is_right(stored: str, password: Personal) -> bool:
    try:
        return _HASHER.verify(stored, password.reveal())
    except VerifyMismatchError:
        return False
