"""Operators: people with a verified token. Each operator route names the scope that it requires."""

import re
from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Request, Security
from fastapi.security import HTTPBearer

from payment_schemas import answers
from payment_schemas.answers import RefusedError
from payment_schemas.scopes import Scope
from service_runtime.callers import BadTokenError, Caller, bearer_token
from service_runtime.credentials import Credentials
from service_runtime.refusals import RefusalLog
from service_runtime.tokens import Tokens
from service_runtime.web import given_once

NoteRead = Callable[[Request, str], Awaitable[None]]
"""Commits the audit record of a read by an actor; raises Unavailable, and nothing is read then."""
CHECK = "check.read"
"""Scope of the machine that checks the system: counts and ids, no personal data."""
MOST_CHARACTERS = 128
"""Of an actor. Source: the event `audit.recorded.v1`."""
_SUBJECT = re.compile(r"[\x21-\x7e]+")
"""OpenID Connect Core, section 2: `sub` is ASCII. Here it has no space either, so that no two
subjects look alike."""

_TOKEN = HTTPBearer(auto_error=False, scheme_name="Operator", description="An operator's token.")
"""Only describes the header and the scope in the OpenAPI document."""


class Operators:
    """Admits operators by token, and the checking machine by its secret where a route allows it."""

    def __init__(self, tokens: Tokens | None, issuer: str, machines: Credentials) -> None:
        self._tokens = tokens
        """None: no issuer is configured, and no operator is admitted."""
        self._issuer = issuer
        self._machines = machines
        self._refusals = RefusalLog()
        self.note_read: NoteRead | None = None
        """Records an operator's read before it happens; None: the service has no database."""

    async def admit(self, request: Request, scope: str) -> str:
        """Return the actor, `iss|sub`; raise RefusedError with 401, or 403 without the scope."""
        try:
            caller = await self._caller(given_once(request.headers, "authorization") or "")
            actor = actor_of(self._issuer, caller.user_id)
        except BadTokenError as error:
            self._note(request, 401, str(error))
            raise RefusedError(answers.unauthorized(str(error))) from None
        if scope not in caller.scopes:
            self._note(request, 403, "scope", actor)
            raise RefusedError(answers.forbidden(scope))
        return actor

    async def holds(self, request: Request, scope: str) -> bool:
        """Return whether the operator of an admitted request has one more scope."""
        caller = await self._caller(given_once(request.headers, "authorization") or "")
        return scope in caller.scopes

    async def _caller(self, authorization: str) -> Caller:
        token = bearer_token(authorization)
        if self._tokens is None:
            raise BadTokenError("no operators are configured: OPERATOR_ISSUER is not set")
        return await self._tokens.caller(token)

    def require(
        self, scope: Scope, *, or_machine: str = "", is_read: bool = False
    ) -> Callable[..., Awaitable[str]]:
        """Return a FastAPI dependency that yields the actor.

        `or_machine`: a scope of a machine's secret that the route accepts, too; it yields the
        machine's name then. `is_read`: an operator's request leaves an audit record.
        """

        async def admitted(
            request: Request, _header: Annotated[object, Security(_TOKEN, scopes=[scope])]
        ) -> str:
            if machine := or_machine and self._machines.caller_of(request, or_machine):
                return machine
            actor = await self.admit(request, scope)
            if is_read and self.note_read is not None:
                await self.note_read(request, actor)
            return actor

        return admitted

    def _note(self, request: Request, status: int, reason: str, actor: str | None = None) -> None:
        address = request.client.host if request.client else "unknown"
        self._refusals.note(status, reason, address, actor)


def actor_of(issuer: str, subject: str) -> str:
    """Return `iss|sub`; raise BadTokenError for a subject that cannot be an operator's."""
    actor = f"{issuer}|{subject}"
    if not _SUBJECT.fullmatch(subject):
        raise BadTokenError("sub: must be ASCII without spaces")
    if len(actor) > MOST_CHARACTERS:
        raise BadTokenError(
            f"sub: issuer and subject must have at most {MOST_CHARACTERS} characters"
        )
    return actor
