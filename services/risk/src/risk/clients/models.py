"""The models of the service fraud, asked beside the other look-ups, within 50 ms.

A payment without a valid score is no failed look-up: it is assessed as one without a model.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Protocol

from pydantic import Field, StringConstraints

from payment_schemas.events.risk import AssessmentRequested, FraudScore
from risk.clients.calls import Reply, consistent, in_chunks, parsed, post, valid
from risk.domain import AssessmentRequest
from service_runtime.http_client import HttpClient

MODEL_DEADLINE_S = 0.05
"""Of the scores of a batch. Source: smartpay.md, "< 50ms fraud detection"."""
INTERFACE = 1

Request = AssessmentRequested | AssessmentRequest
Requests = Mapping[str, Request]
"""Payments by id."""


class Models(Protocol):
    """The port to the models."""

    async def score(self, requests: Requests) -> Mapping[str, FraudScore]:
        """Return scores by payment; a payment without a valid score is left out."""
        ...


class _Scored(Reply):
    payment_id: str
    model_version: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    probability_ppm: Annotated[int, Field(ge=0, le=1_000_000)]
    reasons: Annotated[list[Annotated[str, Field(max_length=64)]], Field(max_length=10)]


class _ScoredMany(Reply):
    interface: Literal[1]
    """Another version of the interface is one that risk cannot read."""
    results: list[Any]


class Fraud:
    """The models of the service fraud."""

    def __init__(self, client: HttpClient) -> None:
        self._client = client

    async def score(self, requests: Requests) -> Mapping[str, FraudScore]:
        async def query(names: Sequence[str]) -> dict[str, FraudScore]:
            asked = [_asked(name, requests[name]) for name in names]
            body = await post(self._client, "/scores:batch", {"payments": asked})
            scored = valid(_Scored, parsed(_ScoredMany, body).results)
            return consistent(names, [(one.payment_id, _score(one)) for one in scored])

        return await in_chunks(query, requests, MODEL_DEADLINE_S)


def _asked(name: str, request: Request) -> dict[str, Any]:
    return {
        "payment_id": name,
        "user_id": request.user_id,
        "to_account": request.to_account,
        "amount_minor": request.amount_minor,
        "currency": request.currency,
        "device": _device(request),
        "requested_at": request.requested_at,
    }


def _device(request: Request) -> str | None:
    if isinstance(request, AssessmentRequested):
        return request.context.device_fingerprint
    return request.device


def _score(scored: _Scored) -> FraudScore:
    return FraudScore(
        model_version=scored.model_version,
        probability_ppm=scored.probability_ppm,
        reasons=tuple(scored.reasons),
    )


@dataclass
class MemoryModels:
    """The memory twin: payments of `scored` users have a score, others are unlikely frauds."""

    scored: dict[str, FraudScore] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)

    async def score(self, requests: Requests) -> Mapping[str, FraudScore]:
        unlikely = FraudScore(model_version="memory-1", probability_ppm=100)
        return {
            name: self.scored.get(request.user_id, unlikely)
            for name, request in requests.items()
            if request.user_id not in self.silent
        }
