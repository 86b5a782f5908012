"""Writes the published descriptions from the code: `python -m contracts.generate`.

docs/events/<ce_type>.json  JSON Schema of every message, with its kind, topic, key and readers
docs/events/README.md       the table of topics
docs/asyncapi.yaml          every topic of the system
docs/openapi.json           the HTTP API at the gateway, with the paths that it forwards
docs/clients/collection.json  its requests, for API clients such as Postman and Bruno
docs/security.md            the picture of trust in it
docs/scopes.md              all scopes, and the roles of operators
docs/clients/reference-*.md the references of the client libraries (`references`)
clients/partner/contract    what a partner bank builds on (`partner_samples`)
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from contracts.collection import collection
from contracts.edge import edge_document
from contracts.partner_samples import sample_files
from contracts.references import has_typescript, reference_files
from contracts.trust_picture import trust_picture
from local_stack.generation import write
from local_stack.inventory import load_inventory
from local_stack.layout import CHECKOUT
from local_stack.listings import fill
from local_stack.topics import Topic, load_topics
from payment_schemas.events.base import Event
from payment_schemas.registry import EVENTS
from payment_schemas.scopes import ROLES, TABLE
from service_runtime.asyncapi import asyncapi_document

DOCS = CHECKOUT / "docs"
SECURITY = DOCS / "security.md"
_TABLE_HEAD = """\
# Topics and messages

A **command** asks one service to act; its other readers only record it. An **event** is a fact,
for any reader. A **reply** goes to the process that sent the command. Written by `make generate`.

| topic | kind | message | key | written by | read by |
|---|---|---|---|---|---|"""

_SCOPES_HEAD = """\
# Scopes

Written by `make generate` from `payment_schemas/scopes.py`. A **customer** and a client of one have
an access token of the users' audience, an **operator** one of the operators' audience
([security](security.md#operators)), a **machine** of this system a secret.

| scope | holder | admits to |
|---|---|---|"""
_ROLES_HEAD = """
## Roles of operators

Identity maps roles to scopes at each sign-in and refresh; another provider puts the scopes into
the token itself. An act that needs two people needs two, whatever their roles.

| role | scopes |
|---|---|"""


def generated_files() -> Mapping[Path, str]:
    """Return the content of each generated file."""
    topics = {topic.name: topic for topic in load_topics()}
    schemas = {
        DOCS / "events" / f"{event.ce_type}.json": _json(event_schema(event, topics[event.topic]))
        for event in EVENTS
    }
    edge = edge_document()
    return {
        **schemas,
        **sample_files(),
        DOCS / "events" / "README.md": _table(topics),
        DOCS / "asyncapi.yaml": _yaml(asyncapi_document("Countersign", (), EVENTS)),
        DOCS / "openapi.json": _json(edge),
        DOCS / "clients" / "collection.json": _json(collection(edge)),
        SECURITY: fill(SECURITY.read_text(), {"trust": _picture(topics)}),
        DOCS / "scopes.md": scopes_text(),
    }


def scopes_text() -> str:
    """Return the table of all scopes, and that of the roles."""
    scopes = [f"| `{one.scope}` | {one.holder} | {one.admits_to} |" for one in TABLE]
    roles = [
        f"| {role} | {', '.join(f'`{one}`' for one in named)} |" for role, named in ROLES.items()
    ]
    return "\n".join([_SCOPES_HEAD, *scopes, _ROLES_HEAD, *roles, ""])


def _picture(topics: Mapping[str, Topic]) -> list[str]:
    return trust_picture(load_inventory(), topics.values(), EVENTS)


def event_schema(event: type[Event], topic: Topic) -> dict[str, Any]:
    """Return the JSON Schema of an event's data, with topic, key and readers."""
    schema = event.model_json_schema(mode="validation")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:countersign:event:{event.ce_type}",
        "x-topic": topic.name,
        "x-kind": event.kind,
        "x-key": topic.key,
        "x-owner": topic.owner,
        "x-readers": list(topic.readers),
        **schema,
    }


def _table(topics: Mapping[str, Topic]) -> str:
    """Return the table of topics: commands, then events, then replies."""
    rows = [
        f"| `{event.topic}` | {event.kind} | [{event.__name__}]({event.ce_type}.json) |"
        f" {topics[event.topic].key} | {topics[event.topic].owner} |"
        f" {', '.join(topics[event.topic].readers)} |"
        for event in sorted(EVENTS, key=lambda event: event.kind)
    ]
    return "\n".join([_TABLE_HEAD, *rows, ""])


def orphaned_files() -> set[Path]:
    """Return the schemas without an event."""
    return set((DOCS / "events").glob("*.json")) - set(generated_files())


def _json(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _yaml(document: Mapping[str, Any]) -> str:
    text: str = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100)
    return text


if __name__ == "__main__":
    write(generated_files())
    if has_typescript():
        write(reference_files())
    else:
        sys.stderr.write("docs/clients/reference-*.md need Node.js: they are left as they are\n")
    for path in orphaned_files():
        path.unlink()
