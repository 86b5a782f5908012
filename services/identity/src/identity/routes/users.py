"""Register and sign in, by e-mail address and password."""

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from identity.clients.attempts import Attempts
from identity.clients.passwords import Passwords
from identity.domain.passwords import PasswordRules
from identity.domain.subjects import user_subject
from identity.routes.bodies import Account, Registration, SignIn, Success, UserTokens, success
from identity.routes.commits import Commits
from identity.routes.session_acts import Opened, SessionActs
from identity.store import User, Users
from payment_schemas import answers
from payment_schemas.answers import RefusedError
from payment_schemas.events.record import AuditRecorded
from payment_schemas.sealed import Personal
from service_runtime import metrics
from service_runtime.edge import Admission
from service_runtime.errors import Conflict
from service_runtime.ports import Database
from service_runtime.postgres import PostgresTransaction

DEVICE_CHARACTERS = 120
WRONG = "E-mail or password is wrong"
_sign_ins = metrics.counter("sign_ins", "Sign-ins, by result.")


@dataclass(frozen=True, slots=True)
class PasswordCheck:
    """What verifies a user's password, and what refuses a new one."""

    database: Database
    passwords: Passwords
    rules: PasswordRules

    async def user_of(self, email: Personal, password: Personal) -> User | None:
        """Return the user whose password it is; None after the same work where there is none."""
        async with self.database.transaction() as tx:
            user = await Users(tx).by_email(email)
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
class UserRoutes:
    """The routes of a person without a token."""

    check: PasswordCheck
    commits: Commits
    admission: Admission
    attempts: Attempts
    acts: SessionActs

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        router.post("/auth/register", status_code=201, response_model=Success[Account])(
            self.register
        )
        router.post("/auth/login", response_model=Success[UserTokens])(self.login)

    async def register(self, request: Request, fields: Registration) -> Response:
        """Add a user with the scopes of customers; 409 where the address has an account."""
        await self.attempts.register(self.admission.address(request))
        password = await self.check.hashed("password", fields.password, fields.email)
        clock = self.commits.clock
        user = User(clock.new_id(), password, clock.now(), None)

        async def act(tx: PostgresTransaction) -> Sequence[AuditRecorded]:
            await Users(tx).add(user, fields.email)
            return [self.acts.audited(user.id, "USER_REGISTERED", user.id)]

        try:
            await self.commits.run(request, act)
        except Conflict as error:
            if error.constraint != "email_address_pkey":
                raise
            taken = {"error": "Conflict: email", "details": "has an account: sign in"}
            raise HTTPException(409, taken) from None
        return success(profile_of(user, fields.email), 201)

    async def login(self, request: Request, fields: SignIn) -> Response:
        """Open a session. An unknown address and a wrong password get the same response."""
        address = self.admission.address(request)
        try:
            await self.attempts.sign_in(fields.email, address)
        except RefusedError:
            self._refused("limited", 429, address)
            raise
        user = await self.check.user_of(fields.email, fields.password)
        if user is None:
            self._refused("refused", 401, address)
            raise RefusedError(answers.unauthorized(WRONG))
        opened = await self._opened(request, fields, user, address)
        _sign_ins.add(1, {"result": "accepted"})
        await self.attempts.accepted(fields.email)
        return self.acts.reply(opened)

    async def _opened(self, request: Request, fields: SignIn, user: User, address: str) -> Opened:
        password = await self.check.rehashed(user, fields.password)
        device = request.headers.get("user-agent", "")[:DEVICE_CHARACTERS]
        opened: list[Opened] = []

        async def act(tx: PostgresTransaction) -> Sequence[AuditRecorded]:
            users = Users(tx)
            present = await users.locked(user.id)
            if present is None or present.disabled_at or present.password != user.password:
                # Changed while the password was verified.
                raise RefusedError(answers.unauthorized(WRONG))
            if password != user.password:
                await users.set_password(user.id, password)
            opened.append(await self.acts.open(tx, user.id, fields.kind, device))
            record = self.acts.audited(user.id, "SIGNED_IN", opened[-1].session.id)
            return [record.model_copy(update={"metadata": {"ip_address": address}})]

        await self.commits.run(request, act)
        return opened[-1]

    def _refused(self, result: str, status: int, address: str) -> None:
        _sign_ins.add(1, {"result": result})
        self.admission.refusals.note(status, "sign-in", address)


def profile_of(user: User, email: Personal | None) -> dict[str, object]:
    """Return what a user sees of the own account."""
    return {
        "id": user_subject(user.id),
        "email": email.reveal() if email else None,
        "createdAt": user.created_at,
    }
