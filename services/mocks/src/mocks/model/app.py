"""Wires the stand-in for a language model. Source of the shapes: OpenAI's API reference."""

import hmac
from collections.abc import Iterator, Mapping
from typing import Any

import orjson
from fastapi import Request
from fastapi.responses import Response
from starlette.responses import StreamingResponse

from mocks.bodies import Refused
from mocks.edge import Mock
from mocks.faults import Kind
from mocks.model.replies import text_of, tokens_in
from mocks.settings import ModelSettings
from service_runtime.clock import Clock
from service_runtime.process import Process
from service_runtime.web import JsonResponse

_KINDS: tuple[Kind, ...] = ("malformed", "invented", "injected")
MOST_LISTED = 1000
_PIECE = 24
"""Characters of one event of a stream."""


def create(settings: ModelSettings, clock: Clock | None = None) -> Process:
    """Return the mock, ready to run."""
    mock = Mock("model", settings, clock)
    routes = _Routes(mock, settings.model_api_key)
    mock.app.add_route("/v1/chat/completions", routes.complete, methods=["POST"])
    mock.app.add_route("/v1/models", routes.models, methods=["GET"])
    mock.app.add_route("/messages", routes.listed, methods=["GET"])
    return mock.process()


class _Routes:
    def __init__(self, mock: Mock, api_key: str) -> None:
        self._faults = mock.faults
        self._clock = mock.clock
        self._api_key = api_key
        self._received: list[Any] = []
        self._count = 0

    async def models(self, request: Request) -> Response:
        self._authenticate(request)
        return JsonResponse({"object": "list", "data": [{"id": "stand-in", "object": "model"}]})

    async def listed(self, _request: Request) -> Response:
        """Return the latest requests, and how many there were: what a model was sent."""
        return JsonResponse({"messages": self._received, "count": self._count})

    async def complete(self, request: Request) -> Response:
        self._authenticate(request)
        raw = await request.body()
        fields = _fields(raw)
        if self._faults.affects("rate_limit", raw):
            raise Refused(429, _error("rate_limit_exceeded", "Too many requests"))
        self._received = [*self._received, fields["messages"]][-MOST_LISTED:]
        self._count += 1
        kind = next((one for one in _KINDS if self._faults.affects(one, raw)), None)
        text = text_of(_data(fields), kind)
        usage = _usage(raw.decode("utf-8", "replace"), text)
        head = self._head(fields)
        if fields.get("stream") is True:
            wants_usage = bool((fields.get("stream_options") or {}).get("include_usage"))
            events = _events(head, text, usage if wants_usage else None)
            return StreamingResponse(events, media_type="text/event-stream")
        message = {"role": "assistant", "content": text, "refusal": None}
        choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
        body = {**head, "object": "chat.completion", "choices": [choice], "usage": usage}
        return JsonResponse(body)

    def _head(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "id": f"chatcmpl-{self._clock.new_id().hex}",
            "created": int(self._clock.now().timestamp()),
            "model": str(fields.get("model", ""))[:100],
        }

    def _authenticate(self, request: Request) -> None:
        presented = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(presented.encode(), self._api_key.encode()):
            raise Refused(401, _error("invalid_api_key", "Incorrect API key provided"))


def _fields(raw: bytes) -> dict[str, Any]:
    try:
        fields = orjson.loads(raw)
        messages = fields["messages"]
        texts = [one["content"] for one in messages]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise Refused(400, _error("invalid_request", "messages: required")) from None
    if not texts or not all(isinstance(text, str) for text in texts):
        raise Refused(400, _error("invalid_request", "messages: each has a text as content"))
    found: dict[str, Any] = fields
    return found


def _data(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the data of the last message; nothing where it is no JSON object."""
    try:
        found = orjson.loads(fields["messages"][-1]["content"])
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _usage(asked: str, text: str) -> dict[str, int]:
    counts = tokens_in(asked), tokens_in(text)
    return {
        "prompt_tokens": counts[0],
        "completion_tokens": counts[1],
        "total_tokens": sum(counts),
    }


def _events(head: Mapping[str, Any], text: str, usage: Mapping[str, int] | None) -> Iterator[bytes]:
    """Yield the chunks of a stream, as server-sent events."""
    kind = {**head, "object": "chat.completion.chunk"}
    for start in range(0, len(text), _PIECE):
        delta = {"content": text[start : start + _PIECE]}
        yield _event(kind | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
    yield _event(kind | {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    if usage is not None:
        yield _event(kind | {"choices": [], "usage": usage})
    yield b"data: [DONE]\n\n"


def _event(fields: Mapping[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(fields) + b"\n\n"


def _error(code: str, message: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "code": code}}
