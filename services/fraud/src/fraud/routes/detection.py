"""`POST /fraud`: what native-payments-api.md calls detectFraud, and reports of fraud."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from fraud.domain.answers import Verdict, verdict_of
from fraud.domain.features import Observed
from fraud.domain.scoring import Score
from fraud.routes.api import Api
from fraud.routes.bodies import DetectBody, Detected, ReportBody
from fraud.store import Activity, Scores
from payment_schemas import answers
from payment_schemas.answers import RefusedError
from payment_schemas.currencies import UnknownRateError, usd_minor_of
from payment_schemas.events.fraud import FraudReported
from payment_schemas.events.record import AuditRecorded
from payment_schemas.ids import PaymentId
from service_runtime.http_unit import Reply
from service_runtime.messages import Cause, Emit
from service_runtime.postgres import PostgresTransaction

UNAVAILABLE = "FRAUD_DETECTOR_UNAVAILABLE"
NO_PAYEE = "-"
"""No account has this id: of a payment whose payee is not given."""
Act = Callable[[PostgresTransaction, Cause], Awaitable[Reply]]


def add_detection(router: APIRouter, api: Api) -> None:
    """Add the façade and the reports, for operators: who pays must not see scores."""
    Writer = Annotated[str, Depends(api.operators.require("compliance.write"))]  # noqa: N806 - a type

    @router.post("", response_model=Detected, response_model_exclude_none=True)
    async def detect(request: Request, actor: Writer, body: DetectBody) -> Response:
        """Do what `action` asks for; every action but `report_fraud` reads only."""
        act = _act_of(api, body, actor)
        return await api.requests.run(request, actor, act)

    @router.post("/report", response_model=Detected, response_model_exclude_none=True)
    async def report(request: Request, actor: Writer, body: ReportBody) -> Response:
        """Report a confirmed payment as a fraud; the first report of a payment counts."""
        return await api.requests.run(request, actor, _reporting(api, body, actor))


def _act_of(api: Api, body: DetectBody, actor: str) -> Act:
    match body.action:
        case "evaluate_transaction":
            return _evaluating(api, body)
        case "report_fraud":
            return _reporting(api, _report_of(body), actor)
        case "get_fraud_score":
            return _score_of(api, body)
        case "get_fraud_history":
            return _history_of(api, body)
        case "update_rules":
            raise _refused("action", "rules are those of compliance: /api/v1/compliance/rules")


def _evaluating(api: Api, body: DetectBody) -> Act:
    observed = _observed(api, body)

    async def act(tx: PostgresTransaction, _cause: Cause) -> Reply:
        started = api.clock.now()
        (assessed,) = await api.assess(tx, [observed])
        took_ms = round((api.clock.now() - started).total_seconds() * 1000)
        verdict = verdict_of(assessed.score, assessed.features)
        return _shown(api, verdict, assessed.version, evaluationTime=took_ms)

    return act


def _observed(api: Api, body: DetectBody) -> Observed:
    customer, amount_minor = _needed(body, "customerId"), body.amount
    if amount_minor is None:
        raise _refused("amount", "is missing")
    try:
        usd_minor = usd_minor_of(amount_minor, body.currency, api.usd_rates)
    except UnknownRateError as error:
        raise _refused("currency", str(error)) from None
    at_s = int(api.clock.now().timestamp())
    payee = body.to_account or NO_PAYEE
    return Observed(at_s, usd_minor, customer, payee, body.device_fingerprint)


def _score_of(api: Api, body: DetectBody) -> Act:
    customer, transaction = _needed(body, "customerId"), _needed(body, "transactionId")

    async def act(tx: PostgresTransaction, _cause: Cause) -> Reply:
        paid = await Activity(tx).found(customer, transaction)
        found = None if paid is None else await Scores(tx).decided(paid.payment_id)
        if found is None:
            return _shown(api, verdict_of(None), None)
        score = Score(found["probability"], tuple(found["reasons"]))
        return _shown(api, verdict_of(score, found["features"]), found["version"])

    return act


def _history_of(api: Api, body: DetectBody) -> Act:
    customer = _needed(body, "customerId")

    async def act(tx: PostgresTransaction, _cause: Cause) -> Reply:
        found = await Activity(tx).reports(customer)
        history = [
            {
                "transactionId": row["transaction_id"],
                "fraudType": row["fraud_type"],
                "timestamp": row["reported_at"],
            }
            for row in found
        ]
        return Reply({"success": True, "fraudHistory": history, "timestamp": api.clock.now()})

    return act


def _report_of(body: DetectBody) -> ReportBody:
    if body.fraud_type is None:
        raise _refused("fraudType", "is missing")
    return ReportBody(
        customerId=_needed(body, "customerId"),
        transactionId=_needed(body, "transactionId"),
        fraudType=body.fraud_type,
        reportDetails=body.report_details,
    )


def _reporting(api: Api, body: ReportBody, actor: str) -> Act:
    async def act(tx: PostgresTransaction, cause: Cause) -> Reply:
        paid = await Activity(tx).found(body.customer_id, body.transaction_id)
        if paid is None:
            return Reply({"error": f"Unknown payment: {body.transaction_id}"}, status=404)
        now = api.clock.now()
        is_first = await Activity(tx).report(
            paid,
            now,
            fraud_type=body.fraud_type,
            details=body.report_details,
            reported_by=actor,
        )
        event = FraudReported(
            payment_id=PaymentId(paid.payment_id),
            user_id=paid.user_id,
            transaction_id=paid.transaction_id,
            fraud_type=body.fraud_type,
            reported_at=now,
        )
        events = _recorded(event, actor, cause) if is_first else ()
        return Reply({"success": True, "timestamp": now}, events=events)

    return act


def _recorded(event: FraudReported, actor: str, cause: Cause) -> list[Emit]:
    about = str(event.payment_id)
    record = AuditRecorded(actor=actor, action="FRAUD_REPORTED", about=about)
    return [Emit(event, cause), Emit(record, Cause(cause.id, cause.trace, discriminator="audit"))]


def _shown(api: Api, verdict: Verdict, version: str | None, **fields: Any) -> Reply:
    body: dict[str, Any] = {
        "success": verdict.score is not None,
        "fraudScore": verdict.score,
        "riskLevel": verdict.level,
        "recommendation": verdict.recommendation,
        "ruleMatches": [],
        "reasonCodes": verdict.reasons,
        "modelVersion": version,
        "timestamp": api.clock.now(),
    }
    unknown = {"error": UNAVAILABLE} if verdict.score is None else {}
    return Reply(body | unknown | fields)


def _needed(body: DetectBody, name: str) -> str:
    found = body.customer_id if name == "customerId" else body.transaction_id
    if found is None:
        raise _refused(name, "is missing")
    return found


def _refused(field: str, why: str) -> RefusedError:
    return RefusedError(answers.invalid_field(field, why))
