"""Webhooks of payment providers, whose signatures their SDKs verify."""

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from charges.clients import BadWebhookError, Report
from charges.routes.api import Api
from charges.store import Refunds
from service_runtime.http_unit import Reply
from service_runtime.messages import Cause
from service_runtime.postgres import PostgresTransaction

PROVIDERS_PATH = "/api/v1/providers"


def add_webhooks(router: APIRouter, api: Api) -> None:
    """Add the route; the signature is its authentication."""

    @router.post(PROVIDERS_PATH + "/{provider}", include_in_schema=False)
    async def webhook(request: Request, provider: str) -> Response:
        """Apply a webhook; 401 without a valid signature, so that the provider sends it again."""
        if provider not in api.providers:
            raise HTTPException(404, "Not found")
        try:
            verify = api.providers[provider].verify_webhook
            reports = verify(await request.body(), request.headers)
        except BadWebhookError:
            raise HTTPException(401, "Invalid signature") from None

        async def act(tx: PostgresTransaction, cause: Cause) -> Reply:
            events = await api.apply[provider](reports, Refunds(tx), cause)
            api.waiting.note(tx, [one.id for one in reports if isinstance(one, Report)])
            return Reply({"received": True}, events=events)

        # Each provider repeats a webhook until it is accepted: its own id is the key.
        response = await api.requests.run(request, f"provider:{provider}", act, is_stored=False)
        api.wake()
        return response
