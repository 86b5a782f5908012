"""Public paths of other services, forwarded by real HTTP."""

import asyncio
from contextlib import AsyncExitStack
from urllib.parse import unquote

import httpx
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port

from gateway.clients import forwarding
from gateway.clients.forwarding import HttpForwarding
from gateway.routes.forward import (
    MAX_BODY_BYTES,
    MAX_UPLOAD_BYTES,
    MOST_UPLOADS,
    ForwardRoute,
    Uploads,
)
from service_runtime.web import create_app
from testkit.events import NOON
from testkit.memory import SteadyClock

PATH = "/api/v1/hooks"
UPLOAD = f"{PATH}/upload"


class Hooks:
    """A service that records its requests, and sends a prepared response."""

    def __init__(self):
        self.requests = []
        self.reply = {"body": b'{"ok":true}', "content_type": "application/json"}
        self.waits_s = 0.0

    async def answer(self, request):
        self.requests.append((request.method, request.raw_path, request.headers.copy()))
        self.body = await request.read()
        await asyncio.sleep(self.waits_s)
        return web.Response(**self.reply)


@pytest.fixture
async def hooks():
    stub = Hooks()
    app = web.Application(client_max_size=MAX_UPLOAD_BYTES + 1)
    app.router.add_route("*", "/{path:.*}", stub.answer)
    async with TestServer(app) as server:
        stub.url = str(server.make_url("")).rstrip("/")
        yield stub


async def gateway_to(*urls):
    sent_on = HttpForwarding(PATH, urls, lambda: "gateways-secret")
    app = create_app("gateway", {}, SteadyClock(NOON))
    uploads = Uploads([UPLOAD])
    ForwardRoute(PATH, sent_on, lambda _request: "192.0.2.7", uploads).add_to(app)
    transport = httpx.ASGITransport(app)
    async with sent_on, httpx.AsyncClient(transport=transport, base_url="http://gateway") as http:
        yield http


@pytest.fixture
async def http(hooks):
    async for client in gateway_to(hooks.url):
        yield client


async def test_a_request_is_forwarded_with_the_named_headers_alone(http, hooks):
    given = {
        "Authorization": "Bearer users",
        "Idempotency-Key": "k",
        "X-Forwarded-For": "203.0.113.9",
        "X-Forwarded-By": "Bearer guessed",
        "Cookie": "a=b",
        "Content-Type": "application/json",
    }
    response = await http.post(f"{PATH}/endpoints/e-1?limit=2", content=b"{}", headers=given)

    assert (response.status_code, response.content) == (200, b'{"ok":true}')
    ((method, path, headers),) = hooks.requests
    assert (method, path, hooks.body) == ("POST", f"{PATH}/endpoints/e-1?limit=2", b"{}")
    assert headers["X-Forwarded-For"] == "192.0.2.7"
    assert headers["X-Forwarded-By"] == "Bearer gateways-secret"
    assert (headers["Authorization"], headers["Idempotency-Key"]) == ("Bearer users", "k")
    assert "Cookie" not in headers


async def test_a_response_comes_back_with_the_named_headers_alone(http, hooks):
    headers = {"ETag": '"3"', "Set-Cookie": "a=b", "Server": "x", "X-Request-Id": "theirs"}
    hooks.reply = {"status": 412, "body": b"{}", "headers": headers}
    response = await http.get(PATH)

    assert (response.status_code, response.headers["etag"]) == (412, '"3"')
    assert not {"set-cookie", "server"} & set(response.headers)
    assert response.headers["x-request-id"] != "theirs"
    assert "cookie" not in (await http.get(PATH)).request.headers


async def test_a_path_with_a_segment_for_any_is_forwarded_alone_and_before_what_it_lies_in(hooks):
    paths = ("/api/v1/hooks/*/words", PATH)
    app = create_app("gateway", {}, SteadyClock(NOON))
    async with AsyncExitStack() as stack:
        for path in paths:
            sent_on = HttpForwarding(path, [hooks.url + path.count("*") * "/words"], lambda: "s")
            await stack.enter_async_context(sent_on)
            ForwardRoute(path, sent_on, lambda _request: "192.0.2.7").add_to(app)
        http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway")
        await stack.enter_async_context(http)
        for path in ("/7/words", "/7", "/7/words/more", "/words"):
            await http.get(PATH + path)
    assert [path for _, path, _ in hooks.requests] == [
        "/words/api/v1/hooks/7/words",
        *(f"/api/v1/hooks{path}" for path in ("/7", "/7/words/more", "/words")),
    ]


async def test_a_redirect_is_passed_on_and_not_followed(http, hooks):
    hooks.reply = {"status": 302, "headers": {"Location": "http://169.254.169.254/"}}
    response = await http.get(PATH)

    assert (response.status_code, len(hooks.requests)) == (302, 1)


@pytest.mark.parametrize(
    "path", ["/../admin", "/%2e%2e/admin", "/a%2fb", "//a", "/a/./b", "/a/", "/%00", "/a;b", "y"]
)
async def test_a_path_that_two_programs_could_read_differently_is_not_found(http, hooks, path):
    # httpx would resolve the dots.
    raw, sent = f"{PATH}{path}", []
    scope = {"type": "http", "method": "GET", "path": unquote(raw), "raw_path": raw.encode()}
    scope |= {"query_string": b"", "headers": [], "client": ("192.0.2.7", 1)}

    async def send(message):
        sent.append(message)

    await http._transport.app(scope, None, send)
    assert sent[0]["status"] == 404
    assert hooks.requests == []


async def test_a_header_with_two_values_is_refused(http, hooks):
    headers = [("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    response = await http.post(PATH, headers=headers)

    assert (response.status_code, response.json()["error"]) == (
        400,
        "Invalid field: idempotency-key",
    )
    assert hooks.requests == []


async def test_a_body_over_the_limit_is_refused(http, hooks):
    assert (await http.post(PATH, content=b"x" * MAX_BODY_BYTES)).status_code == 200
    assert (await http.post(PATH, content=b"x" * (MAX_BODY_BYTES + 1))).status_code == 413
    assert len(hooks.requests) == 1


async def test_a_path_for_uploads_takes_more_and_a_bounded_number_at_once(http, hooks):
    async def upload(size):
        return (await http.post(UPLOAD, content=b"x" * size)).status_code

    assert (await upload(MAX_UPLOAD_BYTES), len(hooks.body)) == (200, MAX_UPLOAD_BYTES)
    assert await upload(MAX_UPLOAD_BYTES + 1) == 413
    hooks.waits_s = 0.5
    sent = await asyncio.gather(*[upload(100) for _ in range(MOST_UPLOADS + 2)])
    assert sorted(sent) == [200] * MOST_UPLOADS + [503] * 2
    assert await upload(100) == 200


async def test_the_next_instance_is_asked_where_one_does_not_accept(hooks):
    async for http in gateway_to(f"http://127.0.0.1:{unused_port()}", hooks.url):
        assert (await http.post(PATH)).status_code == 200


async def test_an_absent_service_is_named_and_nothing_else_is_asked():
    async for http in gateway_to(f"http://127.0.0.1:{unused_port()}"):
        response = await http.get(PATH)
        assert (response.status_code, response.headers["retry-after"]) == (503, "5")
        assert response.json() == {
            "error": "Service unavailable",
            "details": f"No service responds at {PATH}",
        }


@pytest.mark.parametrize("fault", ["late", "large"])
async def test_without_a_usable_response_the_client_is_told_to_repeat(
    http, hooks, fault, monkeypatch
):
    if fault == "late":
        monkeypatch.setattr(forwarding, "WITHIN_S", 0.05)
        hooks.waits_s = 0.2
    hooks.reply = {"body": b"x" * (forwarding.MOST_BYTES + 1)}
    response = await http.post(PATH)

    assert (response.status_code, response.json()["error"]) == (504, "No answer in time")


async def test_more_requests_than_may_wait_are_refused_at_once(http, hooks, monkeypatch):
    monkeypatch.setattr(forwarding, "MOST_AT_ONCE", 2)
    hooks.waits_s = 0.1
    replies = await asyncio.gather(*(http.get(PATH) for _ in range(3)))

    assert sorted(one.status_code for one in replies) == [200, 200, 503]
