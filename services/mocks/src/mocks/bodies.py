"""Request bodies as types, and refusals that name the field."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import Request

MAX_ITEMS = 100
"""Items in one batch call. Source: the contract with partners and look-ups."""


class Body(BaseModel):
    """A request's body; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Refused(Exception):  # noqa: N818 - named as the runtime's errors
    """The request is refused with this status and body."""

    def __init__(
        self, status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(status)
        self.status = status
        self.body = body
        self.headers = headers


M = TypeVar("M", bound=BaseModel)


async def read_json(request: Request, model: type[M]) -> M:
    """Return the body as the model; raise Refused with 400 and the name of the first bad field."""
    try:
        return model.model_validate_json(await request.body())
    except ValidationError as error:
        raise Refused(400, fault_of(error)) from None


def fault_of(error: ValidationError) -> dict[str, str]:
    """Return the wrong field and the reason, never its value."""
    fault = error.errors(include_url=False, include_input=False)[0]
    name = ".".join(str(part) for part in fault["loc"])
    match fault["type"]:
        case "json_invalid" | "model_type" if not name:
            return {"error": "Malformed JSON"}
        case "missing":
            return {"error": f"Missing field: {name}"}
        case "extra_forbidden":
            return {"error": f"Unknown field: {name}"}
        case _:
            return invalid(name or "body", fault["msg"].removeprefix("Value error, "))


def invalid(field: str, details: str) -> dict[str, str]:
    """Return the body of a 400 for an invalid field."""
    return {"error": f"Invalid field: {field}", "details": details}


def query(request: Request, name: str, max_length: int = 200) -> str:
    """Return a query parameter; raise Refused with 400 if it is missing or too long."""
    value = request.query_params.get(name, "")
    if not value:
        raise Refused(400, {"error": f"Missing field: {name}"})
    if len(value) > max_length:
        raise Refused(400, invalid(name, f"must have at most {max_length} characters"))
    return value
