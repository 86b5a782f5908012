"""The operator behind a request: the session, its limits, its token, and the proof of an act."""

import hmac
import string
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any

from fastapi import Depends, Request

from ops.clients.browser_sessions import BrowserSessions
from ops.clients.provider import Provider
from ops.clients.sessions import Signed
from ops.clients.system import System
from ops.console.places import is_local, own_address
from payment_schemas.scopes import SCOPES
from service_runtime.clock import Clock
from service_runtime.forms import BadFormError, form_fields

REFRESH_BEFORE_S = 30
NOTICE_WITHIN_S = 60
MOST_FIELDS = 40
LETTERS = string.ascii_letters + string.digits
CHARACTERS = 43
"""Of 62 letters: 256 bits."""


class SignInNeededError(Exception):
    """There is no session, or it has ended."""


class ForbiddenError(Exception):
    """The operator may not do this; the text says why."""


@dataclass(frozen=True, slots=True)
class Session:
    """What is kept of an operator's sign-in."""

    subject: str
    issuer: str
    name: str
    """For display alone."""
    access_token: str
    expires_at: float
    """Of the access token, Unix time."""
    refresh_token: str
    scopes: str
    csrf: str
    begun_at: float


@dataclass(frozen=True, slots=True)
class Limits:
    """How long sessions live."""

    idle_s: int
    life_s: int


@dataclass(frozen=True, slots=True)
class Stores:
    """Where sessions are kept, and the notices for their next pages."""

    sessions: BrowserSessions
    notices: BrowserSessions


@dataclass(frozen=True, slots=True)
class Viewer:
    """An operator with a session, at one request."""

    request: Request
    secret: str
    session: Session
    system: System
    """The running system, asked with the operator's token."""

    @property
    def actor(self) -> str:
        """The identity in audit rows."""
        return f"{self.session.issuer}|{self.session.subject}"

    @property
    def address(self) -> str:
        """The address of the page that is shown; none where it cannot be opened again."""
        return own_address(self.request)

    @property
    def scopes(self) -> frozenset[str]:
        """What the operator may do; every owner checks it again."""
        return frozenset(self.session.scopes.split()) & frozenset(SCOPES)

    def may(self, scope: str) -> bool:
        """Say whether the operator has a scope."""
        return scope in self.scopes

    def need(self, scope: str) -> None:
        """Raise ForbiddenError without a scope."""
        if not self.may(scope):
            raise ForbiddenError(f"This needs the scope {scope}.")


class Viewers:
    """Finds the operator of each request, and refreshes tokens in time."""

    def __init__(
        self,
        stores: Stores,
        provider: Provider,
        system: System,
        clock: Clock,
        limits: Limits,
    ) -> None:
        self._stores = stores
        self._provider = provider
        self._system = system
        self._clock = clock
        self._limits = limits
        self._refreshing = threading.Lock()

    def find(self, request: Request, secret: str) -> Viewer:
        """Return the operator with a session; raise SignInNeededError, or UnavailableError."""
        session = self._read(secret)
        if session.expires_at - self._now() < REFRESH_BEFORE_S:
            session = self._refreshed(secret)
        return Viewer(request, secret, session, self._system.acting_with(session.access_token))

    def begin(self, tokens: Mapping[str, Any]) -> str:
        """Keep a new session; return its secret, which only the browser holds then."""
        claims = tokens["claims"]
        access_token = str(tokens["access_token"])
        # RFC 6749, 5.1: a response names the scopes where they are not those that were asked for.
        scopes = tokens.get("scope") or Signed(access_token, 0).claims.get("scope", "")
        session = Session(
            subject=str(claims["sub"]),
            issuer=str(claims["iss"]),
            name=str(claims.get("name") or claims["sub"])[:64],
            access_token=access_token,
            expires_at=self._now() + float(tokens.get("expires_in", 0)),
            refresh_token=str(tokens.get("refresh_token", "")),
            scopes=str(scopes),
            csrf=self.new_secret(),
            begun_at=self._now(),
        )
        secret = self.new_secret()
        self._write(secret, session)
        return secret

    def new_secret(self) -> str:
        """Return an unpredictable text of 256 bits."""
        return self._clock.text(LETTERS, CHARACTERS)

    def notify(self, viewer: Viewer, notice: str) -> None:
        """Keep a sentence for the next page of a session: the outcome of an act."""
        # Not in the session itself: a refresh at the same time would be overwritten.
        self._stores.notices.put(viewer.secret, {"notice": notice}, NOTICE_WITHIN_S)

    def notice(self, viewer: Viewer) -> str:
        """Return the sentence that is kept for the next page, once."""
        return str((self._stores.notices.take(viewer.secret) or {}).get("notice", ""))

    def end(self, viewer: Viewer) -> None:
        """End a session, here and at the issuer."""
        self._stores.sessions.end(viewer.secret)
        if viewer.session.refresh_token:
            self._provider.revoke(viewer.session.refresh_token)

    def _read(self, secret: str) -> Session:
        kept = self._stores.sessions.get(secret, self._limits.idle_s) if secret else None
        if kept is None:
            raise SignInNeededError
        session = Session(**kept)
        if self._now() - session.begun_at > self._limits.life_s:
            self._stores.sessions.end(secret)
            raise SignInNeededError
        return session

    def _refreshed(self, secret: str) -> Session:
        """Return the session with a new access token; a refresh token may be used once alone."""
        with self._refreshing:
            session = self._read(secret)
            if session.expires_at - self._now() >= REFRESH_BEFORE_S:
                return session
            token = session.refresh_token
            tokens = self._provider.refreshed(token) if token else None
            if tokens is None:
                self._stores.sessions.end(secret)
                raise SignInNeededError
            renewed = replace(
                session,
                access_token=str(tokens["access_token"]),
                expires_at=self._now() + float(tokens.get("expires_in", 0)),
                refresh_token=str(tokens.get("refresh_token", token)),
                scopes=str(tokens.get("scope", session.scopes)),
            )
            self._write(secret, renewed)
            return renewed

    def _write(self, secret: str, session: Session) -> None:
        self._stores.sessions.put(secret, asdict(session), self._limits.idle_s)

    def _now(self) -> float:
        return self._clock.now().timestamp()


async def form_of(request: Request) -> Mapping[str, str]:
    """Return the fields of a request's form; raise ForbiddenError for one that is not readable."""
    try:
        fields = form_fields(await request.body(), MOST_FIELDS)
    except BadFormError as error:
        raise ForbiddenError(f"The form was not understood: {error}.") from None
    came_from = fields.get("from", "")
    request.state.came_from = came_from if is_local(came_from) else ""
    return fields


Form = Annotated[Mapping[str, str], Depends(form_of)]


def check_act(viewer: Viewer, form: Mapping[str, str]) -> None:
    """Raise ForbiddenError unless a form is this session's own. Source: OWASP ASVS 5.0, 3.5."""
    is_own = hmac.compare_digest(form.get("csrf", "").encode(), viewer.session.csrf.encode())
    if not is_own or viewer.request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        raise ForbiddenError("This form is not of your session. Open the page again.")
