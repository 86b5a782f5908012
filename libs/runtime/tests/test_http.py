"""The HTTP server (middleware, limits, readiness, credentials) and client (deadlines, breaker)."""

import asyncio
import hashlib
import json
import re
import socket
from typing import Annotated
from uuid import UUID

import aiohttp.web
import httpx
import psycopg
import pytest
from fastapi import Body, Depends, Query, Request

from payment_schemas import answers
from payment_schemas.answers import RefusedError
from service_runtime.breaker import IN_A_ROW
from service_runtime.credentials import Credentials
from service_runtime.errors import Conflict
from service_runtime.http_client import MAX_ANSWER_BYTES, HttpClient, NoAnswer, RequestNotSent
from service_runtime.service import add_asyncapi
from service_runtime.web import HttpPolicy, JsonResponse, create_app
from testkit.events import NOON
from testkit.memory import SteadyClock

SECRET = "secret"
CREDENTIALS = Credentials(
    json.dumps(
        {
            "ops": {
                "sha256": hashlib.sha256(SECRET.encode()).hexdigest(),
                "scopes": ["ops.read"],
            }
        }
    )
)


async def up():
    return True


async def down():
    return False


async def broken():
    raise ConnectionError("no broker")


async def silent():
    await asyncio.sleep(60)
    return True


def app_with(**checks):
    app = create_app("probe", checks, SteadyClock(NOON), HttpPolicy(max_body_bytes=1000))

    @app.post("/echo")
    async def echo(body: Annotated[dict[str, int], Body()]) -> dict[str, int]:
        return body

    @app.get("/count")
    async def count(limit: Annotated[int, Query(ge=1)]) -> int:
        return limit

    @app.get("/fault")
    async def fault() -> None:
        raise KeyError("+15550100456")

    @app.get("/secret")
    async def secret(caller: Annotated[str, Depends(CREDENTIALS.require("ops.read"))]) -> str:
        return caller

    @app.get("/more")
    async def more(caller: Annotated[str, Depends(CREDENTIALS.require("ops.write"))]) -> str:
        return caller

    async def raw(request: Request) -> JsonResponse:
        return JsonResponse({"length": len(await request.body())})

    app.add_route("/raw", raw, methods=["POST"])
    return app


@pytest.fixture
async def http():
    async with client(app_with(database=up)) as found:
        yield found


def client(app):
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://probe")


async def refuse_all(_request, _scope):
    raise RefusedError(answers.unauthorized("no"))


async def streamed(size):
    for _ in range(size // 100):
        yield b"x" * 100


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/health", 200),
        ("GET", "/ready", 200),
        ("GET", "/metrics", 200),
        ("GET", "/nowhere", 404),
        ("PUT", "/echo", 405),
        ("GET", "/count", 400),
        ("GET", "/secret", 401),
        ("GET", "/fault", 500),
    ],
)
async def test_every_answer_carries_a_request_id(http, method, path, status):
    answer = await http.request(method, path)

    assert answer.status_code == status
    assert UUID(answer.headers["x-request-id"])


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("path", ["/nowhere", "/echo/", "/health/", "//echo", "/count/?limit=1"])
async def test_a_path_with_a_trailing_slash_is_not_found_and_never_redirected(http, method, path):
    answer = await http.request(method, path)

    assert (answer.status_code, answer.json()) == (404, {"error": "Not found"})
    assert "location" not in answer.headers


PATHS = ["/health", "/nowhere", "/fault", "/metrics", "/docs"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("production", [False, True])
async def test_every_response_forbids_sniffing_and_caching(path, production):
    policy = HttpPolicy(guard=refuse_all if production else None)
    async with client(create_app("probe", {}, SteadyClock(NOON), policy)) as http:
        answer = await http.get(path)

    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert ("strict-transport-security" in answer.headers) is production


@pytest.mark.parametrize("path", PATHS)
async def test_a_browser_frames_no_response_and_follows_no_reference_from_it(path):
    async with client(app_with()) as http:
        answer = await http.get(path)

    [policy] = answer.headers.get_list("content-security-policy")
    rules = {rule.strip() for rule in policy.split(";")}
    assert {"default-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"} <= rules
    assert ("sandbox" in rules) is (path != "/docs")
    assert answer.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("path", PATHS)
async def test_every_body_has_its_content_type_and_a_text_its_charset(path):
    async with client(app_with()) as http:
        declared = (await http.get(path)).headers["content-type"]

    assert declared == "application/json" or declared.endswith("; charset=utf-8")


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "OPTIONS"])
async def test_a_method_that_no_route_declares_is_refused(http, method):
    answer = await http.request(method, "/health", headers={"X-Secret": SECRET})

    assert answer.status_code == 405
    assert SECRET not in answer.text
    assert not [name for name in answer.headers if name.startswith("access-control-")]


async def test_a_path_shows_no_folder_and_no_file(http):
    for path in ("/docs/", "/.git/config", "/docs/%2e%2e/start.js"):
        assert (await http.get(path)).status_code == 404


async def test_a_cacheable_response_sets_its_own_cache_control():
    app = create_app("probe", {}, SteadyClock(NOON))

    async def asset(_request):
        return JsonResponse({}, headers={"Cache-Control": "max-age=60"})

    app.add_route("/asset", asset)
    async with client(app) as http:
        assert (await http.get("/asset")).headers.get_list("cache-control") == ["max-age=60"]


@pytest.mark.parametrize(
    ("path", "needed"),
    [
        ("/metrics", "metrics.read"),
        ("/docs", "ops.read"),
        ("/docs/start.js", "ops.read"),
        ("/openapi.json", "ops.read"),
        ("/asyncapi", "ops.read"),
    ],
)
async def test_internal_pages_need_a_caller_with_their_scope_in_production(path, needed):
    async def guard(request, scope):
        if request.headers.get("authorization") != f"Bearer {scope}":
            await refuse_all(request, scope)

    app = create_app("probe", {}, SteadyClock(NOON), HttpPolicy(guard=guard))
    add_asyncapi(app, "probe", [], [])
    async with client(app) as http:
        refused = await http.get(path, headers={"Authorization": "Bearer other"})
        shown = await http.get(path, headers={"Authorization": f"Bearer {needed}"})
        alive = await http.get("/health")

    assert (refused.status_code, shown.status_code, alive.status_code) == (401, 200, 200)
    assert refused.json()["error"] == "Unauthorized"


async def test_two_different_credentials_are_refused(http):
    pairs = [("Authorization", f"Bearer {SECRET}"), ("Authorization", "Bearer other")]

    assert (await http.get("/secret", headers=pairs)).status_code == 401
    assert (await http.get("/secret", headers=[pairs[0], pairs[0]])).status_code == 200


@pytest.mark.parametrize(
    ("path", "method", "label"),
    [
        ("/things/things", "GET", '"/things/{name}"'),
        ("/things/t", "GET", '"/things/{name}"'),
        ("/things/a%2Fb", "GET", '""'),
        ("/rest/a/rest/a", "GET", '"/rest/{path}"'),
        ("/things/t", "BREW", '"/things/{name}"'),
        ("/nowhere-1", "GET", '""'),
    ],
)
async def test_metrics_are_labelled_by_route_and_by_nothing_of_the_client(path, method, label):
    app = create_app("probe", {}, SteadyClock(NOON))

    @app.get("/things/{name}")
    async def thing(name: str) -> str:
        return name

    app.add_route("/rest/{path:path}", lambda _request: JsonResponse({}))
    async with client(app) as http:
        await http.request(method, path)
        shown = (await http.get("/metrics")).text

    assert f"http_route={label}" in shown
    routes = set(re.findall(r'http_route="([^"]*)"', shown))
    assert not any("thing" in one and one != "/things/{name}" for one in routes)
    assert not any("nowhere" in one or "{name}" in one[:6] for one in routes)
    assert "BREW" not in shown


async def test_a_defect_is_500_without_details(http):
    answer = await http.get("/fault")

    assert answer.json() == {"error": "Internal error"}


async def test_a_defect_is_logged_by_its_class_and_request_id(http, caplog):
    answer = await http.get("/fault")

    (line,) = [record.fields for record in caplog.records if record.msg == "failed"]
    assert line["error_class"] == "KeyError"
    assert str(line["request_id"]) == answer.headers["x-request-id"]


async def test_a_refused_caller_of_an_internal_route_is_logged(caplog):
    app = create_app("probe", {}, SteadyClock(NOON))
    app.add_api_route("/more", up, dependencies=[Depends(Credentials("{}").require("ops.write"))])
    async with client(app) as http:
        await http.get("/more", headers={"Authorization": f"Bearer {SECRET}"})

    (line,) = [record.fields for record in caplog.records if record.msg == "refused"]
    assert (line["status"], line["address"]) == (401, "127.0.0.1")
    assert SECRET not in str(line)


async def test_an_outage_of_a_dependency_is_503():
    app = create_app("test", {}, SteadyClock(NOON))

    async def read(_request):
        raise psycopg.OperationalError("connection refused")

    app.add_route("/read", read)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://test"
    ) as http:
        answer = await http.get("/read")

    assert (answer.status_code, answer.json()) == (503, {"error": "Service unavailable"})
    assert answer.headers["Retry-After"] == "1"
    assert answer.headers["X-Request-Id"]


@pytest.mark.parametrize(
    ("fault", "details"),
    [
        (psycopg.errors.UniqueViolation(), "the row: exists already"),
        (psycopg.errors.CheckViolation(), "the row: breaks a rule"),
        (psycopg.errors.RaiseException("what has ended does not change"), "what has ended does"),
        (Conflict("account: exists already", "account_pkey"), "account: exists already"),
    ],
)
async def test_a_constraint_violation_is_409(fault, details):
    app = create_app("test", {}, SteadyClock(NOON))

    async def write(_request):
        raise fault

    app.add_route("/write", write)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://test"
    ) as http:
        answer = await http.get("/write")

    assert (answer.status_code, answer.json()["error"]) == (409, "Conflict")
    assert answer.json()["details"].startswith(details)


@pytest.mark.parametrize("path", ["/echo", "/raw"])
async def test_a_body_declared_too_large_is_not_read(http, path):
    answer = await http.post(path, content=b"x" * 1001)

    assert (answer.status_code, answer.json()) == (413, {"error": "Body too large"})
    assert "x-request-id" in answer.headers


@pytest.mark.parametrize("path", ["/echo", "/raw"])
async def test_a_body_that_turns_out_too_large_is_refused(http, path):
    answer = await http.post(path, content=streamed(5000))

    assert (answer.status_code, answer.json()) == (413, {"error": "Body too large"})
    assert "x-request-id" in answer.headers


async def test_a_body_of_exactly_the_limit_is_accepted(http):
    assert (await http.post("/raw", content=b"x" * 1000)).json() == {"length": 1000}
    assert (await http.post("/raw", content=streamed(1000))).json() == {"length": 1000}


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (("GET", "/count?limit=0", None), "Invalid field: limit"),
        (("GET", "/count?limit=many", None), "Invalid field: limit"),
        (("POST", "/echo", {"a": "secret-canary"}), "Invalid field: a"),
    ],
)
async def test_a_bad_input_is_named_by_field_and_not_quoted(http, request_, error):
    method, path, body = request_
    answer = await http.request(method, path, json=body)

    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert "secret-canary" not in answer.text


async def test_readiness_names_what_is_missing():
    async with client(app_with(database=up, kafka=down, partitions=broken)) as http:
        answer = await http.get("/ready")

    assert answer.status_code == 503
    assert answer.json() == {"status": "not ready", "missing": ["kafka", "partitions"]}


async def test_readiness_has_a_timeout():
    async with client(app_with(database=silent)) as http, asyncio.timeout(5):
        answer = await http.get("/ready")

    assert answer.json()["missing"] == ["database"]


@pytest.mark.parametrize(
    ("path", "secret", "status"),
    [
        ("/secret", SECRET, 200),
        ("/secret", "wrong", 401),
        ("/secret", "", 401),
        ("/more", SECRET, 401),
    ],
)
async def test_a_route_is_open_to_callers_with_its_scope_alone(http, path, secret, status):
    answer = await http.get(path, headers={"Authorization": f"Bearer {secret}"})

    assert answer.status_code == status
    if status == 401:
        assert answer.headers["www-authenticate"] == "Bearer"
        assert "scope ops." in answer.json()["error"]


class Elsewhere:
    """A real HTTP server with given responses."""

    def __init__(self):
        self.status, self.body, self.delay_s = 200, b'{"ok":true}', 0.0
        self.headers = {}
        self.compresses = False
        self.asked = 0
        self.connections = set()

    async def answer(self, request):
        self.asked += 1
        self.connections.add(request.transport.get_extra_info("peername"))
        self.received = await request.read()
        await asyncio.sleep(self.delay_s)
        response = aiohttp.web.Response(status=self.status, body=self.body, headers=self.headers)
        if self.compresses:
            # In an encoding that the client announces, if there is one.
            response.enable_compression()
        return response


@pytest.fixture
async def elsewhere():
    there = Elsewhere()
    app = aiohttp.web.Application()
    app.router.add_route("*", "/{path:.*}", there.answer)
    runner = aiohttp.web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = aiohttp.web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    there.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"
    yield there
    await runner.cleanup()


@pytest.fixture
async def outside(elsewhere):
    async with HttpClient("elsewhere", elsewhere.url, timeout_s=0.5) as found:
        yield found


@pytest.mark.parametrize("status", [200, 201, 404, 422])
async def test_a_client_error_status_is_a_response(elsewhere, outside, status):
    elsewhere.status = status

    answer = await outside.post("/transfers", {"amount": "1.00"})

    assert (answer.status, answer.body) == (status, {"ok": True})
    assert json.loads(elsewhere.received) == {"amount": "1.00"}


async def test_the_client_asks_for_no_compression(elsewhere, outside):
    elsewhere.compresses = True
    elsewhere.body = b'{"ok":' + b" " * 10_000 + b"true}"

    answer = await outside.get("/")

    assert answer.body == {"ok": True}


@pytest.mark.parametrize(
    "told",
    [
        pytest.param({"status": 500}, id="their fault"),
        pytest.param({"status": 503, "body": b"busy"}, id="busy"),
        pytest.param({"body": b"<html>"}, id="not JSON"),
        pytest.param({"body": b""}, id="nothing"),
        pytest.param({"body": b"1" * (MAX_ANSWER_BYTES + 1)}, id="too large"),
        pytest.param({"delay_s": 3.0}, id="too late"),
        pytest.param({"status": 302, "headers": {"Location": "/"}}, id="elsewhere again"),
    ],
)
async def test_an_unusable_response_leaves_the_outcome_unknown(elsewhere, outside, told):
    vars(elsewhere).update(told)

    with pytest.raises(NoAnswer):
        await outside.get("/")

    assert elsewhere.asked == 1


async def test_one_client_and_its_connections_serve_all_requests(elsewhere, outside):
    for _ in range(50):
        await outside.get("/")

    assert (elsewhere.asked, len(elsewhere.connections)) == (50, 1)


async def test_a_refused_connection_means_that_nothing_was_sent():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        async with HttpClient("nobody", url) as outside:
            with pytest.raises(RequestNotSent):
                await outside.get("/")


async def test_a_client_that_was_not_started_sends_nothing():
    with pytest.raises(RequestNotSent):
        await HttpClient("early", "http://127.0.0.1:1").get("/")


async def test_after_failures_in_a_row_nothing_is_sent(elsewhere, outside):
    elsewhere.status = 500
    for _ in range(IN_A_ROW):
        with pytest.raises(NoAnswer):
            await outside.get("/")

    with pytest.raises(RequestNotSent, match="breaker open"):
        await outside.get("/")

    assert elsewhere.asked == IN_A_ROW
    assert outside.is_open


async def test_refusals_and_cancellations_do_not_open_the_breaker(elsewhere, outside):
    elsewhere.status = 422
    for _ in range(30):
        await outside.get("/")
    elsewhere.delay_s = 5
    for _ in range(IN_A_ROW):
        asking = asyncio.create_task(outside.get("/"))
        await asyncio.sleep(0.02)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    assert not outside.is_open
