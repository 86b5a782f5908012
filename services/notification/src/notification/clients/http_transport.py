"""The HTTP transport of both providers' SDKs."""

from collections.abc import Mapping
from dataclasses import dataclass

import urllib3

CONNECT_S = 1.0
MAX_RESPONSE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """An HTTP response with its whole body."""

    status: int
    reason: str
    body: bytes
    headers: Mapping[str, str]


class HttpTransport:
    """HTTP with timeouts, connection reuse, bounded responses; no redirects, proxies or retries.

    Safe to share between threads.
    """

    def __init__(self, threads: int, timeout_s: float) -> None:
        timeout = urllib3.Timeout(connect=min(CONNECT_S, timeout_s), total=timeout_s)
        self._http = urllib3.PoolManager(
            num_pools=4, maxsize=threads, block=True, timeout=timeout, retries=False
        )

    def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> HttpResponse:
        """Send a request. Raises urllib3's HTTPError without a usable response."""
        response = self._http.request(
            method, url, body=body, headers=headers, redirect=False, preload_content=False
        )
        raw = response.read(MAX_RESPONSE_BYTES + 1)
        if len(raw) > MAX_RESPONSE_BYTES:
            response.close()
            raise urllib3.exceptions.ResponseError("response too large")
        response.release_conn()
        return HttpResponse(response.status, response.reason or "", raw, response.headers)

    def close(self) -> None:
        """Close the pooled connections."""
        self._http.clear()
