"""Who signs in with address and password: limited, and alike for an unknown address."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fastapi import Request

from identity.clients.attempts import Attempts
from identity.clients.passwords import Passwords
from identity.domain.passwords import PasswordRules
from identity.store import Addresses, AddressKeys, User, Users
from payment_schemas import answers
from payment_schemas.answers import RefusedError
from payment_schemas.sealed import Personal
from service_runtime import metrics
from service_runtime.edge import Admission
from service_runtime.ports import Database
from service_runtime.postgres import PostgresTransaction

WRONG = "E-mail or password is wrong"
_sign_ins = metrics.counter("sign_ins", "Sign-ins, by result.")
Unchanged = Callable[[PostgresTransaction], Awaitable[None]]
"""Locks the user in the transaction of the sign-in; raises RefusedError for one that changed."""


@dataclass(frozen=True, slots=True)
class PasswordCheck:
    """What verifies a user's password, and what refuses a new one."""

    database: Database
    passwords: Passwords
    addresses: AddressKeys
    rules: PasswordRules

    async def user_of(self, email: Personal, password: Personal) -> User | None:
        """Return the user whose password it is; None after the same work where there is none."""
        async with self.database.transaction() as tx:
            user = await Addresses(tx, self.addresses).user_of(email)
        is_right = await self.passwords.verify(user.password if user else None, password)
        return user if is_right and user and user.disabled_at is None else None

    async def hashed(self, name: str, password: Personal, email: Personal) -> str:
        """Return the hash of a new password; refuse a guessable one with 400 for the field."""
        if fault := self.rules.fault(password.reveal(), email.reveal()):
            raise RefusedError(answers.invalid_field(name, fault))
        return await self.passwords.hashed(password)

    async def rehashed(self, user: User, password: Personal) -> str:
        """Return the current hash, or a new one where the parameters have changed."""
        is_outdated = self.passwords.is_outdated(user.password)
        return await self.passwords.hashed(password) if is_outdated else user.password


@dataclass(frozen=True, slots=True)
class SignIns:
    """Verifies a person, by each way in alike."""

    check: PasswordCheck
    admission: Admission
    attempts: Attempts

    async def verified(
        self, request: Request, email: Personal, password: Personal
    ) -> tuple[User, Unchanged]:
        """Return the user, and what the transaction of the sign-in begins with.

        Raises RefusedError with 401, the same for an unknown address, or 429.
        """
        address = self.admission.address(request)
        try:
            await self.attempts.sign_in(email, address)
        except RefusedError:
            self._refused("limited", 429, address)
            raise
        user = await self.check.user_of(email, password)
        if user is None:
            self._refused("refused", 401, address)
            raise RefusedError(answers.unauthorized(WRONG))
        new = await self.check.rehashed(user, password)

        async def unchanged(tx: PostgresTransaction) -> None:
            users = Users(tx)
            present = await users.locked(user.id)
            if present is None or present.disabled_at or present.password != user.password:
                # Changed while the password was verified.
                raise RefusedError(answers.unauthorized(WRONG))
            if new != user.password:
                await users.set_password(user.id, new)

        return user, unchanged

    async def accepted(self, email: Personal) -> None:
        """Count a sign-in that is committed; the account's attempts begin again."""
        _sign_ins.add(1, {"result": "accepted"})
        await self.attempts.accepted(email)

    def _refused(self, result: str, status: int, address: str) -> None:
        _sign_ins.add(1, {"result": result})
        self.admission.refusals.note(status, "sign-in", address)
