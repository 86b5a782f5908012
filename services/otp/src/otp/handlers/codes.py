"""Generation and comparison of codes, and the rules of both handlers."""

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
_dropped = metrics.counter("otp_dropped", "Requests that had expired when they were read.")


@dataclass(frozen=True, slots=True)
class Rules:
    """Lifetime of a code, attempts for a challenge, limits of a user. Source: contract.md."""

    life: timedelta
    attempts: int
    limits: Limits


@dataclass(frozen=True, slots=True)
class Codes:
    """Generates codes, and compares codes with stored hashes."""

    keys: KeyRing
    clock: Clock
    fixed: str = ""
    """One code for every challenge, in development."""

    def new(self) -> str:
        """Return a new code."""
        return self.fixed or self.clock.text(DIGITS, CODE_DIGITS)

    def hashed(self, payment: Payment, code: str) -> SecretHash:
        """Return the hash of a code, with a new salt."""
        salt = self.clock.text(HEX, SALT_CHARACTERS)
        return SecretHash(salt, _digest(self.keys.current.material, salt, payment, code))

    def matches(self, challenge: Challenge, code: str) -> bool:
        """Return, in constant time, whether a code is the challenge's code for its payment."""
        salt, payment = challenge.secret.salt, challenge.payment
        # Every key is tried, because the key may have been rotated after the code was hashed.
        digests = [_digest(key.material, salt, payment, code) for key in self.keys]
        return any(hmac.compare_digest(digest, challenge.secret.digest) for digest in digests)


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
    """Return the requests that have not expired; count the others."""
    kept = [item for item in batch if batch.now < item.event.expires_at]
    if len(kept) < len(batch):
        _dropped.add(len(batch) - len(kept), {"reason": "expired"})
    return kept
