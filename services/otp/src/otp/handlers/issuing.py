"""Handles requests for a code: issues a code, or refuses with a reason."""

from dataclasses import dataclass, field
from datetime import datetime

from otp.domain import DAY, Challenge, Payment, Refusal, RequestKey, User, refusal
from otp.handlers.codes import Codes, Rules, in_time
from otp.store import Challenges
from payment_schemas.events.otp import Challenged, ChallengeRefused, ChallengeRequested
from payment_schemas.ids import ChallengeId
from service_runtime import metrics
from service_runtime.messages import Batch, Emit, Events, Received
from service_runtime.sealing import Sealer

Request = Received[ChallengeRequested]

_refusals = metrics.counter("otp_challenge_refused", "Codes that were not issued, by reason.")


async def on_challenge_requested(
    batch: Batch[Request, bool],
    challenges: Challenges,
    codes: Codes,
    rules: Rules,
    notification: Sealer,
) -> Events:
    """Issue codes, sealed for notification, or refuse them.

    Each user's row is locked first, so that the codes of other instances are counted.
    """
    waiting = in_time(batch)
    users = dict(await challenges.lock_users({item.event.user_id for item in waiting}))
    keys = {request_key(item.event) for item in waiting}
    issuing = IssuingBatch(
        await challenges.with_issued(users, batch.now - DAY, rules.limits.latest),
        dict(await challenges.answered(keys)),
        codes,
        rules,
        notification,
        batch.now,
    )
    events = []
    for item in waiting:
        events += issuing.answer(item, reachable=batch.lookups.get(item.cause.id, True))
    latest = await challenges.add([challenge for challenge, _ in issuing.issued.values()])
    await challenges.refuse(issuing.refused)
    return events + [emit for name, (_, emit) in issuing.issued.items() if name in latest]


def request_key(event: ChallengeRequested) -> RequestKey:
    """Return the identity of a request; the same request always gets the same result."""
    return RequestKey(event.payment_id, event.version, event.challenge_number)


@dataclass(slots=True)
class IssuingBatch:
    """Decides requests in order; each sees the codes issued by the requests before it."""

    users: dict[str, User]
    answered: dict[RequestKey, Refusal | None]
    codes: Codes
    rules: Rules
    notification: Sealer
    now: datetime
    issued: dict[ChallengeId, tuple[Challenge, Emit]] = field(default_factory=dict)
    refused: dict[RequestKey, Refusal] = field(default_factory=dict)

    def answer(self, item: Request, *, reachable: bool) -> list[Emit]:
        """Issue a code, or return the refusal; a repeated request issues no second code."""
        key = request_key(item.event)
        if key not in self.answered:
            self.answered[key] = self._decide(item, key, reachable=reachable)
        refused = self.answered[key]
        return [Emit(_refused(item.event, refused), item.cause)] if refused else []

    def _decide(self, item: Request, key: RequestKey, *, reachable: bool) -> Refusal | None:
        user = self.users[item.event.user_id]
        limits = self.rules.limits
        refused = refusal(user, key.payment_id, self.now, limits, reachable=reachable)
        if refused is None:
            self.users[user.user_id] = user.with_issued(self._issue(item))
        else:
            self.refused[key] = refused
            _refusals.add(1, {"reason": refused.reason})
        return refused

    def _issue(self, item: Request) -> Challenge:
        event, code = item.event, self.codes.new()
        payment = Payment(
            event.payment_id, event.user_id, event.amount_minor, event.currency, event.to_account
        )
        secret, expires_at = self.codes.hashed(payment, code), self.now + self.rules.life
        challenge = Challenge(payment, event.challenge_number, secret, self.now, expires_at)
        challenged = _challenged(event, challenge, self.notification, code)
        self.issued[challenge.id] = (challenge, Emit(challenged, item.cause))
        return challenge


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


def _refused(event: ChallengeRequested, refused: Refusal) -> ChallengeRefused:
    return ChallengeRefused(
        payment_id=event.payment_id,
        user_id=event.user_id,
        transaction_id=event.transaction_id,
        version=event.version,
        challenge_number=event.challenge_number,
        reason=refused.reason,
        retry_after_s=refused.retry_after_s,
    )
