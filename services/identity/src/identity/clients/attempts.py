"""Limits of sign-ins and registrations. Without Redis both are refused.

Limits of one process alone would admit a guesser once more in each process and after each restart.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

from payment_schemas import answers
from payment_schemas.answers import RefusedError
from payment_schemas.sealed import Personal
from service_runtime.edge.limits import Limits

WINDOW_S = 15 * 60
ACCOUNT, ADDRESS, REGISTRATION = "login-account", "login-address", "registration"
DEVICE = "device-code"
NEVER_LOCAL = (ACCOUNT, ADDRESS, REGISTRATION, DEVICE)


@dataclass(frozen=True, slots=True)
class Attempts:
    """Counts each attempt before it is made: many at once do not pass together."""

    limits: Limits
    pseudonym: Callable[[Personal], str]
    """Returns the pseudonym of an address, which is in Redis."""
    per_account: int
    per_address: int
    registrations: int

    async def sign_in(self, email: Personal, address: str) -> None:
        """Count a sign-in; raise RefusedError with 429, or Unavailable without Redis."""
        await self._count(ADDRESS, address, self.per_address)
        await self._count(ACCOUNT, self.pseudonym(email), self.per_account)

    async def register(self, address: str) -> None:
        """Count a registration; raise RefusedError with 429, or Unavailable without Redis."""
        await self._count(REGISTRATION, address, self.registrations)

    async def device(self, address: str) -> None:
        """Count a device code that is asked for or entered; raise as `sign_in` does."""
        await self._count(DEVICE, address, self.per_address)

    async def accepted(self, email: Personal) -> None:
        """Begin an account's count again: its owner has signed in."""
        await self.limits.clear(ACCOUNT, self.pseudonym(email))

    async def _count(self, kind: str, key: str, limit: int) -> None:
        wait_s = await self.limits.admit(kind, key, limit, WINDOW_S)
        if wait_s is not None:
            raise RefusedError(answers.too_many_requests(max(1, ceil(wait_s))))
