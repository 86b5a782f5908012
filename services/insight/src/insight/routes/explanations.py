"""The explanation of a payment, for its owner."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException
from fastapi.responses import Response

from insight.routes.api import Api
from insight.routes.bodies import REFUSALS, ExplanationReply
from insight.store import Explanations
from service_runtime.edge import Caller
from service_runtime.web import JsonResponse

PATH = "/api/v1/payments/{transaction_id}/explanation"


def add_explanations(router: APIRouter, api: Api) -> None:
    """Add the route."""
    Reader = Annotated[Caller, api.reader()]  # noqa: N806 - a type

    @router.get(PATH, response_model=ExplanationReply, responses=REFUSALS)
    async def explanation(caller: Reader, transaction_id: str) -> Response:
        """Return why a payment has its risk score. 404 until it is assessed."""
        async with api.database.transaction() as tx:
            found = await Explanations(tx).of_user(caller.user_id, transaction_id)
        if not found:
            raise HTTPException(404, f"Unknown payment: {transaction_id[:64]}")
        return JsonResponse({"success": True, "data": _shown(found[0])})


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "transactionId": row["transaction_id"],
        "riskScore": row["score"] / 100,
        "riskLevel": row["level"].upper(),
        "factors": row["factors"],
        "explanation": row["summary"],
        "recommendations": row["recommendations"] or [],
        "source": row["source"],
        "explainedAt": row["explained_at"],
    }
