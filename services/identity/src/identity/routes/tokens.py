"""Tokens of machines by their secret, in the printed shape and by the standard form."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import ValidationError

from identity.clients.tokens import Grant, TokenIssuer
from identity.domain.applications import MACHINE, Client
from identity.domain.durations import short
from identity.domain.refusals import OAuthError
from identity.domain.subjects import client_subject
from identity.routes.bodies import (
    ClientCredentials,
    ClientToken,
    StandardToken,
    Success,
    refused,
    standard,
    success,
)
from identity.routes.client_check import WRONG, ClientCheck, form_of
from payment_schemas import answers
from payment_schemas.answers import RefusedError
from service_runtime.forms import FORM
from service_runtime.web import given_once

TOKEN = "/api/v1/auth/token"  # noqa: S105 - a path


@dataclass(frozen=True, slots=True)
class TokenRoutes:
    """The route of machines."""

    check: ClientCheck
    issuer: TokenIssuer

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        content = {
            "application/json": {"schema": ClientCredentials.model_json_schema()},
            FORM: {"schema": _FORM_SCHEMA},
        }
        body = {"requestBody": {"required": True, "content": content}}
        issued = Success[ClientToken] | StandardToken
        router.post(TOKEN, openapi_extra=body, response_model=issued)(self.token)

    async def token(self, request: Request) -> Response:
        """Return a token for a client's secret.

        JSON is answered in the printed shape, a form (`grant_type=client_credentials`) in that of
        OAuth.
        """
        kind = (given_once(request.headers, "content-type") or "").partition(";")[0].strip()
        if kind.lower() == FORM:
            return await self._standard(request)
        if kind.lower() != "application/json":
            raise RefusedError(answers.unsupported_media_type())
        try:
            fields = ClientCredentials.model_validate_json(await request.body())
        except ValidationError as error:
            raise RequestValidationError([_in_body(fault) for fault in error.errors()]) from None
        client = await self.check.machine(fields.client_id, fields.client_secret.reveal())
        if client is None:
            raise RefusedError(await self.check.admission.failed(request, WRONG))
        data = {
            "token": self._issued(client, client.scopes),
            "expiresIn": short(self.issuer.life_s),
            "tokenType": "Bearer",
        }
        return success(data)

    async def _standard(self, request: Request) -> Response:
        try:
            form = form_of(await request.body())
            if form.get("grant_type") != MACHINE:
                raise OAuthError("unsupported_grant_type", f"grant_type: must be {MACHINE}")  # noqa: TRY301
            return await self.by_form(form, await self.check.authenticated(form, request))
        except OAuthError as error:
            return refused(error)

    async def by_form(self, form: Mapping[str, str], client: Client) -> Response:
        """Return a machine's token in the standard shape; raise OAuthError."""
        if client.is_public or MACHINE not in client.grants:
            raise OAuthError("unauthorized_client", "grant_type: not registered for this client")
        scopes = frozenset(form.get("scope", "").split()) or frozenset(client.scopes)
        if not scopes <= frozenset(client.scopes):
            raise OAuthError("invalid_scope", "scope: more than the client has")
        issued = {"access_token": self._issued(client, scopes), "token_type": "Bearer"}
        more = {"expires_in": self.issuer.life_s, "scope": " ".join(sorted(scopes))}
        return standard(issued | more)

    def _issued(self, client: Client, scopes: Iterable[str]) -> str:
        subject = client_subject(client.id)
        return self.issuer.issue(Grant(subject, client.id, self.issuer.audience, scopes))


_FORM_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "required": ["grant_type"],
    "properties": {
        "grant_type": {"const": "client_credentials"},
        "client_id": {"type": "string"},
        "client_secret": {"type": "string"},
        "scope": {"type": "string"},
    },
}


def _in_body(fault: Mapping[str, Any]) -> dict[str, Any]:
    return {**fault, "loc": ("body", *fault["loc"])}
