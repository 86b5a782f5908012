"""JSON responses, and the one shape of every service's refusals."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from payment_schemas.answers import Answer
from service_runtime.errors import Consequence, conflict_of, consequence_of


class Refusal(BaseModel):
    """Why a request is refused."""

    error: str
    details: str | None = None


def refusals(descriptions: Mapping[int | str, str]) -> dict[int | str, dict[str, Any]]:
    """Return a route's refusals for its OpenAPI description, by status or `default`."""
    return {
        status: {"model": Refusal, "description": text} for status, text in descriptions.items()
    }


class JsonResponse(Response):
    """JSON, serialized by orjson."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return orjson.dumps(content)


def response_of(answer: Answer) -> Response:
    """Return an answer as an HTTP response."""
    return Response(answer.body, answer.status, dict(answer.headers), media_type="application/json")


async def refuse(_request: Request, error: Exception) -> Response:
    """Return the response of a refusal: `{"error": …}`."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it alone
    detail: Any = error.detail
    if isinstance(detail, dict):
        return JsonResponse(detail, error.status_code, headers=error.headers)
    if detail == HTTPStatus(error.status_code).phrase:
        # The framework's default text; only its first letter is a capital here.
        detail = detail.capitalize()
    return JsonResponse({"error": detail}, error.status_code, headers=error.headers)


async def refuse_invalid(_request: Request, error: Exception) -> Response:
    """Return 400 with the name of the field, never its value."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for it alone
    fault = error.errors()[0]
    name = ".".join(str(part) for part in fault["loc"][1:]) or "body"
    details = fault["msg"].removeprefix("Value error, ")
    return JsonResponse({"error": f"Invalid field: {name}", "details": details}, 400)


def failure(error: Exception) -> Response:
    """Return 409 for a constraint, 503 where a dependency is down, else 500."""
    if conflict := conflict_of(error):
        return JsonResponse({"error": "Conflict", "details": str(conflict)}, 409)
    if consequence_of(error) is Consequence.WAIT:
        return JsonResponse({"error": "Service unavailable"}, 503, headers={"Retry-After": "1"})
    return JsonResponse({"error": "Internal error"}, 500)
