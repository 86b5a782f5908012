"""What opens, continues and ends sessions, within one transaction."""

import string
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from fastapi import HTTPException
from fastapi.responses import Response

from identity.clients.tokens import Grant, TokenIssuer
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
from identity.store import Sessions, Users
from payment_schemas.events.record import AuditRecorded
from payment_schemas.scopes import CUSTOMER_SCOPES, scopes_of
from payment_schemas.sealed import Personal
from service_runtime.clock import Clock
from service_runtime.postgres import PostgresTransaction

APP = "countersign"
"""`client_id` of tokens that a person signed in for. Source: RFC 9068, 2.2."""
_SECRET = string.ascii_letters + string.digits + "-_"


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

    async def open(self, tx: PostgresTransaction, user_id: UUID, kind: str, device: str) -> Opened:
        """Open a session; over the number of a user's sessions, the oldest one ends."""
        now = self.clock.now()
        session = Session(
            id=self.clock.new_id(),
            user_id=user_id,
            kind=kind,
            idle_at=now + self.rules.idle,
            expires_at=now + self.rules.life,
        )
        scopes = await self._scopes(tx, session)
        if not scopes:
            raise HTTPException(403, {"error": "Forbidden", "details": "No role of an operator"})
        sessions = Sessions(tx)
        await sessions.end_all(user_id, now, "limit", keep=self.rules.most - 1)
        token = first_token(self.clock.text(_SECRET, SECRET_CHARACTERS))
        await sessions.open(session, token, device, now)
        return Opened(session, token, scopes)

    async def refresh(
        self, tx: PostgresTransaction, token: Personal, address: str
    ) -> tuple[Verdict, Opened | None, Sequence[AuditRecorded]]:
        """Use a refresh token: return what it led to, and what the audit log records."""
        sessions, now = Sessions(tx), self.clock.now()
        found = await sessions.presented(token)
        if found is None:
            return Verdict.OVER, None, ()
        session, presented = found
        verdict = judge(session, presented, now, self.rules.repeat_within)
        if verdict is Verdict.REUSED:
            await sessions.end(session.id, now, "reuse")
            record = self.audited(session.user_id, "REFRESH_TOKEN_REUSED", session.id)
            return verdict, None, [record.model_copy(update={"metadata": {"ip_address": address}})]
        scopes = frozenset() if verdict is Verdict.OVER else await self._scopes(tx, session)
        if not scopes:
            return Verdict.OVER, None, ()
        if verdict is Verdict.REPEATED:
            return verdict, Opened(session, successor_of(token, presented.nonce), scopes), ()
        session = replace(session, idle_at=now + self.rules.idle)
        nonce = self.clock.text(_SECRET, NONCE_CHARACTERS)
        successor = await sessions.rotate(session, token, nonce, now)
        return verdict, Opened(session, successor, scopes), ()

    async def _scopes(self, tx: PostgresTransaction, session: Session) -> frozenset[str]:
        """Return the scopes of a session's tokens as they are now; none without a role."""
        if session.kind == "customer":
            return frozenset(CUSTOMER_SCOPES)
        return scopes_of(await Users(tx).roles(session.user_id))

    def reply(self, opened: Opened) -> Response:
        """Return the tokens of a session."""
        session, is_operator = opened.session, opened.session.kind == "operator"
        audience = self.issuer.operator_audience if is_operator else self.issuer.audience
        subject = user_subject(session.user_id)
        grant = Grant(subject, APP, audience, opened.scopes, str(session.id))
        return success(
            {
                "token": self.issuer.issue(grant),
                "expiresIn": short(self.issuer.life_s),
                "tokenType": "Bearer",
                "refreshToken": opened.token.reveal(),
                "refreshExpiresIn": short(self._left_s(session, self.clock.now())),
            }
        )

    def _left_s(self, session: Session, now: datetime) -> int:
        return round((min(session.idle_at, session.expires_at) - now).total_seconds())

    def audited(self, user_id: UUID, action: str, about: UUID) -> AuditRecorded:
        """Return the audit record of what a user did."""
        actor = f"{self.issuer.issuer}|{user_subject(user_id)}"
        return AuditRecorded(actor=actor, action=action, about=str(about))
