"""The OpenAPI document of a server with every route, those that it does not describe, too."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from pydantic import BaseModel
from starlette.routing import Route, compile_path

from mocks.faults import FaultRate
from mocks.issuer.tokens import TokenRequest
from mocks.kyc.customers import NewStatus, StatusQuery
from mocks.ofac.screening import Parties, Party
from mocks.partner_bank.transfers import Enquiry, Instruction, Instructions
from service_runtime.process import Process

ANYTHING: Mapping[str, Any] = {}
BODIES: Mapping[str, type[BaseModel]] = {
    "/token": TokenRequest,
    "/customers:batch": StatusQuery,
    "/customers/{user_id}": NewStatus,
    "/screenings": Party,
    "/screenings:batch": Parties,
    "/banks/{partner}/transfers": Instruction,
    "/banks/{partner}/transfers:batch": Instructions,
    "/banks/{partner}/transfers:query": Enquiry,
    "/faults": FaultRate,
}
"""What plain routes of the mocks read; the others take any JSON."""
FORM = "application/x-www-form-urlencoded"
FORMS = ("/token", "/device_authorization", "/device", "/authorize", "/revoke")
"""What the issuer reads as a form."""
FIELDS: Mapping[str, list[str]] = {
    "client_id": ["countersign"],
    "scope": ["ops.read openid"],
    "grant_type": ["authorization_code", "refresh_token"],
    "code": [],
    "redirect_uri": ["http://127.0.0.1:1/"],
    "code_verifier": [],
    "refresh_token": [],
    "device_code": [],
    "user_code": [],
    "operator": ["alice"],
    "decision": ["approve", "deny"],
    "response_type": ["code"],
    "code_challenge": [],
    "code_challenge_method": ["S256"],
    "state": [],
    "token": [],
}
QUERIES = ("date", "limit", "after", "to", "user_id")
SHARED = ("/health", "/ready", "/metrics", "/docs", "/openapi.json", "/asyncapi")
VALUES: Mapping[str, list[str]] = {
    "partner": ["first-bank", "north-bank", "unknown"],
    "date": ["2026-11-30"],
}


def described(process: Process, *, shared: bool) -> dict[str, Any]:
    """Return the server's own document, completed; `shared`: with the pages of all servers."""
    document = deepcopy(process.app.openapi())
    for route in process.app.routes:
        if isinstance(route, Route) and (shared or not route.path.startswith(SHARED)):
            path = document["paths"].setdefault(_plain(route.path), {})
            for method in sorted((route.methods or {"GET"}) - {"HEAD"}):
                path.setdefault(method.lower(), _operation(route.path, method))
    return document


def _plain(path: str) -> str:
    """Return a path with `{name}` for `{name:path}`."""
    return compile_path(path)[1]


def _operation(path: str, method: str) -> dict[str, Any]:
    names = compile_path(path)[2]
    parameters = [_parameter(name, "path") for name in names]
    if method == "GET" and not path.startswith(SHARED):
        parameters += [
            _parameter(name, "query") for name in (*QUERIES, *(FIELDS if path in FORMS else ()))
        ]
    operation = {"parameters": parameters, "responses": {"default": {"description": "any"}}}
    if method in {"POST", "PUT", "PATCH"}:
        content = {"application/json": {"schema": _schema(path)}}
        if path in FORMS:
            fields = {name: _text(known) for name, known in FIELDS.items()}
            content[FORM] = {"schema": {"type": "object", "properties": fields}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _parameter(name: str, place: str) -> dict[str, Any]:
    schema = {"enum": VALUES[name]} if name in VALUES else _text([])
    return {"name": name, "in": place, "required": place == "path", "schema": schema}


def _text(known: list[str]) -> dict[str, Any]:
    """Return the schema of any text, or of one of the known ones."""
    return {"anyOf": [{"type": "string"}, {"enum": known}]} if known else {"type": "string"}


def _schema(path: str) -> dict[str, Any]:
    model = BODIES.get(path)
    if model is None:
        return dict(ANYTHING)
    schema = model.model_json_schema()
    return _resolved(schema, schema.pop("$defs", {}))


def _resolved(part: Any, definitions: Mapping[str, Any]) -> Any:
    """Return a schema whose references are replaced by what they refer to."""
    if isinstance(part, list):
        return [_resolved(one, definitions) for one in part]
    if not isinstance(part, dict):
        return part
    if name := part.get("$ref"):
        return _resolved(definitions[name.rpartition("/")[2]], definitions)
    return {key: _resolved(value, definitions) for key, value in part.items()}
