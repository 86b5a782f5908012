"""The OpenAPI description of the whole edge: the gateway's routes, and those that it forwards."""

import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from fastapi import APIRouter, FastAPI

from gateway.routes.description import document
from local_stack.inventory import load_inventory
from local_stack.layout import CHECKOUT

_BEARER: list[dict[str, list[str]]] = [{"bearer": []}]
_SCHEMAS = "#/components/schemas/"


def edge_document() -> dict[str, Any]:
    """Return the document: a service with public paths describes them by `routes.described`."""
    whole = document("Countersign gateway")
    for package, router in _described():
        found = _document_of(package, router)
        whole["paths"] |= found["paths"]
        whole["components"].setdefault("schemas", {}).update(found["components"]["schemas"])
    return whole


def _described() -> Iterator[tuple[str, APIRouter]]:
    for service in load_inventory().services.values():
        if service.public and _describes(service.package):
            yield service.package, import_module(f"{service.package}.routes").described()


def _describes(package: str) -> bool:
    """Return whether a service describes its routes; others may need packages of their group."""
    routes = CHECKOUT / "services" / package / "src" / package / "routes" / "__init__.py"
    return routes.exists() and "def described(" in routes.read_text()


def _document_of(package: str, router: APIRouter) -> dict[str, Any]:
    """Return one service's document; its schemas are named after it."""
    app = FastAPI(generate_unique_id_function=lambda route: f"{package}_{route.name}")
    app.include_router(router)
    found: dict[str, Any] = _renamed(app.openapi(), package)
    for operations in found["paths"].values():
        for operation in operations.values():
            # Instead of the name of the function.
            operation["summary"] = re.split(r"[.;:](?:\s|$)", operation["description"])[0]
    schemas = found["components"]["schemas"]
    found["components"]["schemas"] = {f"{package}.{name}": one for name, one in schemas.items()}
    return found


def _renamed(part: Any, package: str) -> Any:
    """Return a part of the document with the names that it has in the whole."""
    match part:
        case {"$ref": str(name)}:
            return {"$ref": name.replace(_SCHEMAS, f"{_SCHEMAS}{package}.")}
        case dict():
            return {
                key: _BEARER if key == "security" else _renamed(value, package)
                for key, value in part.items()
            }
        case list():
            return [_renamed(one, package) for one in part]
        case _:
            return part
