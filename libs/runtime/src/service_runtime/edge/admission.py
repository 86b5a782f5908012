"""Authentication, scopes and rate limits of requests, in the order of the edge's contract."""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from math import inf
from typing import Annotated, Self

from fastapi import Depends, Request
from fastapi.security import HTTPBearer
from starlette.requests import HTTPConnection

from payment_schemas import answers
from payment_schemas.answers import Answer, RefusedError
from service_runtime.callers import BadTokenError, Caller, bearer_token
from service_runtime.credentials import Credentials
from service_runtime.edge.addresses import Network, client_address
from service_runtime.edge.limits import Limits, SharedLimits
from service_runtime.edge.settings import EdgeSettings
from service_runtime.http_client import HttpClient
from service_runtime.issuers import TrustedIssuer, TwoIssuers
from service_runtime.refusals import RefusalLog
from service_runtime.service import Service
from service_runtime.tls import Authority
from service_runtime.tokens import TokenRules, Tokens, TokenVerifier
from service_runtime.web import given_once

FORWARDED_BY = "X-Forwarded-By"
"""Header of the credential with which the gateway forwards a request."""
FORWARD = "clients.forward"
"""The scope that this credential needs."""
_in_header = HTTPBearer(auto_error=False, description="An access token (RFC 9068).")
"""Only describes the header in the OpenAPI document; `Admission` reads and checks it."""


@dataclass(frozen=True, slots=True)
class Access:
    """What a route requires of a caller."""

    scope: str
    """Empty: any valid token."""
    per_minute: int
    limit: str = "user"
    """Name of the limit; routes that name the same limit share its window for each user."""


@dataclass(frozen=True, slots=True)
class Admission:
    """Checks requests: token, limit of the user, scope."""

    tokens: Tokens
    limits: Limits
    failures_per_minute: int
    anonymous_user: str | None = None
    trusted_proxies: Collection[Network] = ()
    refusals: RefusalLog = field(default_factory=RefusalLog)
    machines: Credentials | None = None
    """Who may forward a client's request: its `X-Forwarded-For` is believed."""

    @classmethod
    def of(cls, service: Service, settings: EdgeSettings, tokens: Tokens | None = None) -> Self:
        """Return the admission of a service, which opens the connections for it.

        `tokens`: what verifies tokens where the settings do not name the issuers' keys.
        """
        return cls(
            tokens=tokens or _tokens(service, settings),
            limits=service.use(
                SharedLimits(settings.redis_url, settings.redis_password, settings.redis_tls_ca)
            ),
            failures_per_minute=settings.failed_authentications_per_minute,
            anonymous_user=settings.anonymous_user,
            trusted_proxies=settings.trusted_proxies,
            machines=service.credentials,
        )

    def require(self, access: Access) -> Callable[..., Awaitable[Caller]]:
        """Return a FastAPI dependency that yields the caller of a route."""

        async def caller(
            request: Request, _header: Annotated[object, Depends(_in_header)]
        ) -> Caller:
            return await self.admit(request, access)

        return caller

    async def admit(self, request: HTTPConnection, access: Access) -> Caller:
        """Return the caller of a request; raise RefusedError with 401, 403 or 429.

        Every authenticated request is counted, also one whose token lacks the scope.
        """
        caller = await self._caller(request, access)
        wait_s = await self.limits.admit(access.limit, caller.user_id, access.per_minute)
        if access.scope and access.scope not in caller.scopes:
            self._note(request, 403, "scope", caller.user_id)
            raise RefusedError(answers.forbidden(access.scope))
        if wait_s is not None:
            self._note(request, 429, access.limit, caller.user_id)
            raise RefusedError(answers.over_limit(access.per_minute, wait_s))
        return caller

    def address(self, request: HTTPConnection) -> str:
        """Return the client's address, as far as the gateway or trusted proxies report it."""
        forwarded = ",".join(request.headers.getlist("x-forwarded-for"))
        if self._is_forwarded(request):
            return client_address(forwarded, "", ())
        return client_address(peer_of(request), forwarded, self.trusted_proxies)

    def _is_forwarded(self, request: HTTPConnection) -> bool:
        return (
            self.machines is not None
            and FORWARDED_BY in request.headers
            and self.machines.caller_of(request, FORWARD, FORWARDED_BY) is not None
        )

    async def _caller(self, request: HTTPConnection, access: Access) -> Caller:
        if "authorization" not in request.headers and self.anonymous_user is not None:
            return Caller(self.anonymous_user, frozenset({access.scope}), inf)
        try:
            # Of two different headers, a proxy in front may have checked the other one.
            authorization = given_once(request.headers, "authorization")
            return await self.tokens.caller(bearer_token(authorization or ""))
        except BadTokenError as error:
            raise RefusedError(await self.failed(request, str(error))) from None

    async def failed(self, request: HTTPConnection, details: str) -> Answer:
        """Count a failed authentication of the client's address: 401, or 429 over the limit."""
        address = self.address(request)
        wait_s = await self.limits.admit("failed", address, self.failures_per_minute)
        if wait_s is not None:
            self._note(request, 429, "failed")
            return answers.over_limit(self.failures_per_minute, wait_s)
        self._note(request, 401, details)
        return answers.unauthorized(details)

    def _note(
        self, request: HTTPConnection, status: int, reason: str, user_id: str | None = None
    ) -> None:
        self.refusals.note(status, reason, self.address(request), user_id)


def _tokens(service: Service, settings: EdgeSettings) -> Tokens:
    """Return what verifies tokens of the one trusted issuer, or of two."""

    def verifier(
        name: str, issuer: str, jwks_url: str, tls: Authority | None = None
    ) -> TokenVerifier:
        rules = TokenRules(
            issuer=issuer,
            audience=settings.token_audience,
            allow_rs256=settings.allow_rs256,
            refused_kids=frozenset(settings.refused_kids),
        )
        return TokenVerifier(service.use(HttpClient(name, jwks_url, tls=tls)), rules)

    first = verifier("issuer", settings.token_issuer, settings.jwks_url)
    if not settings.second_token_issuer:
        return first
    own = Authority(settings.second_jwks_tls_ca) if settings.second_jwks_tls_ca else None
    second = verifier("second-issuer", settings.second_token_issuer, settings.second_jwks_url, own)
    return TwoIssuers(
        TrustedIssuer(settings.token_issuer, first),
        TrustedIssuer(settings.second_token_issuer, second),
        settings.second_subject_prefix,
    )


def peer_of(request: HTTPConnection) -> str:
    """Return the address at the other end of the connection."""
    return request.client.host if request.client else "unknown"
