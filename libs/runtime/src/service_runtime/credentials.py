"""The machines that call internal routes, by their secrets, which are rotated under load."""

import hashlib
import hmac
from collections.abc import Callable, Mapping
from typing import Annotated

from fastapi import Request
from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from service_runtime.keys import SecretFile, listed_once
from service_runtime.refusals import RefusalLog
from service_runtime.tls import client_names
from service_runtime.web import given_once

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Machine(BaseModel):
    """A caller of internal routes: the hashes of its accepted secrets, and its scopes."""

    sha256: Annotated[list[Digest], BeforeValidator(listed_once), Field(min_length=1)]
    """During a rotation several; a single one may be a text."""
    scopes: list[str]


Callers = Mapping[str, Machine]
_CALLERS = TypeAdapter(dict[str, Machine])


def callers_of(text: str) -> Callers:
    """Return the callers that a document names; raise ValueError with its form."""
    try:
        return _CALLERS.validate_json(text)
    except ValidationError:
        raise ValueError('must hold JSON: {caller: {"sha256": hex, "scopes": [...]}}') from None


class Credentials:
    """The callers of internal routes and their scopes. Holds only hashes of their secrets.

    Source: the file behind INTERNAL_CREDENTIALS_FILE, which may change while the process runs.
    """

    def __init__(self, source: SecretFile[Callers] | str) -> None:
        """`source`: the file, or its text."""
        self._file = source if isinstance(source, SecretFile) else None
        self._fixed = callers_of(source) if isinstance(source, str) else {}
        self._refusals = RefusalLog()

    def caller_of(
        self, request: HTTPConnection, scope: str, header: str = "authorization"
    ) -> str | None:
        """Return the caller that has the scope; by TLS it must show its own certificate."""
        found = self.caller_with(scope, given_once(request.headers, header) or "")
        names = client_names(request.scope)
        return found if names is None or found in names else None

    def caller_with(self, scope: str, authorization: str) -> str | None:
        """Return the caller whose bearer secret this is, if it has the scope."""
        presented = hashlib.sha256(authorization.removeprefix("Bearer ").encode()).hexdigest()
        if self._file is None:
            return _caller(self._fixed, presented, scope)
        known = _caller(self._file.get(), presented, scope)
        # The caller may have read a newer secret.
        return known or _caller(self._file.get(now=True), presented, scope)

    def admit(self, request: Request, scope: str) -> str:
        """Return the name of the caller that has the scope; raise HTTPException 401."""
        found = self.caller_of(request, scope)
        if found is None:
            details = f"A credential with scope {scope} is required"
            if client_names(request.scope) is not None:
                details += ", and the client certificate of its caller"
            address = request.client.host if request.client else "unknown"
            self._refusals.note(401, details, address)
            raise HTTPException(401, details, {"WWW-Authenticate": "Bearer"})
        return found

    def require(self, scope: str) -> Callable[[Request], str]:
        """Return a FastAPI dependency that yields the caller's name, or raises 401."""

        def caller(request: Request) -> str:
            return self.admit(request, scope)

        return caller


def _caller(callers: Callers, presented: str, scope: str) -> str | None:
    for name, caller in callers.items():
        is_known = any(hmac.compare_digest(one, presented) for one in caller.sha256)
        if is_known and scope in caller.scopes:
            return name
    return None
