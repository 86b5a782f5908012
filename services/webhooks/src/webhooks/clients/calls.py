"""One HTTP/1.1 call to an endpoint that may be hostile.

The connection goes to the address that was checked; TLS verifies the name. No redirect is followed,
nothing is read of the environment (no proxy), nothing is kept of the response but its status.
"""

import asyncio
import contextlib
import re
import ssl
import time
from collections.abc import Mapping

from service_runtime.errors import Unavailable
from webhooks.clients.names import ForbiddenAddressError, Resolver, checked_address
from webhooks.domain.addresses import BadUrlError, Target, target_of
from webhooks.domain.attempts import Attempt

MOST_HEAD_BYTES = 16 * 1024
MOST_INTERIM_HEADS = 3
"""Responses with a status below 200, such as 103, before the one that counts."""
MOST_BODY_BYTES = 1024
BODY_WITHIN_S = 1.0
"""The status has decided: a body is read so that a server is not cut off without need."""
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: [^\r\n]*)?\r?\n")
_SUCCESS = range(200, 300)
_INTERIM = range(100, 200)
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _FailedError(Exception):
    """The call has failed; the text is the reason that the owner sees."""


class Calls:
    """Makes calls, each within one deadline. `local`: also http and this machine are called."""

    def __init__(
        self, resolve: Resolver, within_s: float, *, local: bool, tls: ssl.SSLContext | None = None
    ) -> None:
        self._resolve = resolve
        self._within_s = within_s
        self._local = local
        self._tls = tls or ssl.create_default_context()
        self._tls.minimum_version = ssl.TLSVersion.TLSv1_2
        self._tls.set_alpn_protocols(["http/1.1"])

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Attempt:
        """Return the result of one call; never raises what an endpoint can cause."""
        began_s, status, reason = time.monotonic(), None, None
        try:
            async with asyncio.timeout(self._within_s) as deadline:
                status = await self._status(deadline, url, headers, body)
            reason = None if status in _SUCCESS else f"status_{status}"
        except TimeoutError:
            reason = "timeout"
        except _FailedError as error:
            reason = str(error)
        return Attempt(int((time.monotonic() - began_s) * 1000), status, reason)

    async def _status(
        self, deadline: asyncio.Timeout, url: str, headers: Mapping[str, str], body: bytes
    ) -> int:
        target = _checked(url, local=self._local)
        reader, writer = await self._connected(target)
        try:
            writer.write(_head(target, headers, len(body)) + body)
            await writer.drain()
            status = await _read_status(reader)
            # The body has a bound of its own: it must not turn the status into a time-out.
            deadline.reschedule(None)
            await _read_body(reader)
        except asyncio.LimitOverrunError:
            raise _FailedError("head_too_large") from None
        except (asyncio.IncompleteReadError, OSError, ssl.SSLError):
            raise _FailedError("closed_early") from None
        finally:
            # Nothing is waited for: a peer that reads nothing must not hold the lane.
            writer.transport.abort()
        return status

    async def _connected(self, target: Target) -> Streams:
        try:
            address = await checked_address(target, self._resolve, local=self._local)
        except ForbiddenAddressError:
            raise _FailedError("address_forbidden") from None
        except (OSError, Unavailable):
            raise _FailedError("name_not_resolved") from None
        is_tls = target.scheme == "https"
        try:
            return await asyncio.open_connection(
                str(address),
                target.port,
                limit=MOST_HEAD_BYTES,
                ssl=self._tls if is_tls else None,
                server_hostname=target.host if is_tls else None,
            )
        except ssl.SSLError:
            raise _FailedError("tls_failed") from None
        except OSError:
            raise _FailedError("not_connected") from None


def _checked(url: str, *, local: bool) -> Target:
    try:
        return target_of(url, local=local)
    except BadUrlError:
        raise _FailedError("url_forbidden") from None


def _head(target: Target, headers: Mapping[str, str], length: int) -> bytes:
    lines = [
        f"POST {target.path} HTTP/1.1",
        f"Host: {target.authority}",
        "User-Agent: Countersign-Webhooks/1",
        "Content-Type: application/json",
        f"Content-Length: {length}",
        "Accept-Encoding: identity",
        "Connection: close",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode("ascii")


async def _read_status(reader: asyncio.StreamReader) -> int:
    for _ in range(MOST_INTERIM_HEADS + 1):
        head = await reader.readuntil(b"\r\n\r\n")
        found = _STATUS.match(head)
        if found is None:
            raise _FailedError("malformed_response")
        if (status := int(found[1])) not in _INTERIM:
            return status
    raise _FailedError("malformed_response")


async def _read_body(reader: asyncio.StreamReader) -> None:
    left = MOST_BODY_BYTES
    with contextlib.suppress(TimeoutError, OSError, ssl.SSLError):
        async with asyncio.timeout(BODY_WITHIN_S):
            while left > 0 and (chunk := await reader.read(left)):
                left -= len(chunk)
