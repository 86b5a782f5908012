"""Who asks by OAuth's forms: clients with their secret, and public ones by their name alone."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote_plus

from fastapi import Request

from identity.domain.applications import Client
from identity.domain.refusals import OAuthError
from identity.domain.subjects import is_client_id
from identity.store import Clients
from service_runtime import metrics
from service_runtime.edge import Admission
from service_runtime.forms import BadFormError, form_fields
from service_runtime.ports import Database
from service_runtime.web import given_once

MOST_FIELDS = 20
WRONG = "clientId or clientSecret is wrong"
_tokens = metrics.counter("client_tokens", "Secrets that clients presented, by result.")
_NO_SECRET = "0" * 64


@dataclass(frozen=True, slots=True)
class ClientCheck:
    """What authenticates a client."""

    database: Database
    admission: Admission

    async def authenticated(self, form: Mapping[str, str], request: Request) -> Client:
        """Return the client of a form; raise OAuthError, 401 or 429 behind too many failures."""
        client_id, secret = _credentials(form, request)
        known = await self.known(client_id) if not secret else None
        if known is not None and known.is_public:
            return known
        client = await self.machine(client_id, secret)
        if client is None:
            refused = await self.admission.failed(request, WRONG)
            raise OAuthError("invalid_client", WRONG, refused.status)
        return client

    async def known(self, client_id: str) -> Client | None:
        """Return a client that is not disabled."""
        if not is_client_id(client_id):
            return None
        async with self.database.transaction() as tx:
            return await Clients(tx).found(client_id)

    async def machine(self, client_id: str, secret: str) -> Client | None:
        """Return the client whose secret it is; an unknown client costs the same."""
        found = await self.known(client_id)
        presented = hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
        secrets = found.secrets if found and found.secrets else [_NO_SECRET]
        is_known = any(hmac.compare_digest(one, presented) for one in secrets)
        client = found if is_known else None
        _tokens.add(1, {"result": "issued" if client else "refused"})
        return client


def form_of(body: bytes) -> Mapping[str, str]:
    """Return the fields of a form; raise OAuthError for one that is given twice."""
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
