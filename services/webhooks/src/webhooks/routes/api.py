"""What the routes share: what they need, and the change of a locked endpoint."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from fastapi import Depends, HTTPException, Request
from fastapi.responses import Response

from payment_schemas.events.webhooks import WebhookEndpointChanged
from payment_schemas.sealed import Sealed
from service_runtime.clock import Clock
from service_runtime.edge import Access, Admission, Caller
from service_runtime.http_unit import Act, HttpUnitOfWork, Reply, StaleVersionError, version_of
from service_runtime.messages import Cause, Emit
from service_runtime.ports import Database
from service_runtime.postgres import PostgresTransaction
from service_runtime.sealing import Sealer
from webhooks.domain.addresses import BadUrlError, target_of
from webhooks.domain.signatures import Secret
from webhooks.store import Endpoint, Endpoints

SCOPE = "webhooks.write"
Change = Callable[[PostgresTransaction, Endpoint, Cause], Awaitable[Reply]]


@dataclass(frozen=True, slots=True)
class Api:
    """What the routes need."""

    requests: HttpUnitOfWork
    database: Database
    admission: Admission
    sealer: Sealer
    clock: Clock
    wake: Callable[[], None]
    """Looks for due deliveries now."""
    most_endpoints: int
    writes_per_minute: int
    reads_per_minute: int
    local: bool
    """Whether endpoints may be on this machine."""

    def url(self, url: str) -> str:
        """Return a checked URL; answer 400."""
        try:
            target_of(url, local=self.local)
        except BadUrlError as error:
            raise HTTPException(
                400, {"error": "Invalid field: url", "details": str(error)}
            ) from None
        return url

    def seal(self, endpoint: Endpoint, secret: Secret) -> Sealed:
        """Return a secret sealed for its endpoint."""
        return self.sealer.seal(secret.text, endpoint.id)

    async def run(self, request: Request, caller: Caller, act: Act) -> Response:
        """Commit a change; what has become due by it is sent at once."""
        response = await self.requests.run(request, caller.user_id, act)
        self.wake()
        return response

    async def existing(self, endpoint_id: UUID, user_id: str) -> dict[str, Any]:
        """Return an endpoint as its owner sees it; answer 404."""
        async with self.database.transaction() as tx:
            found = await Endpoints(tx).found(endpoint_id, user_id)
        if found is None:
            raise HTTPException(404, f"Unknown endpoint: {endpoint_id}")
        return found


def writer_of(api: Api) -> Any:
    """Return the dependency that yields the caller of a write."""
    return Depends(api.admission.require(Access(SCOPE, api.writes_per_minute)))


def on_endpoint(request: Request, caller: Caller, endpoint_id: UUID, change: Change) -> Act:
    """Return the act that locks the caller's endpoint, checks its version and changes it."""
    seen = version_of(request)

    async def act(tx: PostgresTransaction, cause: Cause) -> Reply:
        endpoint = await Endpoints(tx).locked(endpoint_id, caller.user_id)
        if endpoint is None:
            return Reply({"error": f"Unknown endpoint: {endpoint_id}"}, status=404)
        if seen not in (None, endpoint.version):
            raise StaleVersionError("endpoint: changed since it was read")
        return await change(tx, endpoint, cause)

    return act


def endpoint_changed(endpoint: Endpoint, cause: Cause, change: Any) -> Emit:
    """Return the event of a change, for the audit log."""
    event = WebhookEndpointChanged(endpoint_id=endpoint.id, user_id=endpoint.user_id, change=change)
    return Emit(event, cause)
