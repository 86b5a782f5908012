"""Sign-in of operators: device codes, authorization codes and refresh tokens, in memory.

Source: RFC 8628 (device), RFC 6749 and RFC 7636 (authorization code with PKCE). A restart forgets
everything; operators sign in again.
"""

import base64
import hashlib
import hmac
import string
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from mocks.issuer.tokens import Granted
from mocks.settings import IssuerSettings
from service_runtime.clock import Clock

CLIENTS = ("countersign", "countersign-console")
DEVICE_LIFE, CODE_LIFE, REFRESH_LIFE = (
    timedelta(minutes=10),
    timedelta(minutes=1),
    timedelta(hours=8),
)
SLOWER_S = 5
"""Added to the interval by each poll that comes too early. Source: RFC 8628, 3.5."""
MOST_KEPT = 1000
USER_CODE_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
"""No vowels, no digits: no words, nothing to confuse. Source: RFC 8628, 6.1."""
_SECRET_LETTERS = string.ascii_letters + string.digits
_STANDARD = ("openid", "offline_access")

T = TypeVar("T")


class OAuthError(Exception):
    """A refusal with an error code of OAuth."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error = error
        self.description = description


@dataclass(frozen=True, slots=True)
class Device:
    """A device that waits for an operator's approval."""

    client_id: str
    scope: str
    user_code: str
    poll_s: float
    polled_at: datetime | None = None
    operator: str = ""
    denied: bool = False


@dataclass(frozen=True, slots=True)
class CodeRequest:
    """What a browser brings to the sign-in page."""

    client_id: str
    redirect_uri: str
    scope: str
    state: str
    nonce: str
    code_challenge: str


class Kept(Generic[T]):
    """Values by secret, for a time; the oldest go where there are too many."""

    def __init__(self, clock: Clock, life: timedelta) -> None:
        self._clock = clock
        self._life = life
        self._kept: OrderedDict[str, tuple[datetime, T]] = OrderedDict()

    def add(self, value: T) -> str:
        """Keep a value; return its new secret."""
        secret = self._clock.text(_SECRET_LETTERS, 43)
        self._kept[secret] = (self._clock.now() + self._life, value)
        if len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        return secret

    def put(self, secret: str, value: T) -> None:
        """Replace a value that is kept."""
        self._kept[secret] = (self._kept[secret][0], value)

    def get(self, secret: str) -> tuple[T | None, bool]:
        """Return a value, and whether its time is over."""
        until, value = self._kept.get(secret, (None, None))
        return value, until is not None and until <= self._clock.now()

    def take(self, secret: str) -> T | None:
        """Return a value that is in time, once."""
        value, is_over = self.get(secret)
        self._kept.pop(secret, None)
        return None if is_over else value

    def items(self) -> list[tuple[str, T]]:
        """Return what is in time."""
        return [(name, one) for name, (at, one) in self._kept.items() if at > self._clock.now()]


class Grants:
    """The sign-ins of one issuer."""

    def __init__(self, settings: IssuerSettings, clock: Clock) -> None:
        self._scopes_of: Mapping[str, str] = settings.operators
        self._redirects = settings.operator_redirects
        self._poll_s = settings.device_poll_s
        self._clock = clock
        self._devices: Kept[Device] = Kept(clock, DEVICE_LIFE)
        self._codes: Kept[tuple[CodeRequest, Granted]] = Kept(clock, CODE_LIFE)
        self._refreshes: Kept[Granted] = Kept(clock, REFRESH_LIFE)

    @property
    def operators(self) -> tuple[str, ...]:
        """The names of the development operators."""
        return tuple(self._scopes_of)

    def begin_device(self, client_id: str, scope: str) -> tuple[str, Device]:
        """Return a new device code, and what waits under it."""
        _check_client(client_id)
        letters = self._clock.text(USER_CODE_LETTERS, 8)
        device = Device(client_id, scope, f"{letters[:4]}-{letters[4:]}", self._poll_s)
        return self._devices.add(device), device

    def waiting(self, user_code: str) -> tuple[str, Device]:
        """Return the device under a code that a person has typed; raise OAuthError."""
        typed = user_code.upper().replace("-", "").replace(" ", "")
        for secret, device in self._devices.items():
            if device.user_code.replace("-", "") == typed and not (
                device.operator or device.denied
            ):
                return secret, device
        raise OAuthError("invalid_grant", "this code is unknown, used or expired")

    def decide_device(self, user_code: str, operator: str, *, approved: bool) -> None:
        """Let an operator approve or deny a device; raise OAuthError."""
        self._check_operator(operator)
        secret, device = self.waiting(user_code)
        decided = replace(device, operator=operator) if approved else replace(device, denied=True)
        self._devices.put(secret, decided)

    def redeem_device(self, device_code: str, client_id: str) -> Granted:
        """Return what was granted to a device; raise OAuthError while it is not."""
        device, is_over = self._devices.get(device_code)
        if device is None or device.client_id != client_id:
            raise OAuthError("invalid_grant", "unknown device_code")
        if is_over:
            raise OAuthError("expired_token", "the device code has expired: begin again")
        if device.denied:
            raise OAuthError("access_denied", "the operator has denied it")
        if device.operator:
            self._devices.take(device_code)
            return self._granted(device.operator, client_id, device.scope)
        raise self._not_yet(device_code, device)

    def _not_yet(self, device_code: str, device: Device) -> OAuthError:
        now, before = self._clock.now(), device.polled_at
        is_early = before is not None and (now - before).total_seconds() < device.poll_s
        poll_s = device.poll_s + SLOWER_S * is_early
        self._devices.put(device_code, replace(device, polled_at=now, poll_s=poll_s))
        if is_early:
            return OAuthError("slow_down", f"poll every {poll_s} s at most")
        return OAuthError("authorization_pending", "the operator has not approved it yet")

    def check(self, request: CodeRequest) -> None:
        """Raise OAuthError unless a browser may be returned with a code."""
        _check_client(request.client_id)
        if request.redirect_uri not in self._redirects:
            raise OAuthError("invalid_request", "redirect_uri: not in OPERATOR_REDIRECTS")
        if not request.code_challenge:
            raise OAuthError("invalid_request", "code_challenge: PKCE with S256 is required")

    def begin_code(self, request: CodeRequest, operator: str) -> str:
        """Return the code of an operator who has signed in; raise OAuthError."""
        self.check(request)
        self._check_operator(operator)
        granted = self._granted(operator, request.client_id, request.scope)
        return self._codes.add((request, replace(granted, nonce=request.nonce)))

    def redeem_code(self, code: str, client_id: str, redirect_uri: str, verifier: str) -> Granted:
        """Return what was granted under a code, once; raise OAuthError."""
        request, granted = self._codes.take(code) or (None, None)
        if request is None or granted is None:
            raise OAuthError("invalid_grant", "code: unknown, used or expired")
        if (request.client_id, request.redirect_uri) != (client_id, redirect_uri):
            raise OAuthError("invalid_grant", "client_id, redirect_uri: not those of the code")
        if not hmac.compare_digest(challenge_of(verifier), request.code_challenge):
            raise OAuthError("invalid_grant", "code_verifier: does not match the code_challenge")
        return granted

    def refresh_token(self, granted: Granted) -> str | None:
        """Return a refresh token, where `offline_access` was granted."""
        return self._refreshes.add(granted) if "offline_access" in granted.scopes else None

    def refresh(self, token: str, client_id: str) -> Granted:
        """Return what a refresh token stands for, once; raise OAuthError."""
        granted = self._refreshes.take(token)
        if granted is None or granted.client_id != client_id:
            raise OAuthError("invalid_grant", "refresh_token: unknown, used or expired")
        return granted

    def revoke(self, token: str) -> None:
        """End a refresh token; an unknown one is no error. Source: RFC 7009."""
        self._refreshes.take(token)

    def _granted(self, operator: str, client_id: str, scope: str) -> Granted:
        """Return the scopes that are asked for and allowed; all where none is asked for."""
        allowed = [*self._scopes_of[operator].split(), *_STANDARD]
        asked = scope.split()
        named = set(asked) - set(_STANDARD)
        scopes = [one for one in allowed if one in asked or (not named and one not in _STANDARD)]
        return Granted(operator, client_id, tuple(scopes))

    def _check_operator(self, operator: str) -> None:
        if operator not in self._scopes_of:
            known = ", ".join(self._scopes_of)
            raise OAuthError("access_denied", f"operator: unknown; there are: {known}")


def challenge_of(verifier: str) -> str:
    """Return the S256 challenge of a code verifier. Source: RFC 7636, 4.2."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _check_client(client_id: str) -> None:
    if client_id not in CLIENTS:
        raise OAuthError("invalid_client", f"client_id: must be one of {', '.join(CLIENTS)}")
