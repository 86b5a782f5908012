"""Register and sign in, by e-mail address and password."""

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from identity.domain.subjects import user_subject
from identity.routes.bodies import Account, Registration, SignIn, Success, UserTokens, success
from identity.routes.commits import Commits
from identity.routes.session_acts import NewSession, NoScopesError, Opened, SessionActs
from identity.routes.sign_ins import SignIns
from identity.store import TAKEN, Addresses, User, Users
from payment_schemas.events.record import AuditRecorded
from payment_schemas.sealed import Personal
from service_runtime.errors import Conflict
from service_runtime.postgres import PostgresTransaction

DEVICE_CHARACTERS = 120


@dataclass(frozen=True, slots=True)
class UserRoutes:
    """The routes of a person without a token."""

    sign_ins: SignIns
    commits: Commits
    acts: SessionActs

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        router.post("/auth/register", status_code=201, response_model=Success[Account])(
            self.register
        )
        router.post("/auth/login", response_model=Success[UserTokens])(self.login)

    async def register(self, request: Request, fields: Registration) -> Response:
        """Add a user with the scopes of customers; 409 where the address has an account."""
        signs = self.sign_ins
        await signs.attempts.register(signs.admission.address(request))
        password = await signs.check.hashed("password", fields.password, fields.email)
        clock = self.commits.clock
        user = User(clock.new_id(), password, clock.now(), None)

        async def act(tx: PostgresTransaction) -> Sequence[AuditRecorded]:
            await Users(tx).add(user)
            await Addresses(tx, signs.check.addresses).add(user.id, fields.email)
            return [self.acts.audited(user.id, "USER_REGISTERED", user.id)]

        try:
            await self.commits.run(request, act)
        except Conflict as error:
            if error.constraint != TAKEN:
                raise
            taken = {"error": "Conflict: email", "details": "has an account: sign in"}
            raise HTTPException(409, taken) from None
        return success(profile_of(user, fields.email), 201)

    async def login(self, request: Request, fields: SignIn) -> Response:
        """Open a session. An unknown address and a wrong password get the same response."""
        user, unchanged = await self.sign_ins.verified(request, fields.email, fields.password)
        address = self.sign_ins.admission.address(request)
        device = request.headers.get("user-agent", "")[:DEVICE_CHARACTERS]
        new = NewSession(user.id, fields.kind, device, self.commits.clock.new_id())
        opened: list[Opened] = []

        async def act(tx: PostgresTransaction) -> Sequence[AuditRecorded]:
            await unchanged(tx)
            opened.append(await self.acts.open(tx, new))
            record = self.acts.audited(user.id, "SIGNED_IN", new.id)
            return [record.model_copy(update={"metadata": {"ip_address": address}})]

        try:
            await self.commits.run(request, act)
        except NoScopesError:
            refusal = {"error": "Forbidden", "details": "No role of an operator"}
            raise HTTPException(403, refusal) from None
        await self.sign_ins.accepted(fields.email)
        return self.acts.reply(opened[-1])


def profile_of(user: User, email: Personal | None) -> dict[str, object]:
    """Return what a user sees of the own account."""
    return {
        "id": user_subject(user.id),
        "email": email.reveal() if email else None,
        "createdAt": user.created_at,
    }
