"""What an owner sees: endpoints, and what was sent to them."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response

from service_runtime.edge import Access, Caller
from service_runtime.paging import Page
from service_runtime.web import JsonResponse
from webhooks.domain.signatures import Secret
from webhooks.routes.api import SCOPE, Api
from webhooks.routes.bodies import (
    BY_AGE,
    BY_ID,
    DeliveryPage,
    DeliveryStatus,
    EndpointPage,
    ShownEndpoint,
)
from webhooks.store import Deliveries, Endpoints


def add_reads(router: APIRouter, api: Api) -> None:
    """Add what changes nothing; each owner sees own endpoints alone."""
    access = Access(SCOPE, api.reads_per_minute, limit="read")
    Reader = Annotated[Caller, Depends(api.admission.require(access))]  # noqa: N806 - a type

    @router.get("", response_model=EndpointPage)
    async def listing(caller: Reader, page: Annotated[Page, Depends(BY_ID)]) -> Response:
        """Return the caller's endpoints."""
        async with api.database.transaction() as tx:
            found = await Endpoints(tx).page(caller.user_id, page.after, page.limit)
        return JsonResponse(page.reply("endpoints", found))

    @router.get("/{endpoint_id}", response_model=ShownEndpoint)
    async def one(caller: Reader, endpoint_id: UUID) -> Response:
        """Return an endpoint, and the public key of one that signs by Ed25519."""
        found = await api.existing(endpoint_id, caller.user_id)
        if found["scheme"] == "ed25519":
            async with api.database.transaction() as tx:
                sealed = await Endpoints(tx).current_secret(endpoint_id)
            if sealed is not None:
                opened = api.sealer.open(sealed, endpoint_id)
                found["public_key"] = Secret(opened.reveal()).public
        return JsonResponse(found, headers={"ETag": f'"{found["version"]}"'})

    @router.get("/{endpoint_id}/deliveries", response_model=DeliveryPage)
    async def deliveries(
        caller: Reader,
        endpoint_id: UUID,
        page: Annotated[Page, Depends(BY_AGE)],
        status: Annotated[DeliveryStatus | None, Query()] = None,
    ) -> Response:
        """Return what was sent to an endpoint, the newest first."""
        await api.existing(endpoint_id, caller.user_id)
        async with api.database.transaction() as tx:
            found = await Deliveries(tx).page(endpoint_id, status, page.after, page.limit)
        return JsonResponse(page.reply("deliveries", [_with_webhook_id(row) for row in found]))


def _with_webhook_id(row: dict[str, Any]) -> dict[str, Any]:
    return {"id": row["id"], "webhook_id": f"msg_{row['id'].hex}", **row}
