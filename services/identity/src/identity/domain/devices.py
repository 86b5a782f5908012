"""Sign-in of a device by a person at a browser elsewhere. Source: RFC 8628. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

LIFE = timedelta(minutes=10)
INTERVAL_S = 5
SLOWER_S = 5
"""Added to the interval by each poll that comes too early. Source: RFC 8628, 3.5."""
MOST_INTERVAL_S = 600
CODE_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
"""No vowels, no digits: no words, nothing to confuse. Source: RFC 8628, 6.1."""
CODE_CHARACTERS = 8
"""34 bits for ten minutes, and attempts are limited. Source: RFC 8628, 5.1."""


class Poll(StrEnum):
    """What a poll of a device leads to; the values are the error codes of RFC 8628, 3.5."""

    GRANTED = "granted"
    PENDING = "authorization_pending"
    SLOW = "slow_down"
    DENIED = "access_denied"
    EXPIRED = "expired_token"
    USED = "invalid_grant"


@dataclass(frozen=True, slots=True)
class Device:
    """A device that waits for a person, as it is stored under the hash of its code."""

    user_code: str
    client_id: str
    scopes: Sequence[str]
    interval_s: int
    expires_at: datetime
    session_id: UUID
    polled_at: datetime | None = None
    decided_at: datetime | None = None
    user_id: UUID | None = None
    used_at: datetime | None = None


def judge_poll(device: Device, now: datetime) -> Poll:
    """Decide what a poll leads to."""
    if device.used_at is not None:
        return Poll.USED
    if now >= device.expires_at:
        return Poll.EXPIRED
    if device.user_id is not None:
        return Poll.GRANTED
    if device.decided_at is not None:
        return Poll.DENIED
    since = device.polled_at
    is_early = since is not None and now < since + timedelta(seconds=device.interval_s)
    return Poll.SLOW if is_early else Poll.PENDING


def next_interval_s(device: Device, poll: Poll) -> int:
    """Return the seconds that the device waits from now on."""
    slower = SLOWER_S if poll is Poll.SLOW else 0
    return min(device.interval_s + slower, MOST_INTERVAL_S)


def typed(text: str) -> str:
    """Return a code as it is stored, however a person has typed it; empty for what is none."""
    letters = "".join(one for one in text.upper() if one not in "- \t")
    is_code = len(letters) == CODE_CHARACTERS and set(letters) <= set(CODE_LETTERS)
    return letters if is_code else ""


def shown(user_code: str) -> str:
    """Return a code as a person reads it."""
    half = CODE_CHARACTERS // 2
    return f"{user_code[:half]}-{user_code[half:]}"
