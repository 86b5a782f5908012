"""What opens, continues and ends sessions, within one transaction."""

import string
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from fastapi.responses import Response

from identity.clients.tokens import Grant, TokenIssuer
from identity.domain.applications import of_resources
from identity.domain.durations import short
from identity.domain.families import (
    NONCE_CHARACTERS,
    SECRET_CHARACTERS,
    Session,
    SessionRules,
    Verdict,
    first_token,
    judge,
    successor_of,
)
from identity.domain.subjects import user_subject
from identity.routes.bodies import success
from identity.store import Codes, Devices, Sessions, Users
from payment_schemas.events.record import AuditRecorded
from payment_schemas.scopes import CUSTOMER_SCOPES, scopes_of
from payment_schemas.sealed import Personal
from service_runtime import metrics
from service_runtime.clock import Clock
from service_runtime.postgres import PostgresTransaction

APP = "countersign"
"""`client_id` of tokens that a person signed in for. Source: RFC 9068, 2.2."""
_refreshes = metrics.counter(
    "token_refreshes",
    "Refresh tokens that were presented, by result; a code that was used twice is reused, too.",
)
SECRET = string.ascii_letters + string.digits + "-_"


class NoScopesError(Exception):
    """The person has none of the scopes that the session would be for."""


@dataclass(frozen=True, slots=True)
class NewSession:
    """A sign-in of a user."""

    user_id: UUID
    kind: str
    device: str
    id: UUID
    client_id: str | None = None
    """The application that the person signs in to; None for the routes below `/auth`."""
    scopes: list[str] | None = None
    """What is granted to the application."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A session that goes on, its next refresh token, and the scopes of its access token."""

    session: Session
    token: Personal
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class SessionActs:
    """The acts of sessions."""

    rules: SessionRules
    issuer: TokenIssuer
    clock: Clock

    async def open(self, tx: PostgresTransaction, new: NewSession) -> Opened:
        """Open a session; raise NoScopesError, and nothing is opened then.

        Over the number of a user's sessions, the oldest one ends. The caller has locked the user.
        """
        now = self.clock.now()
        session = Session(
            id=new.id,
            user_id=new.user_id,
            kind=new.kind,
            idle_at=now + self.rules.idle,
            expires_at=now + self.rules.life,
            client_id=new.client_id,
            scopes=new.scopes,
        )
        scopes = await self.scopes(tx, session.user_id, session.kind, session.scopes)
        if not scopes:
            raise NoScopesError
        sessions = Sessions(tx)
        await sessions.end_all(session.user_id, now, "limit", keep=self.rules.most - 1)
        token = first_token(self.clock.text(SECRET, SECRET_CHARACTERS))
        await sessions.open(session, token, new.device, now)
        return Opened(session, token, scopes)

    async def refresh(
        self, tx: PostgresTransaction, token: Personal, client_id: str | None = None
    ) -> tuple[Verdict, Opened | None, Sequence[AuditRecorded]]:
        """Use a refresh token: return what it led to, and what the audit log records.

        `client_id`: the application that presents it; a token of another one is as an unknown one.
        """
        sessions, now = Sessions(tx), self.clock.now()
        found = await sessions.presented(token)
        if found is None or found[0].client_id != client_id:
            return Verdict.OVER, None, ()
        session, presented = found
        verdict = judge(session, presented, now, self.rules.repeat_within)
        if verdict is Verdict.REUSED:
            await sessions.end(session.id, now, "reuse")
            return (
                verdict,
                None,
                [self.audited(session.user_id, "REFRESH_TOKEN_REUSED", session.id)],
            )
        scopes = await self.scopes(tx, session.user_id, session.kind, session.scopes)
        if verdict is Verdict.OVER or not scopes:
            return Verdict.OVER, None, ()
        if verdict is Verdict.REPEATED:
            return verdict, Opened(session, successor_of(token, presented.nonce), scopes), ()
        session = replace(session, idle_at=now + self.rules.idle)
        nonce = self.clock.text(SECRET, NONCE_CHARACTERS)
        successor = await sessions.rotate(session, token, nonce, now)
        return verdict, Opened(session, successor, scopes), ()

    async def scopes(
        self, tx: PostgresTransaction, user_id: UUID, kind: str, granted: Sequence[str] | None
    ) -> frozenset[str]:
        """Return what a person's token holds as of now, at most what was granted."""
        if kind == "customer":
            held = frozenset(CUSTOMER_SCOPES)
        else:
            held = scopes_of(await Users(tx).roles(user_id))
        return held if granted is None else held & of_resources(granted)

    def access_token(self, opened: Opened) -> str:
        """Return the access token of a session."""
        session, is_operator = opened.session, opened.session.kind == "operator"
        audience = self.issuer.operator_audience if is_operator else self.issuer.audience
        subject, client_id = user_subject(session.user_id), session.client_id or APP
        return self.issuer.issue(
            Grant(subject, client_id, audience, opened.scopes, str(session.id))
        )

    def reply(self, opened: Opened) -> Response:
        """Return the tokens of a session."""
        return success(
            {
                "token": self.access_token(opened),
                "expiresIn": short(self.issuer.life_s),
                "tokenType": "Bearer",
                "refreshToken": opened.token.reveal(),
                "refreshExpiresIn": short(self._left_s(opened.session, self.clock.now())),
            }
        )

    def _left_s(self, session: Session, now: datetime) -> int:
        return round((min(session.idle_at, session.expires_at) - now).total_seconds())

    async def end_all(self, tx: PostgresTransaction, user_id: UUID, by: str) -> int:
        """End all that a user is signed in to, or is about to be; return how many sessions."""
        now = self.clock.now()
        await Codes(tx).void(user_id, now)
        await Devices(tx).void(user_id, now)
        return await Sessions(tx).end_all(user_id, now, by)

    async def end(
        self, tx: PostgresTransaction, session_id: UUID, user_id: UUID, by: str
    ) -> Sequence[AuditRecorded]:
        """End a session; return what the audit log records, nothing where it has ended already."""
        has_ended = await Sessions(tx).end(session_id, self.clock.now(), by)
        return [self.audited(user_id, "SIGNED_OUT", session_id)] if has_ended else []

    @staticmethod
    def note(verdict: Verdict) -> None:
        """Count what became of a token, once its transaction is committed."""
        _refreshes.add(1, {"result": verdict.value})

    def audited(self, user_id: UUID, action: str, about: UUID) -> AuditRecorded:
        """Return the audit record of what a user did."""
        actor = f"{self.issuer.issuer}|{user_subject(user_id)}"
        return AuditRecorded(actor=actor, action=action, about=str(about))
