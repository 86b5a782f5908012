"""The published keys, and the description of this issuer. Source: RFC 8414, OpenID Discovery."""

from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from identity.clients.tokens import TokenIssuer
from identity.domain.applications import GRANTS, REFRESH, STANDARD
from identity.routes.authorize import AUTHORIZE
from identity.routes.device import BEGIN
from identity.routes.grants import REVOKE, TOKEN
from identity.routes.sign_out import END_SESSION
from payment_schemas.scopes import CUSTOMER_SCOPES, SCOPES
from service_runtime.sealing import key_set
from service_runtime.web import JsonResponse

KEYS, METADATA = "/.well-known/jwks.json", "/.well-known/openid-configuration"
_PUBLIC_FOR_S = 60
_PUBLIC = {"Cache-Control": f"public, max-age={_PUBLIC_FOR_S}"}
_ENDPOINTS = {
    "authorization_endpoint": AUTHORIZE,
    "device_authorization_endpoint": BEGIN,
    "end_session_endpoint": END_SESSION,
    "jwks_uri": KEYS,
    "revocation_endpoint": REVOKE,
    "token_endpoint": TOKEN,
}
_METHODS = ["client_secret_basic", "client_secret_post", "none"]
_FIXED = {
    "authorization_response_iss_parameter_supported": True,
    "claims_supported": ["iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "sid"],
    "code_challenge_methods_supported": ["S256"],
    "grant_types_supported": [*GRANTS, REFRESH],
    "id_token_signing_alg_values_supported": ["EdDSA"],
    "request_parameter_supported": False,
    "request_uri_parameter_supported": False,
    "response_modes_supported": ["query"],
    "response_types_supported": ["code"],
    "revocation_endpoint_auth_methods_supported": _METHODS,
    "scopes_supported": [*STANDARD, *CUSTOMER_SCOPES, *SCOPES],
    "subject_types_supported": ["public"],
    "token_endpoint_auth_methods_supported": _METHODS,
}


@dataclass(frozen=True, slots=True)
class DiscoveryRoutes:
    """What everybody reads who verifies tokens or signs people in."""

    issuer: TokenIssuer

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        router.get(KEYS, response_model=dict[str, Any])(self.keys)
        router.get(METADATA, response_model=dict[str, Any])(self.metadata)

    async def keys(self) -> Response:
        """Return the keys that verify tokens (RFC 7517)."""
        return JsonResponse(key_set(self.issuer.keys), headers=_PUBLIC)

    async def metadata(self) -> Response:
        """Return the description of this issuer (RFC 8414)."""
        issuer = self.issuer.issuer
        endpoints = {name: issuer + path for name, path in _ENDPOINTS.items()}
        return JsonResponse({"issuer": issuer, **endpoints, **_FIXED}, headers=_PUBLIC)
