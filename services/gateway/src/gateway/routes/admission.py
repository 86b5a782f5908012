"""Who may pass, and how often: the checks before a body is looked at."""

from dataclasses import dataclass, field
from math import inf

from starlette.requests import Request

from gateway.clients.tokens import Tokens
from gateway.domain import (
    SCOPE,
    BadTokenError,
    Caller,
    Network,
    bearer_token,
    client_address,
    over_limit,
)
from gateway.store import Limits
from payment_schemas import answers
from payment_schemas.answers import Answer
from service_runtime.refusals import RefusalLog
from service_runtime.web import given_once


class RefusedError(Exception):
    """The request goes no further; `answer` is what the client is told."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.body)
        self.answer = answer


@dataclass(frozen=True, slots=True)
class Admission:
    """Authentication, scope and limits, in the contract's order."""

    tokens: Tokens
    limits: Limits
    per_minute: int
    reads_per_minute: int
    failures_per_minute: int
    anonymous_user: str | None
    trusted_proxies: list[Network]
    refusals: RefusalLog = field(default_factory=RefusalLog)

    async def reader(self, request: Request) -> str:
        """Return the user a read speaks for, counted; raise RefusedError with 401, 403 or 429."""
        return await self._counted(request, "read", self.reads_per_minute)

    async def writer(self, request: Request) -> str:
        """Return the user a write speaks for, counted; raise RefusedError with 401, 403 or 429."""
        return await self._counted(request, "user", self.per_minute)

    async def _counted(self, request: Request, kind: str, per_minute: int) -> str:
        """Count every authenticated request, one without the scope too, whose answer stays 403."""
        caller = await self._caller(request)
        wait_s = await self.limits.admit(kind, caller.user_id, per_minute)
        if SCOPE not in caller.scopes:
            self._note(request, 403, "scope", caller.user_id)
            raise RefusedError(answers.forbidden(SCOPE))
        if wait_s is not None:
            self._note(request, 429, kind, caller.user_id)
            raise RefusedError(over_limit(per_minute, wait_s))
        return caller.user_id

    def address(self, request: Request) -> str:
        """Return the address a request came from, behind the proxies that are trusted."""
        forwarded = ",".join(request.headers.getlist("x-forwarded-for"))
        return client_address(peer_of(request), forwarded, self.trusted_proxies)

    async def _caller(self, request: Request) -> Caller:
        if "authorization" not in request.headers and self.anonymous_user is not None:
            return Caller(self.anonymous_user, frozenset({SCOPE}), inf)
        try:
            # Of two that differ, the one that somebody before us has checked may be the other one.
            authorization = given_once(request.headers, "authorization")
            return await self.tokens.caller(bearer_token(authorization or ""))
        except BadTokenError as error:
            raise RefusedError(await self._failed(request, str(error))) from None

    async def _failed(self, request: Request, details: str) -> Answer:
        """Count a failure of this address; past the limit its failures are told 429."""
        address = self.address(request)
        wait_s = await self.limits.admit("failed", address, self.failures_per_minute)
        if wait_s is not None:
            self._note(request, 429, "failed")
            return over_limit(self.failures_per_minute, wait_s)
        self._note(request, 401, details)
        return answers.unauthorized(details)

    def _note(self, request: Request, status: int, reason: str, user_id: str | None = None) -> None:
        self.refusals.note(status, reason, self.address(request), user_id)


def peer_of(request: Request) -> str:
    """Return the address of whoever holds the other end of the connection."""
    return request.client.host if request.client else "unknown"
