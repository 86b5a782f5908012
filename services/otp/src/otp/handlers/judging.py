"""Handles requests to verify a code."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from otp.domain import (
    Challenge,
    CodeAttempt,
    Lock,
    Try,
    User,
    Verdict,
    after_verdict,
    judge,
    refuse_if_locked,
)
from otp.handlers.codes import Codes, Rules, in_time
from otp.store import Challenges, Verification
from payment_schemas.events.otp import CodesLockChanged, VerificationRequested, Verified
from payment_schemas.ids import ChallengeId
from service_runtime import metrics
from service_runtime.logs import Log
from service_runtime.messages import Batch, Emit, Events, Received
from service_runtime.sealing import Sealer

_log = Log("codes")
_validations = metrics.counter("otp_validation", "Verified codes, by result.")
_locks = metrics.counter("otp_user_locked", "Users whose codes were locked.")


@dataclass(frozen=True, slots=True)
class OpenedAttempt:
    """A request to verify a code, with the opened code."""

    item: Received[VerificationRequested]
    question: CodeAttempt
    code: str = field(repr=False)


async def on_verification_requested(
    batch: Batch[Received[VerificationRequested]],
    challenges: Challenges,
    codes: Codes,
    rules: Rules,
    gateway: Sealer,
) -> Events:
    """Judge codes in order; a repeated request gets its earlier verdict.

    Users are locked before challenges, as in issuing, so that transactions do not deadlock.
    """
    tried = [_tried(item, gateway) for item in in_time(batch)]
    verifications = VerificationBatch(
        dict(await challenges.lock_users({one.item.event.user_id for one in tried})),
        dict(await challenges.lock({one.question.challenge_id for one in tried})),
        dict(await challenges.verdicts({one.question for one in tried})),
        codes,
        rules,
    )
    events = [
        Emit(_verified(one, verifications.answer(one, batch.now)), one.item.cause) for one in tried
    ]
    await challenges.save(verifications.changed)
    await challenges.save_users(
        [verifications.users[name] for name in sorted(verifications.counted_users)]
    )
    await challenges.add_verifications(verifications.new)
    return [*events, *verifications.locks]


@dataclass(slots=True)
class VerificationBatch:
    """Judges codes in order; each sees the challenge and user after the codes before it."""

    users: dict[str, User]
    challenges: dict[ChallengeId, Challenge]
    verdicts: dict[CodeAttempt, Verdict]
    codes: Codes
    rules: Rules
    new: list[Verification] = field(default_factory=list)
    counted_users: set[str] = field(default_factory=set)
    locks: list[Emit] = field(default_factory=list)
    """Events about users whose codes were locked."""

    @property
    def changed(self) -> Sequence[Challenge]:
        """The challenges with a new counted attempt."""
        counted = {one.question.challenge_id for one in self.new if one.verdict.counted}
        return [self.challenges[name] for name in counted]

    def answer(self, tried: OpenedAttempt, now: datetime) -> Verdict:
        """Return the verdict on a code; a repeated request gets its earlier verdict."""
        if tried.question not in self.verdicts:
            self.verdicts[tried.question] = self._judged(tried, now)
        return self.verdicts[tried.question]

    def _judged(self, tried: OpenedAttempt, now: datetime) -> Verdict:
        question, user = tried.question, self.users[tried.item.event.user_id]
        challenge = self.challenges.get(question.challenge_id)
        matches = challenge is not None and self.codes.matches(challenge, tried.code)
        judgement = judge(challenge, Try(question.payment_id, matches, now), self.rules.attempts)
        judgement = refuse_if_locked(user, judgement, challenge)
        if judgement.challenge is not None:
            self.challenges[question.challenge_id] = judgement.challenge
        self.new.append(Verification(question, judgement.verdict, now))
        _report(question, judgement.verdict, judgement.challenge)
        self._count(tried, judgement.verdict, now)
        return judgement.verdict

    def _count(self, tried: OpenedAttempt, verdict: Verdict, now: datetime) -> None:
        event = tried.item.event
        before = self.users[event.user_id]
        lock = Lock(now, event.payment_id, event.transaction_id)
        after = after_verdict(before, verdict, lock, self.rules.limits)
        if after == before:
            return
        self.users[event.user_id] = after
        self.counted_users.add(event.user_id)
        if after.lock is not None:
            _locks.add(1, {})
            _log.warning("codes_locked", payment_id=event.payment_id, attempts=after.wrong_in_a_row)
            challenge = self.challenges[tried.question.challenge_id]
            changed = lock_changed(after, challenge, lock, is_locked=True)
            self.locks.append(Emit(changed, tried.item.cause))


def lock_changed(
    user: User, challenge: Challenge, lock: Lock, *, is_locked: bool
) -> CodesLockChanged:
    """Return the event about a user's codes that were locked or unlocked."""
    return CodesLockChanged(
        payment_id=lock.payment_id,
        user_id=user.user_id,
        transaction_id=lock.transaction_id,
        is_locked=is_locked,
        wrong_codes=user.wrong_in_a_row,
        amount_minor=challenge.payment.amount_minor,
        currency=challenge.payment.currency,
        to_account=challenge.payment.payee,
    )


def _report(question: CodeAttempt, verdict: Verdict, challenge: Challenge | None) -> None:
    _validations.add(1, {"result": verdict.result})
    if verdict.result != "valid":
        # Operators need the payment when codes are being guessed.
        attempts = challenge.attempts if challenge else 0
        _log.info(
            "code_refused", payment_id=question.payment_id, status=verdict.result, attempts=attempts
        )


def _tried(item: Received[VerificationRequested], gateway: Sealer) -> OpenedAttempt:
    """Open a code. Raises Rejected where it was sealed for another payment or with another key."""
    event = item.event
    code = gateway.open(event.sealed_code, event.payment_id)
    question = CodeAttempt(event.request_id, event.challenge_id, event.payment_id)
    return OpenedAttempt(item, question, code.reveal())


def _verified(tried: OpenedAttempt, verdict: Verdict) -> Verified:
    event = tried.item.event
    return Verified(
        payment_id=event.payment_id,
        user_id=event.user_id,
        transaction_id=event.transaction_id,
        challenge_id=event.challenge_id,
        request_id=event.request_id,
        result=verdict.result,
        challenge_over=verdict.challenge_over,
        codes_locked=verdict.codes_locked,
    )
