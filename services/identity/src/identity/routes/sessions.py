"""Refresh and end sessions; the account of who is signed in."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import Response

from identity.clients.attempts import Attempts
from identity.domain.families import Verdict
from identity.domain.subjects import user_id_of
from identity.routes.bodies import (
    Account,
    Nothing,
    PasswordChange,
    Refresh,
    ShownSessions,
    Success,
    UserTokens,
    success,
)
from identity.routes.commits import Commits
from identity.routes.session_acts import Opened, SessionActs
from identity.routes.sign_ins import WRONG, PasswordCheck
from identity.routes.users import profile_of
from identity.store import Addresses, Sessions, Users
from payment_schemas import answers
from payment_schemas.answers import RefusedError
from payment_schemas.events.record import AuditRecorded
from payment_schemas.sealed import Personal
from service_runtime.edge import Access, Admission, Caller
from service_runtime.postgres import PostgresTransaction

PER_MINUTE = 60


@dataclass(frozen=True, slots=True)
class SessionRoutes:
    """The routes of refresh tokens, and of users with an access token."""

    check: PasswordCheck
    commits: Commits
    admission: Admission
    attempts: Attempts
    acts: SessionActs

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        router.post("/auth/refresh", response_model=Success[UserTokens])(self.refresh)
        router.post("/auth/logout", response_model=Success[Nothing])(self.logout)
        owner = Depends(self._owner())
        User = Annotated[UUID, owner]  # noqa: N806 - a type

        @router.get("/auth/profile", response_model=Success[Account])
        async def profile(user_id: User) -> Response:
            """Return the account of the user."""
            return await self.profile(user_id)

        @router.post("/auth/password", response_model=Success[Nothing])
        async def password(request: Request, fields: PasswordChange, user_id: User) -> Response:
            """Change the password; all sessions end, also this one."""
            return await self.change_password(request, fields, user_id)

        @router.get("/auth/sessions", response_model=Success[ShownSessions])
        async def sessions(user_id: User) -> Response:
            """Return the user's sessions, newest first."""
            async with self.check.database.transaction() as tx:
                found = await Sessions(tx).open_of(user_id, self.commits.clock.now())
            return success({"sessions": found})

        @router.delete("/auth/sessions/{session_id}", response_model=Success[Nothing])
        async def end(request: Request, session_id: UUID, user_id: User) -> Response:
            """End one session of the user; a repeat is no error."""
            return await self.end(request, session_id, user_id)

    def _owner(self) -> Callable[..., Awaitable[UUID]]:
        caller_of = self.admission.require(Access("", PER_MINUTE, limit="identity"))

        async def owner(caller: Annotated[Caller, Depends(caller_of)]) -> UUID:
            if (user_id := user_id_of(caller.user_id)) is None:
                raise HTTPException(403, {"error": "Forbidden", "details": "Not a user's token"})
            return user_id

        return owner

    async def refresh(self, request: Request, fields: Refresh) -> Response:
        """Return a session's next tokens.

        A repeat within seconds returns the same refresh token; any other second use of a token ends
        the session.
        """
        address = self.admission.address(request)
        outcomes: list[tuple[Verdict, Opened | None]] = []

        async def act(tx: PostgresTransaction) -> Sequence[AuditRecorded]:
            verdict, opened, records = await self.acts.refresh(tx, fields.refresh_token)
            outcomes.append((verdict, opened))
            return [one.model_copy(update={"metadata": {"ip_address": address}}) for one in records]

        await self.commits.run(request, act)
        verdict, opened = outcomes[-1]
        self.acts.note(verdict)
        if opened is None:
            details = "refreshToken: not valid; sign in again"
            raise RefusedError(await self.admission.failed(request, details))
        return self.acts.reply(opened)

    async def logout(self, request: Request, fields: Refresh) -> Response:
        """End the session of a refresh token; an unknown token is no error (RFC 7009)."""

        async def act(tx: PostgresTransaction) -> Sequence[AuditRecorded]:
            found = await Sessions(tx).presented(fields.refresh_token)
            if found is None:
                return []
            return await self.acts.end(tx, found[0].id, found[0].user_id, "logout")

        await self.commits.run(request, act)
        return success({})

    async def end(self, request: Request, session_id: UUID, user_id: UUID) -> Response:
        """End one session of a user; 404 for another user's."""

        async def act(tx: PostgresTransaction) -> Sequence[AuditRecorded]:
            if await Sessions(tx).owner_of(session_id) != user_id:
                raise HTTPException(404, f"Unknown session: {session_id}")
            return await self.acts.end(tx, session_id, user_id, "owner")

        await self.commits.run(request, act)
        return success({})

    async def profile(self, user_id: UUID) -> Response:
        """Return the account of a user."""
        async with self.check.database.transaction() as tx:
            user = await Users(tx).found(user_id)
            email = await Addresses(tx, self.check.addresses).of(user_id)
        if user is None or user.disabled_at is not None:
            raise RefusedError(answers.unauthorized("sub: no such user"))
        return success(profile_of(user, email))

    async def change_password(
        self, request: Request, fields: PasswordChange, user_id: UUID
    ) -> Response:
        """Change a password. Who holds only an access token does not know the current one."""
        email = await self._email(user_id)
        await self.attempts.sign_in(email, self.admission.address(request))
        user = await self.check.user_of(email, fields.current)
        if user is None or user.id != user_id:
            raise RefusedError(answers.unauthorized(WRONG))
        password = await self.check.hashed("newPassword", fields.new, email)

        async def act(tx: PostgresTransaction) -> Sequence[AuditRecorded]:
            present = await Users(tx).locked(user_id)
            if present is None or present.password != user.password:
                raise RefusedError(answers.unauthorized(WRONG))
            await Users(tx).set_password(user_id, password)
            await self.acts.end_all(tx, user_id, "password")
            return [self.acts.audited(user_id, "PASSWORD_CHANGED", user_id)]

        await self.commits.run(request, act)
        await self.attempts.accepted(email)
        return success({})

    async def _email(self, user_id: UUID) -> Personal:
        async with self.check.database.transaction() as tx:
            email = await Addresses(tx, self.check.addresses).of(user_id)
        if email is None:
            raise RefusedError(answers.unauthorized("sub: no such user"))
        return email
