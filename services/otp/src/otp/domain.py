"""Pure rules of otp: who may receive a code, whether a code is accepted, when it expires."""

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
    """The stored state of a challenge; expiry and later challenges are not part of it."""

    LIVE = "LIVE"
    ACCEPTED = "ACCEPTED"
    LOCKED = "LOCKED"


@dataclass(frozen=True, slots=True)
class Payment:
    """The payment that a code is valid for; every field counts."""

    payment_id: PaymentId
    user_id: str
    amount_minor: int
    currency: str
    payee: str


@dataclass(frozen=True, slots=True)
class SecretHash:
    """The stored hash of a code: HMAC-SHA256 of salt, payment and code, as hex."""

    salt: str
    digest: str


@dataclass(frozen=True, slots=True)
class Challenge:
    """A one-time code that was issued for a payment."""

    payment: Payment
    number: int
    """The number among the challenges of its payment, from 1."""
    secret: SecretHash
    issued_at: datetime
    expires_at: datetime
    attempts: int = 0
    state: State = State.LIVE
    superseded: bool = False
    """Whether its payment has a later challenge."""

    @property
    def id(self) -> ChallengeId:
        """The id, which depends only on payment and number."""
        return challenge_id_of(self.payment.payment_id, self.number)


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one user over all payments. Source: contract.md, additions."""

    live: int = 5
    """Live challenges at once."""
    an_hour: int = 10
    a_day: int = 30
    wrong_in_a_row: int = 100
    """Wrong codes that lock the user's codes. Source: NIST SP 800-63B."""

    @property
    def latest(self) -> int:
        """How many of a user's latest challenges the limits depend on."""
        return max(self.live, self.an_hour, self.a_day)


@dataclass(frozen=True, slots=True)
class Lock:
    """The lock of a user's codes: its time, and the payment of the last wrong code."""

    at: datetime
    payment_id: PaymentId
    transaction_id: TransactionId


@dataclass(frozen=True, slots=True)
class Issued:
    """The fields of a user's challenge that the limits need."""

    payment_id: PaymentId
    number: int
    issued_at: datetime
    expires_at: datetime
    state: State = State.LIVE


@dataclass(frozen=True, slots=True)
class User:
    """The state of a user that the limits need, over all payments."""

    user_id: str
    wrong_in_a_row: int = 0
    lock: Lock | None = None
    issued: tuple[Issued, ...] = ()
    """The latest challenges of the last day, at most `Limits.latest`."""

    def with_issued(self, challenge: Challenge) -> "User":
        """Return the user with one more challenge."""
        issued = Issued(
            challenge.payment.payment_id,
            challenge.number,
            challenge.issued_at,
            challenge.expires_at,
        )
        return replace(self, issued=(*self.issued, issued))


@dataclass(frozen=True, slots=True)
class RequestKey:
    """The identity of a request for a challenge."""

    payment_id: PaymentId
    version: int
    """The payment's version at the request."""
    number: int

    @property
    def challenge_id(self) -> ChallengeId:
        """The id of the requested challenge."""
        return challenge_id_of(self.payment_id, self.number)


@dataclass(frozen=True, slots=True)
class Refusal:
    """The reason why no code is issued for now; stored, so that a repeated request gets it too."""

    reason: ChallengeRefusal
    retry_after_s: int | None = None


def challenge_id_of(payment_id: PaymentId, number: int) -> ChallengeId:
    """Return a challenge's id, which depends only on payment and number."""
    return ChallengeId(uuid5(payment_id, f"challenge:{number}"))


def refusal(
    user: User, payment_id: PaymentId, now: datetime, limits: Limits, *, reachable: bool
) -> Refusal | None:
    """Return why a user may receive no code for a payment now, or None."""
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
    """Return the times at which the limits that are reached allow one more challenge."""
    live = [issued.expires_at for issued in _live(user.issued, payment_id, now)]
    yield from _passes_at(live, limits.live)
    for window, most in ((HOUR, limits.an_hour), (DAY, limits.a_day)):
        ends = [issued.issued_at + window for issued in user.issued]
        yield from _passes_at([end for end in ends if end > now], most)


def _passes_at(ends: Sequence[datetime], most: int) -> Iterator[datetime]:
    """Return when fewer than `most` ends are left, where `most` or more are left now."""
    if len(ends) >= most:
        yield sorted(ends)[len(ends) - most]


def _live(issued: Sequence[Issued], payment_id: PaymentId, now: datetime) -> Iterator[Issued]:
    """Return the live challenges of other payments; a new one ends its own payment's."""
    latest: dict[PaymentId, Issued] = {}
    for challenge in sorted(issued, key=lambda challenge: challenge.number):
        latest[challenge.payment_id] = challenge
    latest.pop(payment_id, None)
    for challenge in latest.values():
        if challenge.state is State.LIVE and now < challenge.expires_at:
            yield challenge


@dataclass(frozen=True, slots=True)
class CodeAttempt:
    """The identity of a request that tries a code on a challenge."""

    request_id: RequestId
    challenge_id: ChallengeId
    payment_id: PaymentId


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of a code attempt; stored, so that a repeated request gets it too."""

    result: VerificationResult
    challenge_over: bool
    """Whether the challenge accepts no further codes."""
    counted: bool
    """Whether the attempt counts."""
    codes_locked: bool = False
    """Whether the code was not checked, because the user's codes are locked."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict, and the challenge after it; None for an unknown challenge."""

    challenge: Challenge | None
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Try:
    """A code, compared with its challenge, at the time of the attempt."""

    payment_id: PaymentId
    matches: bool
    """Whether the code is the challenge's code."""
    now: datetime


def judge(challenge: Challenge | None, tried: Try, attempts: int) -> Judgement:
    """Judge one code; after `attempts` wrong ones the challenge is locked.

    A refusal is a verdict, not an error. Attempts on a challenge that is over do not count.
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


def refuse_if_locked(user: User, judgement: Judgement, challenge: Challenge | None) -> Judgement:
    """Replace the judgement where the user is locked: no code is accepted, and none counts."""
    if user.lock is None:
        return judgement
    is_over = not judgement.verdict.counted
    return Judgement(challenge, Verdict("locked", is_over, counted=False, codes_locked=True))


def after_verdict(user: User, verdict: Verdict, lock: Lock, limits: Limits) -> User:
    """Return the user after a verdict; `lock` is set when the count reaches the limit."""
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
