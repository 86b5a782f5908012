"""The client in a real browser, encrypted: taps, a reload, codes, a lost connection."""

import asyncio
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue

import pytest
from joserfc import jwe, jwk
from joserfc.registry import HeaderParameter

from testkit.chromium import chromium

WITHIN_S = 20
ALGORITHM = "ECDH-ES+A256KW"
HEADER = dict.fromkeys(("transaction_id", "iat", "exp"), HeaderParameter("", lambda _: None))
TYPES = {".html": "text/html", ".js": "text/javascript"}
CODE_REQUIRED = (403, {"status": "OTP_REQUIRED", "message": "", "expires_in": 300})
WRONG = (401, {"error": "Invalid OTP", "details": "Code does not match or expired"})
BUSY = (409, {"error": "Request in progress", "details": "Retry with the same idempotency key"})
SETTLED = {"status": "SUCCESS", "settlement_status": "SETTLED", "amount": "5200.00"}


class Gateway(ThreadingHTTPServer):
    """Serves the page and plays the gateway."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, home: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self.home = home
        self.loads = 0
        self.keys: dict[str, list[str]] = {"two-taps": [], "reload": []}
        self.reports: Queue[dict] = Queue()
        self.second_tap = threading.Event()
        self.confirming = threading.Event()
        self.lock = threading.Lock()
        self.private = jwk.ECKey.generate_key("P-256")
        self.private.ensure_kid()

    def published(self):
        key = {**self.private.as_dict(private=False), "alg": ALGORITHM, "use": "enc"}
        return json.dumps({"keys": [key]}).encode()

    def opened(self, request):
        """Return the body that the page has encrypted."""
        registry = jwe.JWERegistry(HEADER, algorithms=[ALGORITHM, "A256GCM"])
        found = jwe.decrypt_compact(request, self.private, registry=registry)
        return json.loads(found.plaintext)["body"]

    def confirmed(self, transaction_id):
        body = {"status": "SUCCESS", "transaction_id": transaction_id, "reference": "7K2M9QX4TD"}
        return 200, {**body, "settlement_method": "ACH"}

    def answer_to(self, order, key):
        """Return status and body of a confirmation; None stands for a lost connection."""
        name = order["transaction_id"]
        with self.lock:
            self.keys[name].append(key)
            number = len(self.keys[name])
        return getattr(self, "_" + name.replace("-", "_"))(number, order.get("otp_code"))

    def _two_taps(self, number, _code):
        """The first one runs until the second one has come."""
        if number == 2:
            self.second_tap.set()
            return BUSY
        assert self.second_tap.wait(WITHIN_S)
        return self.confirmed("two-taps")

    def _reload(self, number, code):
        if number == 1:  # the page is reloaded before it has an answer
            self.confirming.set()
            return None
        script = {2: (None, CODE_REQUIRED), 3: ("000001", WRONG), 4: ("789012", None)}
        expected, answer = script.get(number, ("789012", self.confirmed("reload")))
        assert code == expected
        return answer


class _Request(BaseHTTPRequestHandler):
    server: Gateway

    def do_GET(self):
        if self.path == "/.well-known/e2e-jwks.json":
            self._respond(200, self.server.published(), "application/json")
        elif self.path == "/when-confirming":
            assert self.server.confirming.wait(WITHIN_S)
            self._respond(200, b"")
        elif self.path == "/payment/reload/events":
            self._respond(
                200, f"event: status\ndata: {json.dumps(SETTLED)}\n\n".encode(), "text/event-stream"
            )
        else:
            path = self.server.home / self.path.lstrip("/")
            self._respond(
                200, path.read_bytes(), TYPES[path.suffix]
            ) if path.is_file() else self._respond(404, b"")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        if self.path == "/loaded":
            self.server.loads += 1
            self._respond(200, str(self.server.loads).encode())
        elif self.path == "/report":
            self.server.reports.put(json.loads(body or b"null"))
            self._respond(204, b"")
        else:
            self._confirm(self.server.opened(body))

    def _confirm(self, order):
        assert self.headers["Authorization"] == "Bearer one"
        answer = self.server.answer_to(order, self.headers["Idempotency-Key"])
        if answer is not None:
            status, body = answer
            self._respond(status, json.dumps(body).encode(), "application/json")
        elif len(self.server.keys["reload"]) > 1:
            self.close_connection = True
        else:
            threading.Event().wait(WITHIN_S)  # no answer: the page goes away

    def _respond(self, status, body, kind="text/plain"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Request-Id", "request-1")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_words):
        """Print nothing."""


@pytest.fixture
def gateway(typescript: Path):
    with Gateway(typescript) as server:
        threading.Thread(target=server.serve_forever, args=[0.02]).start()
        yield server
        server.shutdown()


async def test_a_page_pays_once_over_two_taps_and_a_reload(gateway: Gateway):
    async with chromium() as browser, browser.tab() as tab:
        await tab.open(f"http://127.0.0.1:{gateway.server_port}/tests/page.html")
        taps = await asyncio.to_thread(gateway.reports.get, timeout=WITHIN_S)
        after = await asyncio.to_thread(gateway.reports.get, timeout=WITHIN_S)
        assert tab.faults == []
    assert taps == {"taps": ["7K2M9QX4TD"] * 2}
    assert after == {"reload": {"reference": "7K2M9QX4TD", "settled": True}, "left": {}}
    assert gateway.loads == 2
    taps, reload = gateway.keys["two-taps"], gateway.keys["reload"]
    assert (len(taps), len(set(taps))) == (3, 1)
    assert (len(reload), len(set(reload))) == (5, 1)
    assert set(taps).isdisjoint(reload)
