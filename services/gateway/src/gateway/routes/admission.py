"""Who may pass, and how often: the checks before a body is looked at."""

from dataclasses import dataclass
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
    failures_per_minute: int
    anonymous_user: str | None
    trusted_proxies: list[Network]

    async def reader(self, request: Request) -> str:
        """Return the user a read speaks for; raise RefusedError with 401, 403 or 429."""
        caller = await self._caller(request)
        return _permitted(caller)

    async def writer(self, request: Request) -> str:
        """Return the user a write speaks for, counted; raise RefusedError with 401, 403 or 429.

        Every authenticated write counts, one without the scope too, whose answer stays 403.
        """
        caller = await self._caller(request)
        wait_s = await self.limits.admit("user", caller.user_id, self.per_minute)
        user_id = _permitted(caller)
        if wait_s is not None:
            raise RefusedError(over_limit(self.per_minute, wait_s))
        return user_id

    def address(self, request: Request) -> str:
        """Return the address a request came from, behind the proxies that are trusted."""
        forwarded = ",".join(request.headers.getlist("x-forwarded-for"))
        return client_address(peer_of(request), forwarded, self.trusted_proxies)

    async def _caller(self, request: Request) -> Caller:
        authorization = request.headers.get("authorization")
        if authorization is None and self.anonymous_user is not None:
            return Caller(self.anonymous_user, frozenset({SCOPE}), inf)
        try:
            return await self.tokens.caller(bearer_token(authorization or ""))
        except BadTokenError as error:
            raise RefusedError(await self._failed(request, str(error))) from None

    async def _failed(self, request: Request, details: str) -> Answer:
        """Count a failure of this address; past the limit its failures are told 429."""
        address = self.address(request)
        wait_s = await self.limits.admit("failed", address, self.failures_per_minute)
        if wait_s is not None:
            return over_limit(self.failures_per_minute, wait_s)
        return answers.unauthorized(details)


def peer_of(request: Request) -> str:
    """Return the address of whoever holds the other end of the connection."""
    return request.client.host if request.client else "unknown"


def _permitted(caller: Caller) -> str:
    if SCOPE not in caller.scopes:
        raise RefusedError(answers.forbidden(SCOPE))
    return caller.user_id
