"""The object store behind an S3-shaped API: path-style addresses, requests signed with SigV4.

Needs the package `awscrt` (AWS' own signer), which a service that uses it declares.
"""

import re
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import IO, Self
from urllib.parse import urlencode, urlsplit

import aiohttp
from awscrt.auth import AwsCredentialsProvider, AwsSigningConfig, aws_sign_request
from awscrt.auth import AwsSignedBodyHeaderType as BodyHeader
from awscrt.http import HttpHeaders, HttpRequest

from service_runtime.errors import Unavailable
from service_runtime.object_store import CHUNK_BYTES, StoredObject, checked_name, spool

CONNECT_WITHIN_S = 3.0
SILENT_WITHIN_S = 30.0
"""How long a server may send nothing."""
IN_MEMORY_BYTES = 1024 * 1024
"""Larger objects are on disk while they are written: size and checksum come first."""
EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
NOT_FOUND = 404
_LISTED = re.compile(r"<Key>([^<]+)</Key>")
"""A name in a listing; no character of one is escaped in XML."""


@dataclass(frozen=True, slots=True)
class S3Settings:
    """A bucket, and the account that reads and writes it."""

    endpoint: str
    bucket: str
    region: str
    access_key_id: str
    secret_access_key: str = field(repr=False)


class S3Store:
    """Objects of a bucket. One request writes an object: whole or not at all, up to 5 GiB.

    The server checks the SHA-256 of what it receives. Raises Unavailable where it does not respond
    or refuses.
    """

    def __init__(self, settings: S3Settings) -> None:
        self._settings = settings
        self._credentials = AwsCredentialsProvider.new_static(
            settings.access_key_id, settings.secret_access_key
        )
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=CONNECT_WITHIN_S, sock_read=SILENT_WITHIN_S
        )
        self._session = aiohttp.ClientSession(timeout=timeout, auto_decompress=False)
        return self

    async def __aexit__(self, *_error: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def put(
        self, name: str, chunks: AsyncIterator[bytes], sha256: str | None = None
    ) -> StoredObject:
        with tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES) as file:
            stored = await spool(name, chunks, file, sha256)
            file.seek(0)
            async with self._request("PUT", name, body=file, stored=stored):
                return stored

    async def read(
        self, name: str, start: int = 0, stop: int | None = None
    ) -> AsyncIterator[bytes]:
        last = "" if stop is None else stop - 1
        async with self._request("GET", name, {"Range": f"bytes={start}-{last}"}) as response:
            if response.status == NOT_FOUND:
                raise FileNotFoundError(name)
            async for chunk in response.content.iter_chunked(CHUNK_BYTES):
                yield chunk

    async def size(self, name: str) -> int | None:
        async with self._request("HEAD", name) as response:
            return None if response.status == NOT_FOUND else response.content_length

    async def delete(self, name: str) -> None:
        async with self._request("DELETE", name):
            pass

    async def next_name(self, after: str) -> str | None:
        query = {"list-type": "2", "max-keys": "1"} | ({"start-after": after} if after else {})
        listing = urlencode(sorted(query.items()), safe="/")
        async with self._request("GET", f"?{listing}") as response:
            found = _LISTED.search(await response.text())
        return found[1] if found else None

    @asynccontextmanager
    async def _request(
        self,
        method: str,
        name: str,
        headers: dict[str, str] | None = None,
        body: IO[bytes] | None = None,
        stored: StoredObject | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request about an object, or about the bucket: `?query`."""
        if self._session is None:
            raise Unavailable("the object store is not started")
        # Neither a bucket's nor an object's name has a character that would have to be escaped.
        about = name if name.startswith("?") else f"/{checked_name(name)}"
        path = f"/{self._settings.bucket}{about}"
        signed = self._signed(method, path, stored)
        if stored is not None:
            signed["Content-Length"] = str(stored.size)
        try:
            async with self._session.request(
                method,
                f"{self._settings.endpoint}{path}",
                headers={**(headers or {}), **signed},
                data=body,
            ) as response:
                is_missing = method != "PUT" and response.status == NOT_FOUND
                if not (response.ok or is_missing):
                    raise Unavailable(f"the object store responds {response.status}")
                yield response
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unavailable(f"the object store: {type(error).__qualname__}") from error

    def _signed(self, method: str, path: str, stored: StoredObject | None) -> dict[str, str]:
        host = urlsplit(self._settings.endpoint).netloc
        request = HttpRequest(method, path, HttpHeaders([("Host", host)]))
        config = AwsSigningConfig(
            credentials_provider=self._credentials,
            region=self._settings.region,
            service="s3",
            use_double_uri_encode=False,
            should_normalize_uri_path=False,
            signed_body_value=stored.sha256 if stored else EMPTY_SHA256,
            signed_body_header_type=BodyHeader.X_AMZ_CONTENT_SHA_256,
        )
        aws_sign_request(request, config).result()
        return dict(request.headers)
