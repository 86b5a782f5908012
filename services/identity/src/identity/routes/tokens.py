"""Tokens of machines by their secret, the published keys and the description of this issuer."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import ValidationError

from identity.clients.tokens import Grant, TokenIssuer
from identity.domain.durations import short
from identity.domain.subjects import client_subject, is_client_id
from identity.routes.bodies import (
    ClientCredentials,
    ClientToken,
    StandardToken,
    Success,
    standard,
    success,
)
from identity.store import Client, Clients
from payment_schemas import answers
from payment_schemas.answers import RefusedError
from payment_schemas.scopes import CUSTOMER_SCOPES
from service_runtime import metrics
from service_runtime.edge import Admission
from service_runtime.forms import FORM, BadFormError, form_fields
from service_runtime.ports import Database
from service_runtime.sealing import key_set
from service_runtime.web import JsonResponse, given_once

TOKEN = "/api/v1/auth/token"  # noqa: S105 - a path
KEYS, METADATA = "/.well-known/jwks.json", "/.well-known/openid-configuration"
MOST_FIELDS = 10
_WRONG = "clientId or clientSecret is wrong"
_PUBLIC_FOR_S = 60
_tokens = metrics.counter("client_tokens", "Tokens asked for by clients, by result.")


class OAuthError(Exception):
    """A refusal of the standard form. Source: RFC 6749, 5.2."""

    def __init__(self, error: str, details: str, status: int = 400) -> None:
        super().__init__(details)
        self.error = error
        self.status = status


@dataclass(frozen=True, slots=True)
class TokenRoutes:
    """The routes of machines, and of everybody who verifies tokens."""

    database: Database
    admission: Admission
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
        router.get(KEYS, response_model=dict[str, Any])(self.keys)
        router.get(METADATA, response_model=dict[str, Any])(self.metadata)

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
        client = await self._client(fields.client_id, fields.client_secret.reveal())
        if client is None:
            raise RefusedError(await self.admission.failed(request, _WRONG))
        data = {
            "token": self._issued(client, client.scopes),
            "expiresIn": short(self.issuer.life_s),
            "tokenType": "Bearer",
        }
        return success(data)

    async def _standard(self, request: Request) -> Response:
        try:
            form = _form_of(await request.body())
            client = await self._authenticated(form, request)
            scopes = _asked(form, client)
        except OAuthError as error:
            body = {"error": error.error, "error_description": str(error)}
            return standard(body, error.status)
        issued = {"access_token": self._issued(client, scopes), "token_type": "Bearer"}
        more = {"expires_in": self.issuer.life_s, "scope": " ".join(sorted(scopes))}
        return standard(issued | more)

    async def _authenticated(self, form: Mapping[str, str], request: Request) -> Client:
        client = await self._client(*_credentials(form, request))
        if client is None:
            refused = await self.admission.failed(request, _WRONG)
            raise OAuthError("invalid_client", _WRONG, refused.status)
        return client

    async def _client(self, client_id: str, secret: str) -> Client | None:
        """Return the client whose secret it is; an unknown client costs the same."""
        async with self.database.transaction() as tx:
            found = await Clients(tx).found(client_id) if is_client_id(client_id) else None
        presented = hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
        known = found.secrets if found else ["0" * 64]
        is_known = any(hmac.compare_digest(one, presented) for one in known)
        client = found if is_known else None
        _tokens.add(1, {"result": "issued" if client else "refused"})
        return client

    def _issued(self, client: Client, scopes: Iterable[str]) -> str:
        subject = client_subject(client.id)
        return self.issuer.issue(Grant(subject, client.id, self.issuer.audience, scopes))

    async def keys(self) -> Response:
        """Return the keys that verify tokens (RFC 7517)."""
        return JsonResponse(key_set(self.issuer.keys), headers=_PUBLIC)

    async def metadata(self) -> Response:
        """Return the description of this issuer (RFC 8414)."""
        issuer = self.issuer.issuer
        document = {
            "issuer": issuer,
            "jwks_uri": issuer + KEYS,
            "token_endpoint": issuer + TOKEN,
            "grant_types_supported": ["client_credentials"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "response_types_supported": [],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["EdDSA"],
            "scopes_supported": list(CUSTOMER_SCOPES),
        }
        return JsonResponse(document, headers=_PUBLIC)


_PUBLIC = {"Cache-Control": f"public, max-age={_PUBLIC_FOR_S}"}
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


def _form_of(body: bytes) -> Mapping[str, str]:
    try:
        return form_fields(body, MOST_FIELDS)
    except BadFormError as error:
        raise OAuthError("invalid_request", str(error)) from None


def _credentials(form: Mapping[str, str], request: Request) -> tuple[str, str]:
    """Return client and secret, from the header or the form, not from both (RFC 6749, 2.3.1)."""
    authorization = given_once(request.headers, "authorization") or ""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return form.get("client_id", ""), form.get("client_secret", "")
    if "client_secret" in form:
        raise OAuthError("invalid_request", "client_secret: given in header and form")
    try:
        client_id, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise OAuthError("invalid_client", "Authorization: cannot be read", 401) from None
    return unquote_plus(client_id), unquote_plus(secret)


def _asked(form: Mapping[str, str], client: Client) -> frozenset[str]:
    if form.get("grant_type") != "client_credentials":
        raise OAuthError("unsupported_grant_type", "grant_type: must be client_credentials")
    asked = frozenset(form.get("scope", "").split()) or frozenset(client.scopes)
    if not asked <= frozenset(client.scopes):
        raise OAuthError("invalid_scope", "scope: more than the client has")
    return asked
