"""The OpenID provider of operators: discovery, device flow, codes, refresh.

Source: RFC 8414, RFC 8628, RFC 6749.
"""

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from ops.clients.addresses import Addresses
from ops.domain.errors import RefusedError, UnavailableError
from payment_schemas.scopes import SCOPES

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
SCOPE = " ".join(("openid", "offline_access", *SCOPES))
"""What is asked for; the issuer grants what the operator has. `offline_access` asks for a refresh
token."""
ANSWER_WITHIN_S = 10.0
SLOWER_S = 5
LONGEST_WAIT_S = 900.0
_WAITS = {"authorization_pending": 0, "slow_down": SLOWER_S}
_DISCOVERY = "/.well-known/openid-configuration"


@dataclass(frozen=True, slots=True)
class DeviceCode:
    """A sign-in that waits for a person with a browser."""

    device_code: str
    user_code: str
    page: str
    expires_in_s: float
    interval_s: float


class Provider:
    """One issuer of operators' tokens."""

    def __init__(self, addresses: Addresses, tls_ca: str = "") -> None:
        """`tls_ca`: file of an authority that is trusted beside those of this machine."""
        self._addresses = addresses
        trusted = ssl.create_default_context()
        if tls_ca:
            trusted.load_verify_locations(tls_ca)
        self._http = httpx.Client(follow_redirects=False, timeout=ANSWER_WITHIN_S, verify=trusted)
        self._found: Mapping[str, Any] = {}

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    @property
    def url(self) -> str:
        """The address of the issuer: OPERATOR_ISSUER, else the stack's development issuer."""
        return (self._addresses.operator_issuer or self._addresses.url("issuer")).rstrip("/")

    @property
    def client_id(self) -> str:
        """The name of the client at the issuer."""
        return self._addresses.client_id

    @property
    def scope(self) -> str:
        """The scopes to ask for, separated by spaces."""
        return self._addresses.operator_scopes or SCOPE

    @property
    def issuer(self) -> str:
        """The issuer as it names itself."""
        return str(self._document().get("issuer", ""))

    def endpoint(self, name: str) -> str:
        """Return an address of the issuer; raise UnavailableError where it has none."""
        address = self._document().get(name)
        if address is None:
            raise UnavailableError(f"{self.url} has no {name}", "printenv OPERATOR_ISSUER")
        return str(address)

    def keys(self) -> dict[str, Any]:
        """Return the keys that the issuer signs with, as a JWK set."""
        return self._accepted(self._send("GET", self.endpoint("jwks_uri")))

    def redeemed(self, code: str, verifier: str, redirect_uri: str) -> dict[str, Any]:
        """Return the tokens for an authorization code. Source: RFC 6749, 4.1.3; RFC 7636, 4.5."""
        body = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        return self._accepted(self._post("token_endpoint", body))

    def begin(self) -> DeviceCode:
        """Begin a device's sign-in."""
        asked = {"scope": self.scope}
        found = self._accepted(self._post("device_authorization_endpoint", asked))
        return DeviceCode(
            found["device_code"],
            found["user_code"],
            found.get("verification_uri_complete") or found["verification_uri"],
            float(found["expires_in"]),
            float(found.get("interval", 5)),
        )

    def wait(self, code: DeviceCode, sleep: Callable[[float], None]) -> dict[str, Any]:
        """Poll until the person has decided; return the tokens. Raises RefusedError."""
        interval_s, left_s = code.interval_s, min(code.expires_in_s, LONGEST_WAIT_S)
        body = {"grant_type": DEVICE_GRANT, "device_code": code.device_code}
        while left_s > 0:
            response = self._post("token_endpoint", body)
            error = None if response.is_success else _fields(response).get("error")
            if error not in _WAITS:
                return self._accepted(response)
            interval_s += _WAITS[error]
            left_s -= interval_s
            sleep(interval_s)
        raise RefusedError("nobody approved the code in time", "countersign login")

    def refreshed(self, refresh_token: str) -> dict[str, Any] | None:
        """Return new tokens; None where the refresh token is not valid any more."""
        body = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        response = self._post("token_endpoint", body)
        return self._accepted(response) if response.is_success else None

    def revoke(self, refresh_token: str) -> None:
        """End a refresh token, where the issuer has an address for it. Source: RFC 7009."""
        if "revocation_endpoint" in self._document():
            self._post("revocation_endpoint", {"token": refresh_token})

    def approve_as(self, operator: str, code: DeviceCode) -> None:
        """Approve a code by the page of a development issuer; raise RefusedError at any other."""
        known = self._document().get("development_operators", ())
        if operator not in known:
            what = f"{self.url} has no development operator {operator}"
            names = f"; it has {', '.join(known)}" if known else ": sign in with a browser"
            raise RefusedError(what + names, "countersign login")
        form = {"user_code": code.user_code, "operator": operator, "decision": "approve"}
        page = code.page.partition("?")[0]
        response = self._send("POST", page, form)
        if not response.is_success:
            raise RefusedError(f"{self.url} did not approve the code", "make logs S=issuer")

    def _document(self) -> Mapping[str, Any]:
        if not self._found:
            found = _fields(self._send("GET", self.url + _DISCOVERY))
            expected = self._addresses.operator_issuer
            # RFC 8414, 3.3: another issuer's document is not used.
            if "token_endpoint" not in found or expected not in ("", found.get("issuer")):
                what = f"{self.url} does not describe itself at {_DISCOVERY}"
                raise UnavailableError(what, "printenv OPERATOR_ISSUER")
            self._found = found
        return self._found

    def _post(self, endpoint: str, form: Mapping[str, str]) -> httpx.Response:
        return self._send("POST", self.endpoint(endpoint), {**form, "client_id": self.client_id})

    def _send(
        self, method: str, address: str, form: Mapping[str, str] | None = None
    ) -> httpx.Response:
        try:
            return self._http.request(method, address, data=form)
        except (httpx.HTTPError, httpx.InvalidURL):
            raise UnavailableError(f"the issuer {self.url} cannot be reached", "make up") from None

    def _accepted(self, response: httpx.Response) -> dict[str, Any]:
        fields = _fields(response)
        if response.is_success and fields:
            return fields
        why = fields.get("error_description") or fields.get("error") or response.status_code
        raise RefusedError(f"the issuer {self.url} refused: {why}", "countersign login")


def _fields(response: httpx.Response) -> dict[str, Any]:
    try:
        found = response.json()
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
