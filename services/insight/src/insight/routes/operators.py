"""What operators read: explanations, and answers about every payment. Each read is audited."""

from dataclasses import asdict
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import Response

from insight.routes.api import Answerer
from insight.routes.bodies import Answer, Question
from insight.store import Explanations, Viewer
from service_runtime.admin import admin_router
from service_runtime.operators import Operators
from service_runtime.ports import Database
from service_runtime.web import JsonResponse


def operator_routes(database: Database, answerer: Answerer, operators: Operators) -> APIRouter:
    """Return the routes; they need the scope `ops.read`."""
    router = admin_router(operators)

    @router.get("/explanations")
    async def explanations(payment_id: UUID) -> Response:
        """Return the explanation of a payment, or none."""
        async with database.transaction() as tx:
            return JsonResponse({"explanations": await Explanations(tx).of_payment(payment_id)})

    @router.post("/chat", response_model=Answer)
    async def chat(fields: Question) -> Response:
        """Answer a question about payments of all users, or about what the documents say."""
        return JsonResponse(asdict(await answerer.answer(fields.question, Viewer(None))))

    return router
