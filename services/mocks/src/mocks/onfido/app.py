"""Wires the mock of the identity provider. Source of the shapes: Onfido's OpenAPI document 3.6.

Deterministic: the applicant's last name decides. `Consider` is not clear, `Slow` takes
`check_slow_s`, `Never` never completes; everybody else is clear. Webhooks are signed, and the
mock's faults delay, lose and repeat them.
"""

import asyncio
import hashlib
import hmac
from collections.abc import Mapping
from email import message_from_bytes
from typing import Any

import orjson
from fastapi import Request
from fastapi.responses import Response

from mocks.bodies import Refused
from mocks.edge import Mock
from mocks.settings import OnfidoSettings
from mocks.webhooks import Message, Webhooks
from service_runtime.clock import Clock
from service_runtime.process import Process
from service_runtime.web import JsonResponse

VERSION = "/v3.6"
LEAST_BYTES, MOST_BYTES = 2_000, 3_000_000
"""Of a document. Source: the document, `POST /documents`: between 2 KB and 3 MB."""
MOST_KEPT = 10_000
SLOW, NEVER, CONSIDER = "Slow", "Never", "Consider"
_KINDS = {b"\xff\xd8\xff": "jpg", b"\x89PNG\r\n\x1a\n": "png", b"%PDF-": "pdf"}
Fields = dict[str, Any]


def create(settings: OnfidoSettings, clock: Clock | None = None) -> Process:
    """Return the mock, ready to run."""
    mock = Mock("onfido", settings, clock)
    routes = _Routes(mock, settings)
    for path, act, method in [
        ("/applicants", routes.add_applicant, "POST"),
        ("/applicants/{id}", routes.get_applicant, "GET"),
        ("/applicants/{id}", routes.delete_applicant, "DELETE"),
        ("/documents", routes.add_document, "POST"),
        ("/documents", routes.documents, "GET"),
        ("/checks", routes.add_check, "POST"),
        ("/checks", routes.checks, "GET"),
        ("/checks/{id}", routes.get_check, "GET"),
    ]:
        mock.app.add_route(VERSION + path, act, methods=[method])
    return mock.process()


class _Routes:
    def __init__(self, mock: Mock, settings: OnfidoSettings) -> None:
        self._clock = mock.clock
        self._settings = settings
        self._webhooks = Webhooks(mock, settings)
        self._applicants: dict[str, Fields] = {}
        self._documents: dict[str, Fields] = {}
        self._checks: dict[str, Fields] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def add_applicant(self, request: Request) -> Response:
        fields = _object(await self._admitted(request))
        for name in ("first_name", "last_name"):
            if not isinstance(fields.get(name), str) or not fields[name]:
                raise _invalid(name, "can't be blank")
        kept = {
            name: fields.get(name)
            for name in ("first_name", "last_name", "email", "dob", "address", "location")
        }
        return self._added(self._applicants, kept | {"sandbox": True})

    async def get_applicant(self, request: Request) -> Response:
        await self._admitted(request)
        return JsonResponse(_found(self._applicants, request.path_params["id"]))

    async def delete_applicant(self, request: Request) -> Response:
        await self._admitted(request)
        own = request.path_params["id"]
        _found(self._applicants, own)
        del self._applicants[own]
        for kept in (self._documents, self._checks):
            for name in [name for name, one in kept.items() if one["applicant_id"] == own]:
                del kept[name]
        return Response(status_code=204)

    async def add_document(self, request: Request) -> Response:
        request.state.body.allow(MOST_BYTES + 64 * 1024)
        form = _multipart(request.headers, await self._admitted(request))
        applicant = _found(self._applicants, form["applicant_id"].decode())
        content = form["file"]
        kind = next((kind for magic, kind in _KINDS.items() if content.startswith(magic)), None)
        if kind is None or not LEAST_BYTES <= len(content) <= MOST_BYTES:
            raise _invalid("file", "invalid file type or size")
        kept = {
            "applicant_id": applicant["id"],
            "type": form["type"].decode(),
            "side": "front",
            "file_type": kind,
            "file_name": f"document.{kind}",
            "file_size": len(content),
        }
        return self._added(self._documents, kept)

    async def documents(self, request: Request) -> Response:
        await self._admitted(request)
        return JsonResponse({"documents": _of(self._documents, request)})

    async def add_check(self, request: Request) -> Response:
        fields = _object(await self._admitted(request))
        applicant = _found(self._applicants, str(fields.get("applicant_id")))
        if not any(one["applicant_id"] == applicant["id"] for one in self._documents.values()):
            raise _invalid("report_names", "document: the applicant has no document")
        kept = {
            "applicant_id": applicant["id"],
            "report_names": list(fields.get("report_names") or ()),
            "status": "in_progress",
            "result": None,
            "report_ids": [],
            "tags": [],
            "sandbox": True,
        }
        response = self._added(self._checks, kept)
        if applicant["last_name"] != NEVER:
            check = next(reversed(self._checks.values()))
            task = asyncio.create_task(self._complete(check, applicant["last_name"]))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return response

    async def checks(self, request: Request) -> Response:
        await self._admitted(request)
        return JsonResponse({"checks": _of(self._checks, request)})

    async def get_check(self, request: Request) -> Response:
        await self._admitted(request)
        return JsonResponse(_found(self._checks, request.path_params["id"]))

    async def _complete(self, check: Fields, last_name: str) -> None:
        settings = self._settings
        await asyncio.sleep(settings.check_slow_s if last_name == SLOW else settings.check_takes_s)
        check["status"] = "complete"
        check["result"] = "consider" if last_name == CONSIDER else "clear"
        await self._webhooks.send(self._webhook(check))

    def _webhook(self, check: Fields) -> Message:
        at = self._clock.now().isoformat()
        object_ = {
            "id": check["id"],
            "status": "complete",
            "completed_at_iso8601": at,
            "href": f"https://api.onfido.com{VERSION}/checks/{check['id']}",
        }
        payload = {"resource_type": "check", "action": "check.completed", "object": object_}
        body = {"payload": payload}
        secret = self._settings.kyc_webhook_token.encode()
        signature = hmac.new(secret, orjson.dumps(body), hashlib.sha256).hexdigest()
        return body, {"X-SHA2-Signature": signature}

    def _added(self, kept: dict[str, Fields], fields: Fields) -> Response:
        identifier = str(self._clock.new_id())
        kept[identifier] = {
            "id": identifier,
            "created_at": self._clock.now().isoformat(),
            "href": f"{VERSION}/{identifier}",
            **fields,
        }
        if len(kept) > MOST_KEPT:
            del kept[next(iter(kept))]
        return JsonResponse(kept[identifier], 201)

    async def _admitted(self, request: Request) -> bytes:
        presented = request.headers.get("authorization", "").encode()
        expected = f"Token token={self._settings.kyc_provider_token}".encode()
        if not hmac.compare_digest(presented, expected):
            error = {"type": "authorization_error", "message": "Bad token", "fields": {}}
            raise Refused(401, {"error": error})
        return await request.body()


def _multipart(headers: Mapping[str, str], body: bytes) -> dict[str, bytes]:
    """Return the parts of a form by name (RFC 7578)."""
    head = f"Content-Type: {headers.get('content-type', '')}\r\n\r\n".encode()
    parts: dict[str, bytes] = {}
    for part in message_from_bytes(head + body).walk():
        name = part.get_param("name", header="content-disposition")
        if isinstance(name, str):
            content = part.get_payload(decode=True)
            parts[name] = content if isinstance(content, bytes) else b""
    for name in ("applicant_id", "type", "file"):
        if not parts.get(name):
            raise _invalid(name, "can't be blank")
    return parts


def _object(body: bytes) -> Fields:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise _invalid("body", "must be a JSON object")
    return found


def _of(kept: dict[str, Fields], request: Request) -> list[Fields]:
    own = request.query_params.get("applicant_id", "")
    return [one for one in kept.values() if one["applicant_id"] == own]


def _found(kept: dict[str, Fields], identifier: str) -> Fields:
    if identifier not in kept:
        error = {"type": "resource_not_found", "message": "Not found", "fields": {}}
        raise Refused(404, {"error": error})
    return kept[identifier]


def _invalid(name: str, why: str) -> Refused:
    error = {"type": "validation_error", "message": "Invalid", "fields": {name: [why]}}
    return Refused(422, {"error": error})
