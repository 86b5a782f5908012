"""One way to speak HTTP that both providers' SDKs are given."""

from collections.abc import Mapping
from dataclasses import dataclass

import urllib3

CONNECT_S = 1.0
MAX_ANSWER_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back over HTTP."""

    status: int
    reason: str
    body: bytes
    headers: Mapping[str, str]


class HttpTransport:
    """HTTP with deadlines, kept connections, bounded answers, no redirects, no proxies, no retries.

    Safe to share between threads.
    """

    def __init__(self, threads: int, timeout_s: float) -> None:
        timeout = urllib3.Timeout(connect=min(CONNECT_S, timeout_s), total=timeout_s)
        self._http = urllib3.PoolManager(
            num_pools=4, maxsize=threads, block=True, timeout=timeout, retries=False
        )

    def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send a request; raise urllib3's HTTPError where nothing usable came back."""
        response = self._http.request(
            method, url, body=body, headers=headers, redirect=False, preload_content=False
        )
        raw = response.read(MAX_ANSWER_BYTES + 1)
        if len(raw) > MAX_ANSWER_BYTES:
            response.close()
            raise urllib3.exceptions.ResponseError("answer too large")
        response.release_conn()
        return Answer(response.status, response.reason or "", raw, response.headers)

    def close(self) -> None:
        """Close the connections that are kept."""
        self._http.clear()
