"""Who may pass, and how often: the checks before a body is looked at."""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.clients.tokens import TokenVerifier
from gateway.domain import SCOPE, BadTokenError, bearer_token, over_limit
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

    tokens: TokenVerifier
    limits: Limits
    per_minute: int
    failures_per_minute: int
    anonymous_user: str | None

    async def user(self, headers: Mapping[str, str], peer: str) -> str:
        """Return the user a request speaks for; raise RefusedError with 401, 403 or 429."""
        authorization = headers.get("authorization")
        if authorization is None and self.anonymous_user is not None:
            return self.anonymous_user
        try:
            if authorization is None:
                raise BadTokenError("A bearer token is required")
            caller = await self.tokens.caller(bearer_token(authorization))
        except BadTokenError as error:
            raise RefusedError(await self._failed(peer, str(error))) from None
        if SCOPE not in caller.scopes:
            raise RefusedError(answers.forbidden(SCOPE))
        return caller.user_id

    async def count(self, user_id: str) -> None:
        """Count one request of the user; raise RefusedError with 429 past the limit."""
        wait_s = await self.limits.admit("user", user_id, self.per_minute)
        if wait_s is not None:
            raise RefusedError(over_limit(self.per_minute, wait_s))

    async def _failed(self, peer: str, details: str) -> Answer:
        """Count a failure of this address; past the limit its failures are told 429."""
        wait_s = await self.limits.admit("failed", peer, self.failures_per_minute)
        if wait_s is not None:
            return over_limit(self.failures_per_minute, wait_s)
        return answers.unauthorized(details)
