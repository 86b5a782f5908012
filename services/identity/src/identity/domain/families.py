"""Refresh tokens of one session: each is used once, and its use makes the next one. Pure.

A response may be lost after its commit. So the client may repeat a refresh for some seconds, until
the next token is used: it gets the same next token. The next token is derived from the presented
token and a stored random value, so that nobody can read it from the database. Any other second use
means that two parties hold the token: the session ends.
"""

import base64
import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from payment_schemas.sealed import Personal

PREFIX = "rt_"
SECRET_CHARACTERS = 43
"""256 bits as base64url."""
NONCE_CHARACTERS = 43


class Verdict(StrEnum):
    """What a presented refresh token leads to."""

    ROTATED = "rotated"
    REPEATED = "repeated"
    REUSED = "reused"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class SessionRules:
    """How long sessions live, and how many a user may have."""

    idle: timedelta
    """Until a session ends without a refresh."""
    life: timedelta
    most: int
    repeat_within: timedelta
    """For how long a used refresh token may be repeated."""


@dataclass(frozen=True, slots=True)
class Session:
    """One sign-in of a user on one device."""

    id: UUID
    user_id: UUID
    kind: str
    """`customer` or `operator`: whose tokens it yields."""
    idle_at: datetime
    """When it ends without a refresh."""
    expires_at: datetime
    """When it ends in any case."""
    ended_at: datetime | None = None
    client_id: str | None = None
    """The application that the person signed in to; None for the routes below `/auth`."""
    scopes: list[str] | None = None
    """What was granted to the application; None for everything that the person has."""


@dataclass(frozen=True, slots=True)
class Presented:
    """A refresh token of a session, as it is stored."""

    used_at: datetime | None = None
    nonce: str = ""
    """What its successor was derived with."""
    successor_used: bool = False


def judge(session: Session, token: Presented, now: datetime, repeat_within: timedelta) -> Verdict:
    """Decide what a presented token leads to."""
    if session.ended_at is not None or now >= min(session.idle_at, session.expires_at):
        return Verdict.OVER
    if token.used_at is None:
        return Verdict.ROTATED
    if token.successor_used or now >= token.used_at + repeat_within:
        return Verdict.REUSED
    return Verdict.REPEATED


def first_token(secret: str) -> Personal:
    """Return the first token of a session."""
    return Personal(f"{PREFIX}{secret}")


def successor_of(token: Personal, nonce: str) -> Personal:
    """Return the token that follows; without the token, the nonce says nothing about it."""
    derived = hmac.digest(token.reveal().encode(), nonce.encode(), "sha256")
    return Personal(PREFIX + base64.urlsafe_b64encode(derived).decode().rstrip("="))


def hash_of(token: Personal) -> bytes:
    """Return what is stored of a token. It has 256 random bits, so a fast hash is enough."""
    return hashlib.sha256(token.reveal().encode("utf-8", "replace")).digest()
