"""What operators see of a payment's webhooks."""

from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import Response

from service_runtime.admin import admin_router
from service_runtime.operators import Operators
from service_runtime.postgres import PostgresDatabase
from service_runtime.web import JsonResponse
from webhooks.store import queries


def operator_routes(database: PostgresDatabase, operators: Operators) -> APIRouter:
    """Return the route, for operators with the scope `ops.read`; each read is audited."""
    router = admin_router(operators)

    @router.get("/payment-deliveries")
    async def of_payment(payment_id: UUID) -> Response:
        """Return what was sent about a payment, without secrets and bodies."""
        async with database.transaction() as tx:
            return JsonResponse({"deliveries": await queries.of_payment(tx, payment_id)})

    return router
