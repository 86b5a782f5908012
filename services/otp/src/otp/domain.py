"""What otp decides: whether a code is accepted, and when a challenge is over. Pure."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from uuid import uuid5

from payment_schemas.events.otp import VerificationResult
from payment_schemas.ids import ChallengeId, PaymentId, RequestId

CODE_DIGITS = 6


class State(StrEnum):
    """What became of a challenge, apart from time and later challenges."""

    LIVE = "LIVE"
    ACCEPTED = "ACCEPTED"
    LOCKED = "LOCKED"


@dataclass(frozen=True, slots=True)
class Payment:
    """What a code is good for, and for nothing else."""

    payment_id: PaymentId
    user_id: str
    amount_minor: int
    currency: str
    payee: str


@dataclass(frozen=True, slots=True)
class SecretHash:
    """All that is kept of a code: HMAC-SHA256 over the salt, the payment and the code, as hex."""

    salt: str
    digest: str


@dataclass(frozen=True, slots=True)
class Challenge:
    """One one-time code."""

    payment: Payment
    number: int
    """Which challenge of its payment, from 1."""
    secret: SecretHash
    expires_at: datetime
    attempts: int = 0
    state: State = State.LIVE
    superseded: bool = False
    """Whether its payment has a later challenge."""

    @property
    def id(self) -> ChallengeId:
        """The same for every run of one request."""
        return ChallengeId(uuid5(self.payment.payment_id, f"challenge:{self.number}"))


@dataclass(frozen=True, slots=True)
class Question:
    """Which request tries a code on which challenge of which payment; asked once."""

    request_id: RequestId
    challenge_id: ChallengeId
    payment_id: PaymentId


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to a question; the same whenever it is asked again."""

    result: VerificationResult
    challenge_over: bool
    """Whether the challenge takes no further codes."""
    counted: bool
    """Whether it cost the challenge an attempt."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict, and the challenge after it; None where there is no such challenge."""

    challenge: Challenge | None
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Try:
    """A code at the moment at which it is tried."""

    payment_id: PaymentId
    matches: bool
    """Whether it is the code of the challenge that it names."""
    now: datetime


def judge(challenge: Challenge | None, tried: Try, attempts: int) -> Judgement:
    """Judge one code; after `attempts` wrong ones the challenge is locked.

    Raises nothing: a refusal is a verdict. Only what could have been accepted counts.
    """
    if challenge is None or challenge.payment.payment_id != tried.payment_id:
        return _refused(challenge, "expired")
    if challenge.superseded or challenge.state is State.ACCEPTED:
        return _refused(challenge, "expired")
    if challenge.state is State.LOCKED:
        return _refused(challenge, "locked")
    if tried.now >= challenge.expires_at:
        return _refused(challenge, "expired")
    if tried.matches:
        return _counted(challenge, State.ACCEPTED, "valid")
    if challenge.attempts + 1 >= attempts:
        return _counted(challenge, State.LOCKED, "locked")
    return _counted(challenge, State.LIVE, "invalid")


def _refused(challenge: Challenge | None, result: VerificationResult) -> Judgement:
    return Judgement(challenge, Verdict(result, challenge_over=True, counted=False))


def _counted(challenge: Challenge, state: State, result: VerificationResult) -> Judgement:
    after = replace(challenge, attempts=challenge.attempts + 1, state=state)
    return Judgement(after, Verdict(result, state is not State.LIVE, counted=True))
