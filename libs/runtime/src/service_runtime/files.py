"""Files over HTTP: streamed to and from an object store, bounded and with a checksum.

Checksums are `Content-Digest: sha-256=:<base64>:` (RFC 9530), of an upload if the client sends one.
"""

import base64
import re

from fastapi import HTTPException, Request
from starlette.requests import ClientDisconnect
from starlette.responses import Response, StreamingResponse

from service_runtime.object_store import ObjectStore, StoredObject, WrongChecksumError
from service_runtime.web import given_once

_DIGEST = re.compile(r"(?:^|,)\s*sha-256=:([A-Za-z0-9+/]{43}=):")
_RANGE = re.compile(r"bytes=(\d{1,18})-(\d{1,18})?")


async def receive_file(
    request: Request, store: ObjectStore, name: str, max_bytes: int
) -> StoredObject:
    """Store a request's body; raise HTTPException 413 over the limit, 400 for another checksum.

    `max_bytes` replaces the service's limit of bodies. The time that an upload may take is
    BODY_WITHIN_S. Nothing is stored of a body that is refused or breaks off.
    """
    request.state.body.allow(max_bytes)
    sha256 = _expected(given_once(request.headers, "content-digest"))
    try:
        return await store.put(name, request.stream(), sha256)
    except WrongChecksumError:
        raise HTTPException(400, "Content-Digest does not match") from None
    except ClientDisconnect:
        raise HTTPException(400, "Body is incomplete") from None


async def send_file(request: Request, store: ObjectStore, name: str) -> Response:
    """Return the response that streams an object, or a part of it; raise HTTPException 404, 416."""
    size = await store.size(name)
    if size is None:
        raise HTTPException(404, "Not found")
    start, stop = _range_of(given_once(request.headers, "range"), size)
    headers = {"Content-Length": str(stop - start), "Accept-Ranges": "bytes"}
    is_part = (start, stop) != (0, size)
    if is_part:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    chunks = store.read(name, start, stop)
    media_type = "application/octet-stream"
    return StreamingResponse(chunks, 206 if is_part else 200, headers, media_type)


def digest_of(stored: StoredObject) -> str:
    """Return the `Content-Digest` of an object."""
    return f"sha-256=:{base64.b64encode(bytes.fromhex(stored.sha256)).decode()}:"


def _expected(header: str | None) -> str | None:
    """Return the announced SHA-256 as hex."""
    found = _DIGEST.search(header or "")
    return base64.b64decode(found[1]).hex() if found else None


def _range_of(header: str | None, size: int) -> tuple[int, int]:
    """Return the first byte and the one after the last. Source: RFC 9110, section 14.

    Several ranges and other units are answered with the whole file, as the standard allows.
    """
    found = _RANGE.fullmatch(header or "")
    if found is None:
        return 0, size
    start, last = int(found[1]), int(found[2] or size - 1)
    if start >= size or last < start:
        raise HTTPException(416, "Range not satisfiable", {"Content-Range": f"bytes */{size}"})
    return start, min(last + 1, size)
