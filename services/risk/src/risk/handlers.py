"""Handlers of assessment requests, due assessments and successful payments."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from payment_schemas.currencies import UnknownRateError, usd_minor_of
from payment_schemas.events.confirmation import PaymentConfirmed
from payment_schemas.events.kyc import KycStatusChanged
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
    Unavailable,
    Waiting,
    assess,
    is_over,
)
from risk.store import Assessments, KnownIdentities, SuccessfulPayment, Window
from service_runtime import metrics
from service_runtime.errors import Rejected
from service_runtime.messages import Batch, Cause, Due, Emit, Events, Received

DelayS = Callable[[int], float]
"""Returns the seconds until the next look-up, after this number of attempts."""

_assessed = metrics.counter("risk_assessment", "Payments that were scored, by level.")
_unscored = metrics.counter(
    "risk_model_unavailable", "Payments that were assessed without the fraud model's score."
)
_dropped = metrics.counter("risk_dropped", "Assessment requests that were dropped, by reason.")


@dataclass(frozen=True, slots=True)
class OpenRequest:
    """A request to decide, with its cause and the evidence of its look-ups."""

    request: AssessmentRequest
    cause: Cause
    evidence: Evidence | None
    attempts: int


@dataclass(frozen=True, slots=True)
class Assessor:
    """Decides requests by a policy; `delay_s` spreads the retries of their look-ups."""

    policy: Policy
    delay_s: DelayS

    async def decide(
        self, requests: Sequence[OpenRequest], store: Assessments, now: datetime
    ) -> dict[PaymentId, Assessment]:
        """Decide all requests on the same histories. Raises Rejected for an unknown rate."""
        scorable = [
            one.request for one in requests if one.evidence and not is_over(one.request, now)
        ]
        histories = await store.histories(scorable, self._window(now)) if scorable else {}
        try:
            return {one.request.payment_id: self._decide(one, histories, now) for one in requests}
        except UnknownRateError as error:
            raise Rejected(str(error)) from None

    def _decide(
        self, one: OpenRequest, histories: Mapping[PaymentId, History], now: datetime
    ) -> Assessment:
        request = one.request
        if is_over(request, now):
            return Expired(request)
        if one.evidence is None:
            return self._later(one, now)
        history = histories[request.payment_id]
        return Assessed(request, assess(request, one.evidence, history, self.policy), now)

    def _later(self, one: OpenRequest, now: datetime) -> Waiting:
        # A currency without a rate is refused now, before the look-ups succeed.
        usd_minor_of(one.request.amount_minor, one.request.currency, self.policy.usd_rates)
        due_at = now + timedelta(seconds=self.delay_s(one.attempts))
        return Waiting(one.request, min(due_at, one.request.expires_at), one.cause.trace)

    def _window(self, now: datetime) -> Window:
        return Window(now - self.policy.velocity_window, self.policy.velocity_payments + 1)


async def on_payment_confirmed(
    batch: Batch[Received[PaymentConfirmed]], store: Assessments
) -> Events:
    """Store the payees, countries and times of successful payments."""
    await store.add_payments([_payment_of(item.event) for item in batch])
    return ()


async def on_kyc_status_changed(
    batch: Batch[Received[KycStatusChanged]], store: KnownIdentities
) -> Events:
    """Keep the announced state of identity checks: it counts for the next payment."""
    await store.announce([item.event for item in batch])
    return ()


async def on_assessment_requested(
    batch: Batch[Received[AssessmentRequested], Evidence], store: Assessments, assessor: Assessor
) -> Events:
    """Score each payment with evidence; store the others for a retry of their look-ups."""
    requests = _first_of_each(
        OpenRequest(_request_of(item.event), item.cause, batch.lookups.get(item.cause.id), 1)
        for item in batch
        if not _drop(item.event.expires_at, batch.now)
    )
    if not requests:
        return ()
    decided = await assessor.decide(requests, store, batch.now)
    new = await store.add(list(decided.values()))
    return _events([one for one in requests if one.request.payment_id in new], decided)


async def on_due_assessments(
    batch: Batch[Due[AssessmentRequest], Evidence], store: Assessments, assessor: Assessor
) -> Events:
    """Score waiting requests that have evidence now; end expired ones."""
    requests = [
        OpenRequest(item.row, item.cause, batch.lookups.get(item.cause.id), item.attempts + 1)
        for item in batch
    ]
    for one in requests:
        _drop(one.request.expires_at, batch.now)
    decided = await assessor.decide(requests, store, batch.now)
    await store.save(list(decided.values()))
    return _events(requests, decided)


def _drop(expires_at: datetime, now: datetime) -> bool:
    """Return whether a request has expired, and count it if so."""
    if now < expires_at:
        return False
    _dropped.add(1, {"reason": "expired"})
    return True


def _first_of_each(requests: Iterable[OpenRequest]) -> list[OpenRequest]:
    """Return the first request of each payment: a payment has one assessment."""
    firsts: dict[PaymentId, OpenRequest] = {}
    for one in requests:
        firsts.setdefault(one.request.payment_id, one)
    return list(firsts.values())


def _events(requests: Sequence[OpenRequest], decided: Mapping[PaymentId, Assessment]) -> list[Emit]:
    decisions = [(decided[one.request.payment_id], one.cause) for one in requests]
    return [Emit(_event(one), cause) for one, cause in decisions if isinstance(one, Assessed)]


def _event(assessed: Assessed) -> RiskAssessed:
    request, result = assessed.request, assessed.result
    _assessed.add(1, {"level": result.level})
    _unscored.add(isinstance(result.evidence.fraud, Unavailable))
    return RiskAssessed(
        payment_id=request.payment_id,
        user_id=request.user_id,
        transaction_id=request.transaction_id,
        score=result.score,
        level=result.level,
        amount_usd_minor=result.amount_usd_minor,
        factors=result.factors,
        sanctions="hit" if result.sanctions_hit else "clear",
        kyc=result.evidence.kyc,
        screenings=result.evidence.screenings,
        rules=result.evidence.demands,
        fraud=result.evidence.fraud_score,
    )


def _request_of(event: AssessmentRequested) -> AssessmentRequest:
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
        sealed_to_name=event.sealed_to_name,
        device=event.context.device_fingerprint,
    )


def _payment_of(event: PaymentConfirmed) -> SuccessfulPayment:
    return SuccessfulPayment(
        event.payment_id, event.user_id, event.to_account, event.context.country, event.confirmed_at
    )
