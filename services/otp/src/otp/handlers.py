"""What otp does with requests for a challenge and with codes that are tried."""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

from otp.domain import (
    CODE_DIGITS,
    Challenge,
    Payment,
    Question,
    SecretHash,
    Try,
    Verdict,
    judge,
)
from otp.store import Challenges, Verification
from payment_schemas.events.otp import (
    Challenged,
    ChallengeRequested,
    VerificationRequested,
    Verified,
)
from payment_schemas.ids import ChallengeId
from service_runtime import metrics
from service_runtime.clock import Clock
from service_runtime.logs import Log
from service_runtime.messages import Batch, Emit, Events, Received
from service_runtime.sealing import Sealer, keyed_hash

DIGITS = "0123456789"
HEX = "0123456789abcdef"
SALT_CHARACTERS = 32

R = TypeVar("R", ChallengeRequested, VerificationRequested)
_log = Log("codes")
_validations = metrics.counter("otp_validation", "Codes that were judged.")
_dropped = metrics.counter("otp_dropped", "Requests that nobody waited for any more.")


@dataclass(frozen=True, slots=True)
class Rules:
    """How long a code lives and how often one may be tried. Source: contract.md."""

    life: timedelta
    attempts: int


@dataclass(frozen=True, slots=True)
class Codes:
    """Makes codes, and knows them again by their hash alone."""

    key: bytes
    clock: Clock
    fixed: str = ""
    """In development: the same code for everyone."""

    def new(self) -> str:
        """Return a code."""
        return self.fixed or self.clock.text(DIGITS, CODE_DIGITS)

    def hashed(self, payment: Payment, code: str) -> SecretHash:
        """Return what is kept of a code, under a salt of its own."""
        salt = self.clock.text(HEX, SALT_CHARACTERS)
        return SecretHash(salt, self._digest(salt, payment, code))

    def matches(self, challenge: Challenge, code: str) -> bool:
        """Say, in constant time, whether it is this challenge's code for this very payment."""
        expected = self._digest(challenge.secret.salt, challenge.payment, code)
        return hmac.compare_digest(expected, challenge.secret.digest)

    def _digest(self, salt: str, payment: Payment, code: str) -> str:
        return keyed_hash(
            self.key,
            salt,
            str(payment.payment_id),
            str(payment.amount_minor),
            payment.currency,
            payment.payee,
            payment.user_id,
            code,
        )


@dataclass(frozen=True, slots=True)
class Tried:
    """A code that a customer typed, and the question that it asks."""

    item: Received[VerificationRequested]
    question: Question
    code: str = field(repr=False)


async def on_challenge_requested(
    batch: Batch[Received[ChallengeRequested]],
    challenges: Challenges,
    codes: Codes,
    rules: Rules,
    notification: Sealer,
) -> Events:
    """Issue a code for every payment that needs one; it goes out sealed for notification."""
    issued: dict[ChallengeId, tuple[Challenge, Emit]] = {}
    for item in _in_time(batch):
        code = codes.new()
        challenge = _challenge(item.event, codes, code, batch.now + rules.life)
        event = _challenged(item.event, challenge, notification, code)
        issued.setdefault(challenge.id, (challenge, Emit(event, item.cause)))
    latest = await challenges.add([challenge for challenge, _ in issued.values()])
    return [emit for name, (_, emit) in issued.items() if name in latest]


async def on_verification_requested(
    batch: Batch[Received[VerificationRequested]],
    challenges: Challenges,
    codes: Codes,
    rules: Rules,
    gateway: Sealer,
) -> Events:
    """Judge every code, in order; what was judged before is answered as before."""
    tried = [_tried(item, gateway) for item in _in_time(batch)]
    bench = Bench(
        dict(await challenges.lock({one.question.challenge_id for one in tried})),
        dict(await challenges.verdicts({one.question for one in tried})),
        codes,
        rules.attempts,
    )
    events = [Emit(_verified(one, bench.answer(one, batch.now)), one.item.cause) for one in tried]
    await challenges.save(bench.changed)
    await challenges.note(bench.new)
    return events


@dataclass(slots=True)
class Bench:
    """Judges codes one after the other, each on the challenge that the one before left."""

    challenges: dict[ChallengeId, Challenge]
    verdicts: dict[Question, Verdict]
    codes: Codes
    attempts: int
    new: list[Verification] = field(default_factory=list)

    @property
    def changed(self) -> Sequence[Challenge]:
        """The challenges that a code was tried on."""
        counted = {one.question.challenge_id for one in self.new if one.verdict.counted}
        return [self.challenges[name] for name in counted]

    def answer(self, tried: Tried, now: datetime) -> Verdict:
        """Return the verdict on a code; a question that was answered costs nothing."""
        if tried.question not in self.verdicts:
            self.verdicts[tried.question] = self._judged(tried, now)
        return self.verdicts[tried.question]

    def _judged(self, tried: Tried, now: datetime) -> Verdict:
        question = tried.question
        challenge = self.challenges.get(question.challenge_id)
        matches = challenge is not None and self.codes.matches(challenge, tried.code)
        judgement = judge(challenge, Try(question.payment_id, matches, now), self.attempts)
        if judgement.challenge is not None:
            self.challenges[question.challenge_id] = judgement.challenge
        self.new.append(Verification(question, judgement.verdict, now))
        _validations.add(1, {"result": judgement.verdict.result})
        if judgement.verdict.result != "valid":
            # Whoever sees that somebody guesses must find out whose payment it is.
            attempts = judgement.challenge.attempts if judgement.challenge else 0
            result = judgement.verdict.result
            _log.info(
                "code_refused", payment_id=question.payment_id, status=result, attempts=attempts
            )
        return judgement.verdict


def _in_time(batch: Batch[Received[R]]) -> list[Received[R]]:
    """Drop, and count, what nobody waits for any more."""
    kept = [item for item in batch if batch.now < item.event.expires_at]
    if len(kept) < len(batch):
        _dropped.add(len(batch) - len(kept), {"reason": "expired"})
    return kept


def _challenge(
    event: ChallengeRequested, codes: Codes, code: str, expires_at: datetime
) -> Challenge:
    payment = Payment(
        event.payment_id, event.user_id, event.amount_minor, event.currency, event.to_account
    )
    return Challenge(payment, event.challenge_number, codes.hashed(payment, code), expires_at)


def _challenged(
    event: ChallengeRequested, challenge: Challenge, notification: Sealer, code: str
) -> Challenged:
    return Challenged(
        payment_id=event.payment_id,
        user_id=event.user_id,
        transaction_id=event.transaction_id,
        challenge_id=challenge.id,
        challenge_number=challenge.number,
        sealed_code=notification.seal(code, event.payment_id),
        code_expires_at=challenge.expires_at,
        amount_minor=event.amount_minor,
        currency=event.currency,
        to_account=event.to_account,
    )


def _tried(item: Received[VerificationRequested], gateway: Sealer) -> Tried:
    """Open a code. Raises Rejected where it was sealed for another payment or key."""
    event = item.event
    code = gateway.open(event.sealed_code, event.payment_id)
    question = Question(event.request_id, event.challenge_id, event.payment_id)
    return Tried(item, question, code.reveal())


def _verified(tried: Tried, verdict: Verdict) -> Verified:
    event = tried.item.event
    return Verified(
        payment_id=event.payment_id,
        user_id=event.user_id,
        transaction_id=event.transaction_id,
        challenge_id=event.challenge_id,
        request_id=event.request_id,
        result=verdict.result,
        challenge_over=verdict.challenge_over,
    )
