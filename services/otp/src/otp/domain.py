"""What otp decides: who may have a code, whether one is accepted, when it is over. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from math import ceil
from uuid import uuid5

from payment_schemas.events.otp import ChallengeRefusal, VerificationResult
from payment_schemas.ids import ChallengeId, PaymentId, RequestId, TransactionId

CODE_DIGITS = 6
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


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
    issued_at: datetime
    expires_at: datetime
    attempts: int = 0
    state: State = State.LIVE
    superseded: bool = False
    """Whether its payment has a later challenge."""

    @property
    def id(self) -> ChallengeId:
        """The same for every run of one request."""
        return challenge_id_of(self.payment.payment_id, self.number)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one user may have over all payments. Source: contract.md, additions."""

    live: int = 5
    """Challenges at once."""
    an_hour: int = 10
    a_day: int = 30
    wrong_in_a_row: int = 100
    """Wrong codes that lock the user's codes. Source: NIST SP 800-63B."""

    @property
    def latest(self) -> int:
        """How many of a user's latest challenges decide about the next one."""
        return max(self.live, self.an_hour, self.a_day)


@dataclass(frozen=True, slots=True)
class Lock:
    """Since when a user's codes are locked, and on which payment the last wrong one was tried."""

    at: datetime
    payment_id: PaymentId
    transaction_id: TransactionId


@dataclass(frozen=True, slots=True)
class Issued:
    """A challenge of a user, as far as the limits look at it."""

    payment_id: PaymentId
    number: int
    issued_at: datetime
    expires_at: datetime
    state: State = State.LIVE


@dataclass(frozen=True, slots=True)
class User:
    """What limits one user, over all payments."""

    user_id: str
    wrong_in_a_row: int = 0
    lock: Lock | None = None
    issued: tuple[Issued, ...] = ()
    """The challenges of the last day, as many of the latest as the limits look at."""

    def with_issued(self, challenge: Challenge) -> "User":
        """Return the user with one more challenge."""
        one = Issued(
            challenge.payment.payment_id,
            challenge.number,
            challenge.issued_at,
            challenge.expires_at,
        )
        return replace(self, issued=(*self.issued, one))


@dataclass(frozen=True, slots=True)
class Asked:
    """Which request of which payment asks for which challenge; asked once."""

    payment_id: PaymentId
    version: int
    """The payment's when it asked."""
    number: int

    @property
    def challenge_id(self) -> ChallengeId:
        """The challenge that it asks for."""
        return challenge_id_of(self.payment_id, self.number)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why no code is issued, for now; the same whenever the same request is read again."""

    reason: ChallengeRefusal
    retry_after_s: int | None = None


def challenge_id_of(payment_id: PaymentId, number: int) -> ChallengeId:
    """Return a challenge's id: the same for every run of one request."""
    return ChallengeId(uuid5(payment_id, f"challenge:{number}"))


def refusal(
    user: User, payment_id: PaymentId, now: datetime, limits: Limits, *, reachable: bool
) -> Refusal | None:
    """Return why a user may have no code for a payment now, or None where one is issued."""
    if user.lock is not None:
        return Refusal("locked")
    if not reachable:
        return Refusal("undeliverable")
    free_at = max(_free_at(user, payment_id, now, limits), default=now)
    if free_at > now:
        return Refusal("too_many", ceil((free_at - now).total_seconds()))
    return None


def _free_at(
    user: User, payment_id: PaymentId, now: datetime, limits: Limits
) -> Iterator[datetime]:
    """Return when each limit lets one more challenge pass that does not let it pass now."""
    live = [one.expires_at for one in _live(user.issued, payment_id, now)]
    yield from _passes_at(live, limits.live)
    for window, most in ((HOUR, limits.an_hour), (DAY, limits.a_day)):
        ends = [one.issued_at + window for one in user.issued]
        yield from _passes_at([end for end in ends if end > now], most)


def _passes_at(ends: Sequence[datetime], most: int) -> Iterator[datetime]:
    """Of what counts until each of these ends, fewer than `most` may be left."""
    if len(ends) >= most:
        yield sorted(ends)[len(ends) - most]


def _live(issued: Sequence[Issued], payment_id: PaymentId, now: datetime) -> Iterator[Issued]:
    """Return the challenges that take codes beside a new one of a payment, which ends its own."""
    latest: dict[PaymentId, Issued] = {}
    for one in sorted(issued, key=lambda one: one.number):
        latest[one.payment_id] = one
    latest.pop(payment_id, None)
    for one in latest.values():
        if one.state is State.LIVE and now < one.expires_at:
            yield one


@dataclass(frozen=True, slots=True)
class CodeAttempt:
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
    codes_locked: bool = False
    """Whether the code was not judged at all, because the user's codes are locked."""


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


def for_user(user: User, judgement: Judgement, challenge: Challenge | None) -> Judgement:
    """Keep a code of a locked user from being judged: not even the right one passes, or costs."""
    if user.lock is None:
        return judgement
    is_over = not judgement.verdict.counted
    return Judgement(challenge, Verdict("locked", is_over, counted=False, codes_locked=True))


def after_verdict(user: User, verdict: Verdict, lock: Lock, limits: Limits) -> User:
    """Count a wrong code in a row, or begin anew after a right one; `lock` is what too many set."""
    if not verdict.counted:
        return user
    if verdict.result == "valid":
        return replace(user, wrong_in_a_row=0)
    wrong = user.wrong_in_a_row + 1
    return replace(
        user, wrong_in_a_row=wrong, lock=lock if wrong >= limits.wrong_in_a_row else None
    )


def _refused(challenge: Challenge | None, result: VerificationResult) -> Judgement:
    return Judgement(challenge, Verdict(result, challenge_over=True, counted=False))


def _counted(challenge: Challenge, state: State, result: VerificationResult) -> Judgement:
    after = replace(challenge, attempts=challenge.attempts + 1, state=state)
    return Judgement(after, Verdict(result, state is not State.LIVE, counted=True))
