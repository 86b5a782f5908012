"""The test issuer's keys over HTTP, for a whole service that admits operators."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from testkit.operators import OPERATOR_AUDIENCE
from testkit.tokens import ISSUER, KEYS


class _Published(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps({"keys": KEYS}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Print nothing."""


@pytest.fixture(scope="session")
def operator_trust() -> Iterator[dict[str, str]]:
    """The settings by which a service trusts the test issuer's operators."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Published) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield {
            "operator_issuer": ISSUER,
            "operator_audience": OPERATOR_AUDIENCE,
            "operator_jwks_url": f"http://127.0.0.1:{server.server_port}",
        }
        server.shutdown()
