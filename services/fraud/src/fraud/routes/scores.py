"""Scores for risk, by its secret."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from fraud.domain.features import Observed
from fraud.routes.api import Api, Assessed
from fraud.routes.bodies import BatchBody, PaymentBody
from fraud.store import Scored, Scores
from payment_schemas import answers
from payment_schemas.answers import RefusedError
from payment_schemas.currencies import UnknownRateError
from service_runtime.credentials import Credentials
from service_runtime.http_unit import Reply
from service_runtime.messages import Cause
from service_runtime.postgres import PostgresTransaction

INTERFACE = 1
"""Of the batch: risk takes results of another one for none."""
MILLION = 1_000_000


def add_batches(router: APIRouter, api: Api, machines: Credentials) -> None:
    """Add the scores of payments."""
    Machine = Annotated[str, Depends(machines.require("fraud.score"))]  # noqa: N806 - a type

    @router.post("/scores:batch")
    async def batch(request: Request, machine: Machine, body: BatchBody) -> Response:
        """Score the payments of one call: those that could be scored."""
        observed = _observed(api, body.payments)

        async def act(tx: PostgresTransaction, _cause: Cause) -> Reply:
            assessed = await api.assess(tx, observed)
            pairs = list(zip(body.payments, assessed, strict=True))
            await Scores(tx).add([row for pair in pairs for row in _rows(api, *pair)])
            results = [_result(*pair) for pair in pairs if pair[1].version is not None]
            return Reply({"interface": INTERFACE, "results": results})

        return await api.requests.run(request, machine, act, is_stored=False)


def _observed(api: Api, payments: Sequence[PaymentBody]) -> list[Observed]:
    """Return payments as features see them; answer 400 for a currency without a rate."""
    try:
        return [one.observed(api.usd_rates) for one in payments]
    except UnknownRateError as error:
        raise RefusedError(answers.invalid_field("currency", str(error))) from None


def _rows(api: Api, payment: PaymentBody, assessed: Assessed) -> list[Scored]:
    now = api.clock.now()
    return [
        Scored(
            payment.payment_id,
            version,
            version == assessed.version,
            payment.user_id,
            score.probability,
            score.reasons,
            assessed.features,
            now,
        )
        for version, score in assessed.scores.items()
    ]


def _result(payment: PaymentBody, assessed: Assessed) -> dict[str, Any]:
    score = assessed.score
    return {
        "payment_id": payment.payment_id,
        "model_version": assessed.version,
        "probability_ppm": None if score is None else int(score.probability * MILLION),
        "reasons": () if score is None else score.reasons,
    }
