"""JSON answers, and the refusals in which every service is of one shape."""

from http import HTTPStatus
from typing import Any

import orjson
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from payment_schemas.answers import Answer
from service_runtime.errors import Consequence, conflict_of, consequence_of


class JsonResponse(Response):
    """JSON by orjson."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return orjson.dumps(content)


def response_of(answer: Answer) -> Response:
    """Return an answer as an HTTP response."""
    return Response(answer.body, answer.status, dict(answer.headers), media_type="application/json")


async def refuse(_request: Request, error: Exception) -> Response:
    """Answer every refusal in one shape."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it alone
    detail: Any = error.detail
    if isinstance(detail, dict):
        return JsonResponse(detail, error.status_code, headers=error.headers)
    if detail == HTTPStatus(error.status_code).phrase:
        # The framework's own words: `Not Found`, where ours are `Not found`.
        detail = detail.capitalize()
    return JsonResponse({"error": detail}, error.status_code, headers=error.headers)


async def refuse_invalid(_request: Request, error: Exception) -> Response:
    """Answer 400 and name the field, never its value."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for it alone
    fault = error.errors()[0]
    name = ".".join(str(part) for part in fault["loc"][1:]) or "body"
    details = fault["msg"].removeprefix("Value error, ")
    return JsonResponse({"error": f"Invalid field: {name}", "details": details}, 400)


def failure(error: Exception) -> Response:
    """Answer 409 where a constraint refuses, 503 where something else is down for now, else 500."""
    if conflict := conflict_of(error):
        return JsonResponse({"error": "Conflict", "details": str(conflict)}, 409)
    if consequence_of(error) is Consequence.WAIT:
        return JsonResponse({"error": "Service unavailable"}, 503, headers={"Retry-After": "1"})
    return JsonResponse({"error": "Internal error"}, 500)
