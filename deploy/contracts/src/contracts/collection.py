"""A collection for API clients, in the format Postman v2.1, which most of them import."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

_SCHEMA = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
_JSON = "application/json"
_PAYMENTS = "payments"
VALUES: Mapping[str, Any] = {
    "transaction_id": "{{transaction_id}}",
    "idempotency_key": "{{idempotency_key}}",
    "amount": "5200.00",
    "from_account": "acc-1",
    "to_account": "payee-xyz",
    "email": "{{email}}",
    "password": "{{password}}",
    "refreshToken": "{{refresh_token}}",
    "currentPassword": "{{password}}",
    "newPassword": "{{new_password}}",
    "clientId": "test-client",
    "clientSecret": "{{client_secret}}",
    "url": "https://shop.example/hooks",
    "event_types": ["payment.confirmed", "payment.settled"],
    "overlap_s": 3600,
}
"""What a request has in a field of this name; fields without a value are left out."""
VARIABLES = {
    "base_url": "http://localhost:3000",
    "token": "",
    "transaction_id": "tx-collection-1",
    "idempotency_key": "key-collection-1",
    "email": "",
    "password": "",
    "new_password": "",
    "refresh_token": "",
    "client_secret": "",
    "session_id": "",
    "endpoint_id": "",
    "delivery_id": "",
}
"""Those of paths, and of values; without a token the development profile acts as a user."""


def collection(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a collection with each HTTP operation of an OpenAPI document, in folders by tag.

    The WebSocket is left out: the format has none.
    """
    folders: dict[str, list[dict[str, Any]]] = {}
    for method, path, operation in _operations(document):
        folder = operation.get("tags", [_PAYMENTS])[0]
        folders.setdefault(folder, []).append(_item(document, method, path, operation))
    return {
        "info": {"name": "Countersign", "schema": _SCHEMA},
        "auth": {"type": "bearer", "bearer": [{"key": "token", "value": "{{token}}"}]},
        "variable": [{"key": name, "value": value} for name, value in VARIABLES.items()],
        "item": [{"name": name, "item": items} for name, items in folders.items()],
    }


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for path, operations in document["paths"].items():
        if path != "/ws":
            yield from ((method, path, operation) for method, operation in operations.items())


def _item(
    document: Mapping[str, Any], method: str, path: str, operation: Mapping[str, Any]
) -> dict[str, Any]:
    request: dict[str, Any] = {
        "method": method.upper(),
        "url": _url(path, operation.get("parameters", ())),
        "description": operation.get("description", operation["summary"]),
    }
    content = operation.get("requestBody", {}).get("content", {})
    if _JSON in content:
        body = _example(document, content[_JSON]["schema"])
        request["header"] = [{"key": "Content-Type", "value": _JSON}]
        request["body"] = {"mode": "raw", "raw": body}
    return {"name": operation["summary"], "request": request}


def _example(document: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """Return a body with a value for each field that has one: its own example, or VALUES'."""
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    own = {
        name: one["examples"][0] for name, one in schema["properties"].items() if "examples" in one
    }
    known = {**VALUES, **own}
    body = {name: known[name] for name in schema["properties"] if name in known}
    return json.dumps(body, indent=2)


def _url(path: str, parameters: Any) -> dict[str, Any]:
    """Return the address; query parameters are shown and switched off."""
    named = re.sub(r"\{(\w+)\}", r":\1", path)
    found: dict[str, Any] = {
        "raw": f"{{{{base_url}}}}{named}",
        "host": ["{{base_url}}"],
        "path": named.removeprefix("/").split("/"),
    }
    by_place = {
        place: [one["name"] for one in parameters if one["in"] == place]
        for place in ("path", "query")
    }
    if by_place["path"]:
        found["variable"] = [{"key": name, "value": f"{{{{{name}}}}}"} for name in by_place["path"]]
    if by_place["query"]:
        found["query"] = [
            {"key": name, "value": "", "disabled": True} for name in by_place["query"]
        ]
    return found
