"""Codes, made and known again by their hash alone; and what both handlers go by."""

import hmac
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from otp.domain import CODE_DIGITS, Challenge, Limits, Payment, SecretHash
from payment_schemas.events.otp import ChallengeRequested, VerificationRequested
from service_runtime import metrics
from service_runtime.clock import Clock
from service_runtime.keys import KeyRing
from service_runtime.messages import Batch, Received
from service_runtime.sealing import keyed_hash

DIGITS = "0123456789"
HEX = "0123456789abcdef"
SALT_CHARACTERS = 32

R = TypeVar("R", ChallengeRequested, VerificationRequested)
_dropped = metrics.counter("otp_dropped", "Requests that nobody waited for any more.")


@dataclass(frozen=True, slots=True)
class Rules:
    """How long a code lives, how often one may be tried, and how many a user may have.

    Source: contract.md.
    """

    life: timedelta
    attempts: int
    limits: Limits


@dataclass(frozen=True, slots=True)
class Codes:
    """Makes codes, and knows them again by their hash alone."""

    keys: KeyRing
    clock: Clock
    fixed: str = ""
    """In development: the same code for everyone."""

    def new(self) -> str:
        """Return a code."""
        return self.fixed or self.clock.text(DIGITS, CODE_DIGITS)

    def hashed(self, payment: Payment, code: str) -> SecretHash:
        """Return what is kept of a code, under a salt of its own."""
        salt = self.clock.text(HEX, SALT_CHARACTERS)
        return SecretHash(salt, _digest(self.keys.current.material, salt, payment, code))

    def matches(self, challenge: Challenge, code: str) -> bool:
        """Say, in constant time, whether it is this challenge's code for this very payment."""
        salt, payment = challenge.secret.salt, challenge.payment
        # Every key is tried: a challenge outlives the rotation of the key that hashed its code.
        digests = [_digest(key.material, salt, payment, code) for key in self.keys]
        return any(hmac.compare_digest(one, challenge.secret.digest) for one in digests)


def _digest(key: bytes, salt: str, payment: Payment, code: str) -> str:
    return keyed_hash(
        key,
        salt,
        str(payment.payment_id),
        str(payment.amount_minor),
        payment.currency,
        payment.payee,
        payment.user_id,
        code,
    )


def in_time(batch: Batch[Received[R], Any]) -> list[Received[R]]:
    """Drop, and count, what nobody waits for any more."""
    kept = [item for item in batch if batch.now < item.event.expires_at]
    if len(kept) < len(batch):
        _dropped.add(len(batch) - len(kept), {"reason": "expired"})
    return kept
