"""Addresses of the system, and messages when a service does not respond."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from ops.clients.addresses import Addresses, find_addresses
from ops.clients.system import System
from ops.domain.errors import RefusedError, UnavailableError
from service_runtime.brokers import Brokers

NOWHERE = 39_999
"""An offset at which no stack of this checkout is ever started."""


def test_addresses_come_from_the_environment(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("s3cret\n")
    password = tmp_path / "password"
    password.write_text("passw0rd\n")
    found = find_addresses(
        {
            "ADMIN_URLS": json.dumps({"confirm": "http://c:3010/"}),
            "GATEWAY_URL": "http://g:3000",
            "KAFKA_BOOTSTRAP_SERVERS": "k:9092",
            "KAFKA_USER": "ops",
            "KAFKA_PASSWORD_FILE": str(password),
            "INTERNAL_CREDENTIAL_FILE": str(secret),
        },
        NOWHERE,
    )
    assert (found.url("confirm"), found.url("gateway")) == ("http://c:3010", "http://g:3000")
    assert (found.brokers(), found.credential()) == (Brokers("k:9092", "ops", "passw0rd"), "s3cret")


@pytest.mark.parametrize("text", ["{", "[]", '{"confirm":1}'])
def test_a_malformed_variable_is_named(text):
    with pytest.raises(UnavailableError, match="ADMIN_URLS"):
        find_addresses({"ADMIN_URLS": text}, NOWHERE)


@pytest.mark.parametrize(
    ("ask", "named"),
    [
        (lambda found: found.url("gateway"), "GATEWAY_URL"),
        (lambda found: found.url("audit"), "ADMIN_URLS"),
        (lambda found: found.brokers(), "KAFKA_BOOTSTRAP_SERVERS"),
        (lambda found: found.credential(), "INTERNAL_CREDENTIAL_FILE"),
    ],
)
def test_an_unknown_address_names_its_setting_and_the_next_command(ask, named):
    with pytest.raises(UnavailableError, match=f"{named}.*next: `make up`"):
        ask(find_addresses({}, NOWHERE))


def test_an_unreadable_credential_is_named(tmp_path):
    with pytest.raises(UnavailableError, match="INTERNAL_CREDENTIAL_FILE"):
        Addresses(credential_file=str(tmp_path / "none")).credential()


@contextmanager
def answering(status: int, body: bytes) -> Iterator[System]:
    """A foreign program at the issuer's address with one response for all requests."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        with System(Addresses({"issuer": f"http://127.0.0.1:{server.server_port}"})) as system:
            yield system
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "body", "error", "sentence"),
    [
        (400, b'{"error":"Invalid field: x","details":"y"}', RefusedError, "Invalid field: x, y"),
        (409, b"{}", RefusedError, "status 409"),
        (401, b'{"error":"no"}', UnavailableError, "INTERNAL_CREDENTIAL_FILE"),
        (404, b'{"error":"Not Found"}', UnavailableError, "make logs S=issuer"),
        (500, b"oops", UnavailableError, "make logs S=issuer"),
        (200, b"<html>", UnavailableError, "not respond with JSON.*make status"),
        (400, b'{"error":"no"}', RefusedError, "next: `countersign --help`"),
    ],
)
def test_an_invalid_response_is_explained(status, body, error, sentence):
    with answering(status, body) as system, pytest.raises(error, match=sentence):
        system.get("issuer", "/")


def test_a_stream_that_is_refused_is_explained():
    with (
        answering(503, b'{"error":"busy"}') as system,
        pytest.raises(UnavailableError, match="busy"),
        system.stream("issuer", "/statement"),
    ):
        pass


def test_an_unreachable_service_is_named_with_the_next_command():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with (
        System(Addresses({"issuer": url})) as system,
        pytest.raises(UnavailableError, match=r"issuer cannot be reached.*make up"),
    ):
        system.get("issuer", "/")
