"""What otp does with requests for a code: issues one, or says why there is none for now."""

from dataclasses import dataclass, field
from datetime import datetime

from otp.domain import DAY, Asked, Challenge, Payment, Refusal, User, refusal
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
    """Issue a code for every payment that may have one; it goes out sealed for notification.

    Each user's row is locked first: what another instance issues to the same user is seen.
    """
    waiting = in_time(batch)
    users = dict(await challenges.lock_users({item.event.user_id for item in waiting}))
    asked = {asked_of(item.event) for item in waiting}
    issuing = IssuingBatch(
        await challenges.with_issued(users, batch.now - DAY, rules.limits.latest),
        dict(await challenges.answered(asked)),
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


def asked_of(event: ChallengeRequested) -> Asked:
    """Return which request it is: read again, it is answered alike."""
    return Asked(event.payment_id, event.version, event.challenge_number)


@dataclass(slots=True)
class IssuingBatch:
    """Decides requests one after the other, each user as the request before has left them."""

    users: dict[str, User]
    answered: dict[Asked, Refusal | None]
    codes: Codes
    rules: Rules
    notification: Sealer
    now: datetime
    issued: dict[ChallengeId, tuple[Challenge, Emit]] = field(default_factory=dict)
    refused: dict[Asked, Refusal] = field(default_factory=dict)

    def answer(self, item: Request, *, reachable: bool) -> list[Emit]:
        """Issue a code, or return the refusal; a request that was answered is answered alike."""
        asked = asked_of(item.event)
        if asked not in self.answered:
            self.answered[asked] = self._decide(item, asked, reachable=reachable)
        refused = self.answered[asked]
        return [Emit(_refused(item.event, refused), item.cause)] if refused else []

    def _decide(self, item: Request, asked: Asked, *, reachable: bool) -> Refusal | None:
        user = self.users[item.event.user_id]
        limits = self.rules.limits
        refused = refusal(user, asked.payment_id, self.now, limits, reachable=reachable)
        if refused is None:
            self.users[user.user_id] = user.with_issued(self._issue(item))
        else:
            self.refused[asked] = refused
            _refusals.add(1, {"reason": refused.reason})
        return refused

    def _issue(self, item: Request) -> Challenge:
        event, code = item.event, self.codes.new()
        payment = Payment(
            event.payment_id, event.user_id, event.amount_minor, event.currency, event.to_account
        )
        secret, expires_at = self.codes.hashed(payment, code), self.now + self.rules.life
        challenge = Challenge(payment, event.challenge_number, secret, self.now, expires_at)
        told = _challenged(event, challenge, self.notification, code)
        self.issued[challenge.id] = (challenge, Emit(told, item.cause))
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
