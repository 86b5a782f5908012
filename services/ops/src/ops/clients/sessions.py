"""An operator's session: tokens in a file that only its owner can read, refreshed in time."""

import base64
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ops.clients.addresses import Addresses
from ops.clients.provider import DeviceCode, Provider
from ops.domain.errors import UnavailableError
from service_runtime.clock import Clock, SystemClock

REFRESH_BEFORE_S = 30
_LOGIN = "countersign login"


@dataclass(frozen=True, slots=True)
class Signed:
    """The tokens of one sign-in."""

    access_token: str
    expires_at: float
    refresh_token: str = ""

    @property
    def claims(self) -> dict[str, Any]:
        """What the token says of its bearer, for display. Services verify it; this does not."""
        try:
            part = self.access_token.split(".")[1]
            found = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        except (IndexError, ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}


class Tokens:
    """The tokens of each issuer, a file each, mode 0600."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, issuer: str) -> Path:
        """Return the file of an issuer."""
        return self._folder / f"{hashlib.sha256(issuer.encode()).hexdigest()[:16]}.json"

    def read(self, issuer: str) -> Signed | None:
        """Return what is kept; None where nothing is, or not readable."""
        try:
            return Signed(**json.loads(self.path(issuer).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def write(self, issuer: str, signed: Signed) -> None:
        """Keep tokens; the file is renamed into place, and never readable by others."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self.path(issuer).with_suffix(f".{os.getpid()}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(asdict(signed), file)
        draft.replace(self.path(issuer))

    def forget(self, issuer: str) -> None:
        """Remove what is kept."""
        self.path(issuer).unlink(missing_ok=True)


def state_folder(environment: Mapping[str, str]) -> Path:
    """Return the folder of tokens. Source: XDG Base Directory Specification."""
    base = environment.get("XDG_STATE_HOME") or Path.home() / ".local/state"
    return Path(base) / "countersign"


DEVELOPMENT_OPERATORS = ("alice", "bob")
"""The development operators who may do everything; two, because some acts need two people."""


def session_of(addresses: Addresses, operator: str = "") -> "Session":
    """Return the session of this machine's user; with `operator`, a development operator's."""
    tokens = Tokens(state_folder(os.environ))
    return Session(Provider(addresses), tokens, operator, SystemClock())


class Session:
    """The session of the command. With `operator`, a development operator's, which is not kept."""

    def __init__(self, provider: Provider, tokens: Tokens, operator: str, clock: Clock) -> None:
        self._provider = provider
        self._tokens = tokens
        self._operator = operator
        self._clock = clock
        self._signed: Signed | None = None

    def close(self) -> None:
        """Close all connections."""
        self._provider.close()

    def token(self) -> str:
        """Return a valid access token; raise UnavailableError where there is none."""
        return self.signed().access_token

    def signed(self) -> Signed:
        """Return valid tokens: known, kept, refreshed, or a development operator's."""
        if self._signed is None and not self._operator:
            self._signed = self._tokens.read(self._provider.url)
        if self._signed is None or self._is_old(self._signed):
            self._signed = self._renewed(self._signed)
        return self._signed

    def sign_in(self, show: Callable[[DeviceCode], None], sleep: Callable[[float], None]) -> Signed:
        """Sign in, by a person with a browser or as the development operator; keep the tokens."""
        signed = self._by_device(show, sleep)
        self._tokens.write(self._provider.url, signed)
        self._signed = signed
        return signed

    def sign_out(self) -> bool:
        """End the kept session; return whether there was one."""
        kept = self._tokens.read(self._provider.url)
        self._tokens.forget(self._provider.url)
        if kept is not None and kept.refresh_token:
            self._provider.revoke(kept.refresh_token)
        return kept is not None

    def _renewed(self, old: Signed | None) -> Signed:
        if self._operator:
            return self._by_device(lambda _code: None, lambda _seconds: None)
        if old is None:
            raise UnavailableError("nobody is signed in", _LOGIN)
        found = self._provider.refreshed(old.refresh_token) if old.refresh_token else None
        if found is None:
            raise UnavailableError("the session has expired", _LOGIN)
        renewed = self._read({"refresh_token": old.refresh_token} | found)
        self._tokens.write(self._provider.url, renewed)
        return renewed

    def _by_device(
        self, show: Callable[[DeviceCode], None], sleep: Callable[[float], None]
    ) -> Signed:
        code = self._provider.begin()
        if self._operator:
            self._provider.approve_as(self._operator, code)
        else:
            show(code)
        return self._read(self._provider.wait(code, sleep))

    def _read(self, found: Mapping[str, Any]) -> Signed:
        ends_at = self._clock.now().timestamp() + float(found.get("expires_in", 0))
        return Signed(str(found["access_token"]), ends_at, str(found.get("refresh_token", "")))

    def _is_old(self, signed: Signed) -> bool:
        return signed.expires_at - self._clock.now().timestamp() < REFRESH_BEFORE_S
