"""What risk does with questions, with those that wait, and with successful payments."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from payment_schemas.events.confirmation import PaymentConfirmed
from payment_schemas.events.risk import AssessmentRequested, RiskAssessed
from payment_schemas.ids import PaymentId
from risk.domain import (
    Assessed,
    Assessment,
    AssessmentRequest,
    Evidence,
    Expired,
    History,
    Policy,
    UnknownRateError,
    Waiting,
    assess,
    is_over,
    usd_minor_of,
)
from risk.store import Assessments, Learned, Window
from service_runtime import metrics
from service_runtime.errors import Rejected
from service_runtime.messages import Batch, Cause, Due, Emit, Events, Received

DelayS = Callable[[int], float]
"""Seconds until the outside is asked again, after so many attempts."""

_assessed = metrics.counter("risk_assessment", "Payments that were scored, by level.")
_dropped = metrics.counter("risk_dropped", "Questions that nobody waited for any more.")


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, why it is asked, and what the outside said."""

    question: AssessmentRequest
    cause: Cause
    evidence: Evidence | None
    attempts: int


@dataclass(frozen=True, slots=True)
class Assessor:
    """Decides questions by one policy; `delay_s` spreads those that must wait."""

    policy: Policy
    delay_s: DelayS

    async def decide(
        self, asked: Sequence[Asked], store: Assessments, now: datetime
    ) -> dict[PaymentId, Assessment]:
        """Decide every question on the same histories. Raises Rejected for an unknown rate."""
        answered = [
            one.question for one in asked if one.evidence and not is_over(one.question, now)
        ]
        histories = await store.histories(answered, self._window(now)) if answered else {}
        try:
            return {one.question.payment_id: self._decide(one, histories, now) for one in asked}
        except UnknownRateError as error:
            raise Rejected(str(error)) from None

    def _decide(
        self, asked: Asked, histories: Mapping[PaymentId, History], now: datetime
    ) -> Assessment:
        question = asked.question
        if is_over(question, now):
            return Expired(question)
        if asked.evidence is None:
            return self._later(asked, now)
        history = histories[question.payment_id]
        return Assessed(question, assess(question, asked.evidence, history, self.policy), now)

    def _later(self, asked: Asked, now: datetime) -> Waiting:
        # What can never be valued is refused now, not after the outside has answered.
        usd_minor_of(asked.question.amount_minor, asked.question.currency, self.policy.usd_rates)
        due_at = now + timedelta(seconds=self.delay_s(asked.attempts))
        return Waiting(asked.question, min(due_at, asked.question.expires_at), asked.cause.trace)

    def _window(self, now: datetime) -> Window:
        return Window(now - self.policy.velocity_window, self.policy.velocity_payments + 1)


async def on_payment_confirmed(
    batch: Batch[Received[PaymentConfirmed]], store: Assessments
) -> Events:
    """Learn payees, countries and velocity from payments that succeeded, and from nothing else."""
    await store.learn([_learned(item.event) for item in batch])
    return ()


async def on_assessment_requested(
    batch: Batch[Received[AssessmentRequested], Evidence], store: Assessments, assessor: Assessor
) -> Events:
    """Score every payment whose look-ups were answered; keep the others until they are due."""
    asked = _first_of_each(
        Asked(_question(item.event), item.cause, batch.lookups.get(item.cause.id), 1)
        for item in batch
        if not _drop(item.event.expires_at, batch.now)
    )
    if not asked:
        return ()
    decided = await assessor.decide(asked, store, batch.now)
    new = await store.add(list(decided.values()))
    return _events([one for one in asked if one.question.payment_id in new], decided)


async def on_due_assessments(
    batch: Batch[Due[AssessmentRequest], Evidence], store: Assessments, assessor: Assessor
) -> Events:
    """Score what had waited for its look-ups; let go of what nobody waits for any more."""
    asked = [
        Asked(item.row, item.cause, batch.lookups.get(item.cause.id), item.attempts + 1)
        for item in batch
    ]
    for one in asked:
        _drop(one.question.expires_at, batch.now)
    decided = await assessor.decide(asked, store, batch.now)
    await store.save(list(decided.values()))
    return _events(asked, decided)


def _drop(expires_at: datetime, now: datetime) -> bool:
    """Say whether a question is past its end, and count it if so."""
    if now < expires_at:
        return False
    _dropped.add(1, {"reason": "expired"})
    return True


def _first_of_each(asked: Iterable[Asked]) -> list[Asked]:
    """Keep the first question of each payment: one assessment a payment."""
    first: dict[PaymentId, Asked] = {}
    for one in asked:
        first.setdefault(one.question.payment_id, one)
    return list(first.values())


def _events(asked: Sequence[Asked], decided: Mapping[PaymentId, Assessment]) -> list[Emit]:
    answers = [(decided[one.question.payment_id], one.cause) for one in asked]
    return [Emit(_event(one), cause) for one, cause in answers if isinstance(one, Assessed)]


def _event(assessed: Assessed) -> RiskAssessed:
    question, result = assessed.question, assessed.result
    _assessed.add(1, {"level": result.level})
    return RiskAssessed(
        payment_id=question.payment_id,
        user_id=question.user_id,
        transaction_id=question.transaction_id,
        score=result.score,
        level=result.level,
        amount_usd_minor=result.amount_usd_minor,
        factors=result.factors,
        sanctions="hit" if result.sanctions_hit else "clear",
        kyc=result.evidence.kyc,
        screenings=result.evidence.screenings,
    )


def _question(event: AssessmentRequested) -> AssessmentRequest:
    return AssessmentRequest(
        payment_id=event.payment_id,
        user_id=event.user_id,
        transaction_id=event.transaction_id,
        amount_minor=event.amount_minor,
        currency=event.currency,
        from_account=event.from_account,
        to_account=event.to_account,
        country=event.context.country,
        requested_at=event.requested_at,
        expires_at=event.expires_at,
    )


def _learned(event: PaymentConfirmed) -> Learned:
    return Learned(
        event.payment_id, event.user_id, event.to_account, event.context.country, event.confirmed_at
    )
