"""What the wallet page needs, in the development profile: its files, and what two mocks return."""

import hashlib
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self
from urllib.parse import quote

from service_runtime.errors import Unavailable
from service_runtime.http_client import HttpClient

PAGE = "index.html"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}
_OK = 200
_SCOPE = "payment.confirm"
_MOST_MESSAGES = 5
_NOT_BUILT = """<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><title>Countersign wallet</title>
<h1>The wallet is not built</h1>
<p>Its set-up needs Node.js 20 or newer with npm. Install both, then run
<code>make up</code> and <code>make restart S=gateway</code>.</p>
</html>
"""


@dataclass(frozen=True, slots=True)
class PageFile:
    """A file of the page."""

    body: bytes
    media_type: str
    etag: str

    @classmethod
    def of(cls, body: bytes, suffix: str) -> "PageFile":
        """Return a file with the type of its suffix."""
        return cls(body, _TYPES[suffix], f'"{hashlib.sha256(body).hexdigest()[:16]}"')


def page_files(folder: Path) -> Mapping[str, PageFile]:
    """Read the built page into memory, by file name; without it, a page that says what to do.

    Only names that are found here can be served, so no path leads out of the folder.
    """
    found = {
        path.name: PageFile.of(path.read_bytes(), path.suffix)
        for path in sorted(folder.glob("*"))
        if path.is_file() and path.suffix in _TYPES
    }
    return found if PAGE in found else {PAGE: PageFile.of(_NOT_BUILT.encode(), ".html")}


class Demonstration(Protocol):
    """Signs demonstration customers in, and shows their messages."""

    async def token(self, user: str) -> Mapping[str, Any]:
        """Return an access token of a user, and its seconds; raise Unavailable."""
        ...

    async def messages(self, phone: str) -> list[str]:
        """Return the texts of the last SMS to a phone, newest first; raise Unavailable."""
        ...


class Mocks:
    """Asks the development issuer, and the mock of the SMS provider.

    Neither starts in production.
    """

    def __init__(self, issuer_url: str, sms_url: str) -> None:
        self._issuer = HttpClient("wallet-issuer", issuer_url)
        self._sms = HttpClient("wallet-sms", sms_url)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        for client in (self._issuer, self._sms):
            await self._stack.enter_async_context(client)
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._stack.aclose()

    async def token(self, user: str) -> Mapping[str, Any]:
        answer = await self._issuer.post("/token", {"sub": user, "scope": _SCOPE})
        if answer.status != _OK:
            raise Unavailable(f"the development issuer responds {answer.status}")
        return {"token": answer.body["access_token"], "expires_in": answer.body["expires_in"]}

    async def messages(self, phone: str) -> list[str]:
        answer = await self._sms.get(f"/messages?to={quote(phone, safe='')}")
        if answer.status != _OK:
            raise Unavailable(f"the mock of the SMS provider responds {answer.status}")
        return [one["body"] for one in answer.body["messages"][: -_MOST_MESSAGES - 1 : -1]]
