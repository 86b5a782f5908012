"""Sign-in of operators in a browser: authorization code with PKCE, at any OpenID provider.

Source: OpenID Connect Core 1.0, 3.1; RFC 7636 (PKCE); RFC 9207 (`iss` in the response).
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import jwt
from jwt import PyJWKSet

from ops.clients.provider import Provider
from ops.domain.errors import RefusedError

_ALGORITHMS = ("EdDSA", "ES256", "PS256", "RS256")
"""Of ID tokens: public keys only, so that no key set is taken for a shared secret."""
_LEEWAY_S = 30
_AGAIN = "sign in again"


@dataclass(frozen=True, slots=True)
class SignInSecrets:
    """What binds the response of a provider to the browser that has begun the sign-in."""

    state: str
    nonce: str
    verifier: str

    @property
    def challenge(self) -> str:
        """The S256 challenge of the verifier. Source: RFC 7636, 4.2."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


@dataclass(frozen=True, slots=True)
class CodeFlow:
    """The code flow of one client. Methods raise UnavailableError or RefusedError."""

    provider: Provider
    redirect_uri: str
    browser_urls: Mapping[str, str]
    """A provider's address between processes → its address for browsers."""

    def address(self, secrets: SignInSecrets) -> str:
        """Return the page of the provider at which a sign-in begins."""
        query = {
            "response_type": "code",
            "client_id": self.provider.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": self.provider.scope,
            "state": secrets.state,
            "nonce": secrets.nonce,
            "code_challenge": secrets.challenge,
            "code_challenge_method": "S256",
        }
        page = self._for_browsers(self.provider.endpoint("authorization_endpoint"))
        return f"{page}{'&' if '?' in page else '?'}{urlencode(query)}"

    def finish(self, response: Mapping[str, str], secrets: SignInSecrets) -> dict[str, Any]:
        """Return the tokens for a provider's response, and under `claims` the ID token's claims."""
        if not hmac.compare_digest(response.get("state", "").encode(), secrets.state.encode()):
            raise RefusedError("state: this sign-in was not begun here", _AGAIN)
        if response.get("iss") not in (None, self.provider.issuer):
            raise RefusedError("iss: the response is another issuer's", _AGAIN)
        if "code" not in response:
            why = response.get("error_description") or response.get("error") or "no code"
            raise RefusedError(f"the issuer refused: {why}"[:300], _AGAIN)
        tokens = self.provider.redeemed(response["code"], secrets.verifier, self.redirect_uri)
        return {**tokens, "claims": self._verified(str(tokens.get("id_token", "")), secrets.nonce)}

    def _for_browsers(self, address: str) -> str:
        for inside, outside in self.browser_urls.items():
            if address.startswith(f"{inside}/"):
                return outside + address.removeprefix(inside)
        return address

    def _verified(self, id_token: str, nonce: str) -> dict[str, Any]:
        """Return the claims of an ID token. Source: OpenID Connect Core, 3.1.3.7."""
        try:
            keys = PyJWKSet.from_dict(self.provider.keys())
            kid = jwt.get_unverified_header(id_token).get("kid")
            key = next(one for one in keys.keys if kid in (None, one.key_id))
            claims: dict[str, Any] = jwt.decode(
                id_token,
                key,
                algorithms=list(_ALGORITHMS),
                audience=self.provider.client_id,
                issuer=self.provider.issuer,
                leeway=_LEEWAY_S,
                options={"require": ["iss", "aud", "sub", "exp", "iat"]},
            )
        except (jwt.PyJWTError, StopIteration) as error:
            raise RefusedError(f"id_token: not valid ({type(error).__name__})", _AGAIN) from None
        if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()):
            raise RefusedError("id_token: nonce: not that of this sign-in", _AGAIN)
        return claims
