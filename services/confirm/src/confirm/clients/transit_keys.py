"""Private keys at a service with the interface of Vault's transit engine: RSA alone."""

import asyncio
import base64
from collections.abc import Callable
from typing import Any, Self

from service_runtime.encryption_keys import OpeningKey
from service_runtime.errors import Unavailable
from service_runtime.http_client import HttpClient, HttpResponse
from service_runtime.key_provider import Header, NotAbleError, WrongKeyError
from service_runtime.tls import Authority

WITHIN_S = 2.0
OK, BAD_REQUEST = 200, 400


class TransitKeys:
    """Unwraps by `POST …/decrypt/<kid>`, which decrypts RSA-OAEP with SHA-256.

    Transit derives no shared secrets: EC keys cannot be there.
    """

    def __init__(self, url: str, credential: Callable[[], str], ca: str = "") -> None:
        """`url`: with the engine's path, as https://vault:8200/v1/transit."""
        tls = Authority(ca) if ca else None
        self._http = HttpClient("transit", url, WITHIN_S, bearer=credential, tls=tls)
        self._loop: asyncio.AbstractEventLoop | None = None

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        await self._http.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._http.__aexit__(*error)

    def unwrap(self, key: OpeningKey, _header: Header, encrypted_key: bytes) -> bytes:
        if key.kind != "RSA":
            raise NotAbleError("transit decrypts with RSA keys alone")
        text = base64.b64encode(encrypted_key).decode()
        response = self._post(f"/decrypt/{key.kid}", {"ciphertext": f"vault:v1:{text}"})
        if response.status == BAD_REQUEST:
            raise WrongKeyError("transit refuses the content key")
        if response.status != OK:
            raise Unavailable(f"transit: status {response.status}")
        return _plain(response.body)

    def _post(self, path: str, body: dict[str, str]) -> HttpResponse:
        """Call from a worker thread; the loop of the process has the connections."""
        if self._loop is None:
            raise Unavailable("transit: not started")
        call = self._http.post(path, body)
        return asyncio.run_coroutine_threadsafe(call, self._loop).result(2 * WITHIN_S)


def _plain(body: Any) -> bytes:
    try:
        return base64.b64decode(body["data"]["plaintext"], validate=True)
    except (ValueError, TypeError, KeyError):
        raise Unavailable("transit: the response has no plaintext") from None
