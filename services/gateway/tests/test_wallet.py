"""The wallet page: its files, what it may ask of the mocks, and that production has neither."""

from urllib.parse import unquote

import httpx
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.app import build
from gateway.clients.wallet import Mocks, page_files
from gateway.routes.wallet import WalletRoutes
from gateway.settings import Settings
from service_runtime.errors import Unavailable
from service_runtime.web import create_app
from testkit.events import NOON
from testkit.memory import SteadyClock

PAGE = "<!doctype html><title>Wallet</title>"
OUTSIDE = "a file beside the folder"


class MemoryMocks:
    """The mocks; without `reachable` they do not respond."""

    def __init__(self):
        self.reachable = True
        self.users = []

    async def token(self, user):
        if not self.reachable:
            raise Unavailable("no issuer")
        self.users.append(user)
        return {"token": f"token of {user}", "expires_in": 900}

    async def messages(self, phone):
        if not self.reachable:
            raise Unavailable("no mock")
        return [f"to {phone}"]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "secret.json").write_text(OUTSIDE)
    built = tmp_path / "dist"
    built.mkdir()
    files = {"index.html": PAGE, "main-0ABCDEF9.js": "1", "icon.svg": "<svg/>", "stamp": OUTSIDE}
    for name, text in files.items():
        (built / name).write_text(text)
    (built / "more").mkdir()
    (built / "more" / "deep.js").write_text(OUTSIDE)
    return built


@pytest.fixture
def mocks():
    return MemoryMocks()


@pytest.fixture
def app(folder, mocks):
    app = create_app("gateway", {}, SteadyClock(NOON))
    WalletRoutes(page_files(folder), mocks).add_to(app)
    return app


@pytest.fixture
async def http(app):
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://gateway"
    ) as client:
        yield client


@pytest.mark.parametrize("path", ["/app", "/app/"])
async def test_the_page_runs_no_script_but_its_own_and_is_in_no_frame(http, path):
    answer = await http.get(path)
    assert (answer.status_code, answer.text) == (200, PAGE)
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    policy = answer.headers["Content-Security-Policy"]
    for rule in ("default-src 'none'", "script-src 'self';", "frame-ancestors 'none'"):
        assert rule in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("path", "kind", "cached"),
    [
        ("/app", "text/html; charset=utf-8", "no-cache"),
        ("/app/icon.svg", "image/svg+xml", "no-cache"),
        ("/app/main-0ABCDEF9.js", "text/javascript; charset=utf-8", "immutable"),
    ],
)
async def test_a_file_has_its_type_and_is_sent_again_only_if_it_has_changed(
    http, path, kind, cached
):
    first = await http.get(path)
    again = await http.get(path, headers={"If-None-Match": first.headers["ETag"]})
    changed = await http.get(path, headers={"If-None-Match": '"other"'})

    assert first.headers["Content-Type"] == kind
    assert cached in first.headers["Cache-Control"]
    assert (again.status_code, again.content) == (304, b"")
    assert changed.content == first.content


@pytest.mark.parametrize(
    "path",
    [
        "/app/../secret.json",
        "/app/..%2fsecret.json",
        "/app/%2e%2e/secret.json",
        "/app/%2e%2e%2fsecret.json",
        "/app/..\\secret.json",
        "/app//etc/passwd",
        "/app/more/deep.js",
        "/app/more%2fdeep.js",
        "/app/stamp",
        "/app/icon.svg/",
        "/app/icon.svg%00.html",
        "/app/ICON.SVG",
        "/app/.",
    ],
)
async def test_no_other_file_is_served(app, path):
    """Asked without httpx, which would take dots out of the path."""
    sent = []

    async def receive():
        return {"type": "http.request", "body": b""}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "GET", "headers": [], "query_string": b"", "scheme": "http"}
    scope |= {"path": unquote(path), "raw_path": path.encode(), "server": ("gateway", 80)}
    await app({**scope, "http_version": "1.1", "client": ("192.0.2.7", 1)}, receive, send)
    assert sent[0]["status"] == 404
    assert OUTSIDE.encode() not in b"".join(one.get("body", b"") for one in sent)


async def test_without_its_build_the_page_says_what_to_do(tmp_path, mocks):
    app = create_app("gateway", {}, SteadyClock(NOON))
    WalletRoutes(page_files(tmp_path / "missing"), mocks).add_to(app)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://gateway"
    ) as client:
        answer = await client.get("/app")
    assert answer.status_code == 200
    assert "Node.js" in answer.text


async def test_a_customer_of_the_demonstration_gets_a_token_and_the_messages(http):
    token = await http.post("/app/demo/token", json={"user": "usr-456"})
    messages = await http.get("/app/demo/messages", params={"to": "+15550100456"})

    assert token.json() == {"token": "token of usr-456", "expires_in": 900}
    assert messages.json() == {"messages": ["to +15550100456"]}
    assert token.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "given",
    [
        {"user": ""},
        {"user": "a/../b"},
        {"user": "u" * 65},
        {"user": "usr-456\n"},
        {"user": 456},
        {"user": None},
        {},
        [],
        "usr-456",
    ],
)
async def test_no_token_is_made_for_what_is_no_user(http, mocks, given):
    answer = await http.post("/app/demo/token", json=given)
    assert (answer.status_code, answer.json()["error"]) == (400, "Invalid field: user")
    assert mocks.users == []


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b'{"user":"usr-456"}', "text/plain", 415),
        (b'{"user":"usr-456"}', "application/x-www-form-urlencoded", 415),
        (b'{"user":"usr-456"', "application/json", 400),
        (b'{"user":"usr-456"}' + b" " * 2000, "application/json", 413),
    ],
)
async def test_a_request_that_a_page_elsewhere_could_send_makes_no_token(
    http, mocks, content, kind, status
):
    headers = {"Content-Type": kind, "Origin": "https://elsewhere.example"}
    answer = await http.post("/app/demo/token", content=content, headers=headers)
    assert answer.status_code == status
    assert mocks.users == []


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
@pytest.mark.parametrize("path", ["/app", "/app/icon.svg", "/app/demo/token", "/app/demo/messages"])
async def test_no_page_elsewhere_may_read_a_response(http, method, path):
    headers = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "POST"}
    answer = await http.request(method, path, headers=headers)
    assert [name for name in answer.headers if name.startswith("access-control-")] == []


@pytest.mark.parametrize("to", ["", "15550100456", "+1555&limit=9", "+", "+1" * 20])
async def test_messages_of_what_is_no_phone_are_not_asked_for(http, to):
    answer = await http.get("/app/demo/messages", params={"to": to})
    assert (answer.status_code, answer.json()["error"]) == (400, "Invalid field: to")


async def test_mocks_that_do_not_respond_are_unavailable(http, mocks):
    mocks.reachable = False
    token = await http.post("/app/demo/token", json={"user": "usr-456"})
    messages = await http.get("/app/demo/messages", params={"to": "+15550100456"})
    assert (token.status_code, messages.status_code) == (503, 503)


@pytest.mark.parametrize(("profile", "status"), [("dev", 200), ("prod", 404)])
async def test_only_the_development_profile_has_the_page(environment, folder, profile, status):
    environment(PROFILE=profile, WALLET_FOLDER=str(folder), WALLET_SMS_URL="http://127.0.0.1:9")
    process = build(Settings())
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(process.app), base_url="http://gateway"
    ) as client:
        found = {
            (await client.get(path)).status_code for path in ("/app", "/app/", "/app/icon.svg")
        }
        token = await client.post("/app/demo/token", json={"user": "usr-456"})
        messages = await client.get("/app/demo/messages?to=%2B15550100456")
    assert found == {status}
    # The mocks do not run here.
    asked = 503 if profile == "dev" else 404
    assert (token.status_code, messages.status_code) == (asked, asked)


async def test_the_real_mocks_are_asked_over_http():
    asked = []

    async def token(request):
        asked.append(await request.json())
        return web.json_response({"access_token": "t", "expires_in": 900, "token_type": "Bearer"})

    async def messages(request):
        texts = [{"body": str(number)} for number in range(9)]
        return web.json_response({"messages": texts if request.query["to"] == "+1555" else []})

    app = web.Application()
    app.router.add_post("/token", token)
    app.router.add_get("/messages", messages)
    async with TestServer(app) as server:
        url = str(server.make_url("/"))
        async with Mocks(url, url) as mocks:
            assert await mocks.token("usr-456") == {"token": "t", "expires_in": 900}
            assert await mocks.messages("+1555") == ["8", "7", "6", "5", "4"]
    assert asked == [{"sub": "usr-456", "scope": "payment.confirm"}]
