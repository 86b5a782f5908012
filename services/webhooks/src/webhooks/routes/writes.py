"""What an owner changes: endpoints and their secrets."""

import os
from dataclasses import replace
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import Response

from service_runtime.edge import Caller
from service_runtime.http_unit import Reply
from service_runtime.messages import Cause
from service_runtime.postgres import PostgresTransaction
from webhooks.domain.attempts import Health, resumed
from webhooks.domain.signatures import SECRET_BYTES, Secret, secret_of
from webhooks.routes.api import Api, endpoint_changed, on_endpoint, writer_of
from webhooks.routes.bodies import (
    Changes,
    EndpointWithSecret,
    NewEndpoint,
    NewSecret,
    Rotation,
    ShownEndpoint,
)
from webhooks.store import Endpoint, Endpoints


def add_endpoint_writes(router: APIRouter, api: Api) -> None:
    """Add the changes of endpoints."""
    Writer = Annotated[Caller, writer_of(api)]  # noqa: N806 - a type

    @router.post("", status_code=201, response_model=EndpointWithSecret)
    async def create(request: Request, caller: Writer, fields: NewEndpoint) -> Response:
        """Add an endpoint; the response alone has its secret. A URL is taken once."""
        secret = secret_of(fields.scheme, os.urandom(SECRET_BYTES))
        api.url(fields.url)

        async def act(tx: PostgresTransaction, cause: Cause) -> Reply:
            store = Endpoints(tx)
            endpoint = Endpoint(cause.id, caller.user_id, **fields.model_dump())
            if await store.count(caller.user_id) >= api.most_endpoints:
                details = f"at most {api.most_endpoints} endpoints; delete one first"
                return Reply({"error": "Too many endpoints", "details": details}, status=409)
            await store.add(endpoint)
            await store.add_secret(api.clock.new_id(), endpoint.id, api.seal(endpoint, secret), 0)
            shown = await store.found(endpoint.id, caller.user_id)
            body = {**(shown or {}), **shown_once(secret)}
            return Reply(body, 201, [endpoint_changed(endpoint, cause, "created")], version=1)

        return await api.requests.run(request, caller.user_id, act, is_stored=False)

    @router.patch("/{endpoint_id}", response_model=ShownEndpoint)
    async def change(
        request: Request, caller: Writer, endpoint_id: UUID, fields: Changes
    ) -> Response:
        """Change an endpoint, if it still has the version of `If-Match`."""
        given = {k: v for k, v in fields.model_dump(exclude={"is_on"}).items() if v is not None}
        if "url" in given:
            api.url(given["url"])

        async def act(tx: PostgresTransaction, endpoint: Endpoint, cause: Cause) -> Reply:
            new = replace(endpoint, **given, version=endpoint.version + 1)
            await Endpoints(tx).save(new)
            if fields.is_on is not None:
                health = resumed() if fields.is_on else Health(is_on=False, off_reason="owner")
                await Endpoints(tx).set_health(endpoint.id, health)
            shown = await Endpoints(tx).found(endpoint.id, caller.user_id)
            return Reply(
                shown, events=[endpoint_changed(new, cause, "changed")], version=new.version
            )

        return await api.run(request, caller, on_endpoint(request, caller, endpoint_id, act))

    @router.delete("/{endpoint_id}", status_code=204)
    async def delete(request: Request, caller: Writer, endpoint_id: UUID) -> Response:
        """Delete an endpoint with its deliveries, if it still has the version of `If-Match`."""

        async def act(tx: PostgresTransaction, endpoint: Endpoint, cause: Cause) -> Reply:
            await Endpoints(tx).delete(endpoint.id)
            return Reply(None, 204, [endpoint_changed(endpoint, cause, "deleted")])

        return await api.run(request, caller, on_endpoint(request, caller, endpoint_id, act))


def add_secret(router: APIRouter, api: Api) -> None:
    """Add the rotation of a secret."""
    Writer = Annotated[Caller, writer_of(api)]  # noqa: N806 - a type

    @router.post("/{endpoint_id}/rotate-secret", response_model=NewSecret)
    async def rotate(
        request: Request, caller: Writer, endpoint_id: UUID, fields: Rotation
    ) -> Response:
        """Make a new secret; for the overlap, messages have a signature of each."""
        material = os.urandom(SECRET_BYTES)

        async def act(tx: PostgresTransaction, endpoint: Endpoint, cause: Cause) -> Reply:
            secret = secret_of(endpoint.scheme, material)
            sealed = api.seal(endpoint, secret)
            ends_at = await Endpoints(tx).add_secret(
                api.clock.new_id(), endpoint.id, sealed, fields.overlap_s
            )
            body = {"id": endpoint.id, "old_secret_until": ends_at, **shown_once(secret)}
            return Reply(body, events=[endpoint_changed(endpoint, cause, "secret_rotated")])

        changed = on_endpoint(request, caller, endpoint_id, act)
        return await api.requests.run(request, caller.user_id, changed, is_stored=False)


def shown_once(secret: Secret) -> dict[str, str]:
    """Return what the receiver verifies with; the private half of a key pair stays here."""
    is_pair = secret.public != secret.text
    return {"public_key": secret.public} if is_pair else {"secret": secret.text}
