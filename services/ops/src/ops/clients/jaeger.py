"""The spans of a trace, where a Jaeger keeps them. Source: Jaeger's query API, version 1."""

from typing import Any

import httpx

from ops.domain.errors import UnavailableError
from ops.domain.waterfalls import Span, span_of

ANSWER_WITHIN_S = 3.0


class Jaeger:
    """One Jaeger. Methods raise UnavailableError where it is away."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._http = httpx.Client(follow_redirects=False, timeout=ANSWER_WITHIN_S, trust_env=False)

    def spans(self, trace_id: str) -> list[Span]:
        """Return the spans of a trace; none for one that is not sampled, or no longer kept."""
        if not self._url:
            raise UnavailableError("no Jaeger is configured", "make observe")
        try:
            response = self._http.get(f"{self._url}/api/traces/{trace_id}")
            if response.status_code == httpx.codes.NOT_FOUND:
                return []
            return _spans(response.raise_for_status().json())
        except (httpx.HTTPError, ValueError, KeyError, TypeError, AttributeError):
            what = "Jaeger, which has the traces, does not respond"
            raise UnavailableError(what, "make observe") from None


def _spans(reply: Any) -> list[Span]:
    return [
        span_of(span, trace["processes"][span["processID"]]["serviceName"])
        for trace in reply["data"] or ()
        for span in trace["spans"]
    ]
