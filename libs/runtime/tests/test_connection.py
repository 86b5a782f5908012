"""Limits of a connection before the application: sizes, times, other protocols, invalid bytes."""

import contextlib
import json
import re
import socket
import time
from uuid import UUID

import pytest

from service_runtime.connection import (
    MAX_HEAD_BYTES,
    MAX_HEAD_LINES,
    Connection,
    ConnectionLimits,
)
from testbed.server import serving

HEAD_S, BODY_S = 0.4, 0.4
LATE_S = 1.0
"""The limits above, and the delay until the server applies them."""
CLOSE = b"Connection: close\r\n"


async def echo(scope, receive, send):
    """Return method, path, headers and body; `/silent` responds without reading the body."""
    body = b""
    while scope["path"] != "/silent":
        message = await receive()
        if message["type"] != "http.request":
            return
        body += message["body"]
        if not message["more_body"]:
            break
    names = [name.decode("latin-1") for name, _ in scope["headers"]]
    text = json.dumps([scope["method"], scope["path"], names, body.decode("latin-1")]).encode()
    length = str(len(text)).encode()
    headers = [(b"content-length", length)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": text})


@pytest.fixture(scope="module")
def address():
    with serving(echo, ConnectionLimits(HEAD_S, BODY_S, 200)) as (found, _):
        yield found


def told(address, *parts, pause_s=0.05):
    """Send the parts in order; return all bytes until the server closes."""
    with socket.create_connection(address, timeout=5) as connection:
        for number, part in enumerate(parts):
            time.sleep(pause_s if number else 0)
            connection.sendall(part)
        got = b""
        while b := connection.recv(65536):
            got += b
            if b"connection: close" in got and got.endswith((b"}", b"]")):
                break
        return got


def answer(got):
    """Return the status, the headers and the JSON of the last response."""
    head, _, body = got[got.rindex(b"HTTP/1.1 ") :].partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    return int(first.split()[1]), headers, json.loads(body)


def request(*lines, body=b"", target=b"/x", method=b"POST"):
    return b"\r\n".join([method + b" " + target + b" HTTP/1.1", CLOSE[:-2], *lines, b"", body])


def lines_of(count):
    return [b"A%d: b" % number for number in range(count - 1)]


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        pytest.param(request(*lines_of(MAX_HEAD_LINES + 1)), 431, id="a line too many"),
        pytest.param(request(b"A: " + b"b" * MAX_HEAD_BYTES), 431, id="a long line"),
        pytest.param(request(b"A: " + b"b" * 8_000)[:-4] + b"b" * 10_000, 431, id="without an end"),
        pytest.param(request(target=b"/" + b"b" * MAX_HEAD_BYTES), 431, id="a long target"),
        pytest.param(b"\r\n" * MAX_HEAD_BYTES, 431, id="line ends for ever"),
        pytest.param(
            request(b"Transfer-Encoding: chunked", body=b"5;" + b"e" * 40_000),
            431,
            id="a long chunk extension",
        ),
        pytest.param(
            request(b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n0\r\nA: " + b"e" * 40_000),
            431,
            id="a long trailer",
        ),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\xfc\x03\x03", 400, id="TLS"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, id="HTTP/2"),
        pytest.param(b"CONNECT a:443 HTTP/1.1\r\n\r\n", 400, id="a proxy's method"),
        pytest.param(b"BREW /x HTTP/1.1\r\n\r\n", 400, id="an unknown method"),
        pytest.param(request(target=b"/\xff\xfe"), 400, id="a target of rubbish bytes"),
        pytest.param(request(b"\xff\xfe: b"), 400, id="a header name of rubbish bytes"),
        pytest.param(request(b"A b: c"), 400, id="a header name with a blank"),
        pytest.param(request(b"A: b\x00c"), 400, id="a header value with a null"),
        pytest.param(request(b"A: b", b" c"), 400, id="a folded line"),
        pytest.param(
            request(b"Content-Length: 1", b"Content-Length: 2", body=b"ab"), 400, id="two lengths"
        ),
        pytest.param(
            request(b"Content-Length: 1", b"Content-Length: 1", body=b"a"), 400, id="a length twice"
        ),
        pytest.param(
            request(b"Content-Length: 3", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
            400,
            id="two ways to end",
        ),
        pytest.param(
            request(b"Transfer-Encoding: chunked", body=b"zz\r\n"), 400, id="no chunk at all"
        ),
    ],
)
def test_a_request_that_is_too_large_or_invalid_is_refused_with_a_body_and_an_id(
    address, sent, error
):
    status, headers, body = answer(told(address, sent))

    expected = {431: "Headers too large", 400: "Malformed request"}[error]
    assert (status, body) == (error, {"error": expected})
    assert UUID(headers["x-request-id"])
    assert headers["connection"] == "close"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(request(*lines_of(MAX_HEAD_LINES)), id="as many lines as may be"),
        pytest.param(request(b"A: " + b"b" * (MAX_HEAD_BYTES - 100)), id="as long as may be"),
        pytest.param(request(b"A: \xff\xfe"), id="a value that is not ASCII"),
        pytest.param(request(b"Content-Length: 900000", body=b"x" * 900_000), id="a large body"),
    ],
)
def test_a_request_within_the_limits_is_served(address, sent):
    assert answer(told(address, sent))[0] == 200


@pytest.mark.parametrize("protocol", [b"h2c", b"websocket", b"TLS/1.0"])
@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([b"Content-Length: 10\r\n\r\nhelloworld"], id="at once"),
        pytest.param([b"Content-Length: 10\r\n\r\nhel", b"loworld"], id="in two parts"),
        pytest.param([b"Content-Length: 10\r\n\r\n", b"helloworld"], id="after the head"),
        pytest.param(
            [b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", b"5\r\nworld\r\n0\r\n\r\n"],
            id="in chunks",
        ),
    ],
)
def test_an_offer_of_another_protocol_is_served_as_http1_with_its_body(address, protocol, parts):
    offer = b"Connection: Upgrade, HTTP2-Settings, close\r\nHTTP2-Settings: x\r\nUpgrade: "
    head = b"POST /x HTTP/1.1\r\n" + offer + protocol + b"\r\n"

    status, _, seen = answer(told(address, head + parts[0], *parts[1:]))

    assert status == 200
    assert (seen[0], seen[3]) == ("POST", "helloworld")
    assert "upgrade" not in seen[2]


def test_after_an_offer_of_another_protocol_the_connection_goes_on(address):
    offer = b"GET /one HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"

    got = told(address, offer, request(target=b"/two"))

    assert got.count(b"HTTP/1.1 200 OK") == 2
    assert answer(got)[2][1] == "/two"


def test_the_application_sees_no_trailer(address):
    chunks = b"5\r\nhello\r\n0\r\nAuthorization: Bearer other\r\n\r\n"

    status, _, seen = answer(told(address, request(b"Transfer-Encoding: chunked", body=chunks)))

    assert (status, seen[3]) == (200, "hello")
    assert "authorization" not in seen[2]


@pytest.mark.parametrize(
    ("parts", "statuses"),
    [
        pytest.param([b"GET /x HTTP/1.1\r\nA: "], [b"408"], id="half a head"),
        pytest.param([b"G", b"E", b"T", b" "], [b"408"], id="byte by byte"),
        pytest.param([b""], [], id="nothing"),
        pytest.param([b"\r\n"] * 4, [], id="line ends"),
        pytest.param([request(b"Content-Length: 5", body=b"he")], [b"408"], id="half a body"),
        pytest.param(
            [b"GET /x HTTP/1.1\r\n\r\n", b"GET /y HTTP/1.1\r\nA:"],
            [b"200", b"408"],
            id="half a second head",
        ),
        pytest.param(
            [b"POST /silent HTTP/1.1\r\nContent-Length: 9\r\n\r\n", b"a", b"b"],
            [b"200"],
            id="half a body that nobody reads",
        ),
    ],
)
def test_a_client_that_takes_too_long_gets_a_response_and_a_close(address, parts, statuses):
    started_s = time.monotonic()
    with socket.create_connection(address, timeout=5) as connection:
        for part in parts:
            connection.sendall(part)
            time.sleep(0.05)
        got = b""
        while b := connection.recv(65536):
            got += b

    assert HEAD_S * 0.5 < time.monotonic() - started_s < LATE_S + 0.05 * len(parts)
    # One response a request, also if the body arrives after it.
    assert re.findall(rb"HTTP/1.1 (\d+)", got) == statuses


def test_invalid_bytes_after_a_request_do_not_cost_its_response(address):
    got = told(address, b"GET /x HTTP/1.1\r\n\r\n\xff\xff\xff")

    assert got.count(b"HTTP/1.1 ") == 1
    assert answer(got)[0] == 200


def test_a_client_that_reads_no_responses_is_closed(monkeypatch):
    monkeypatch.setattr("service_runtime.websocket_connection.UNREAD_WITHIN_S", 0.3)

    async def large(_scope, _receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(64):
            await send({"type": "http.response.body", "body": b"x" * 1_000_000, "more_body": True})
        await send({"type": "http.response.body"})

    limits = ConnectionLimits(HEAD_S, BODY_S, 200)
    with serving(large, limits) as (address, server), socket.create_connection(address) as one:
        one.sendall(b"GET /x HTTP/1.1\r\n\r\n")
        assert eventually(lambda: server.server_state.connections)
        assert eventually(lambda: not server.server_state.connections)


def eventually(check, within_s=3.0):
    until_s = time.monotonic() + within_s
    while time.monotonic() < until_s:
        if check():
            return True
        time.sleep(0.02)
    return False


FEW = ConnectionLimits(head_within_s=30, body_within_s=30, connections=16)


def connected(stack, address, server, count):
    made = [stack.enter_context(socket.create_connection(address, timeout=5)) for _ in range(count)]
    assert eventually(lambda: len(server.server_state.connections) >= count)
    return made


def test_connections_over_the_limit_get_503():
    with contextlib.ExitStack() as stack, serving(echo, FEW) as (address, server):
        connected(stack, address, server, 16)

        answers = [answer(told(address, b"")) for _ in range(2)]

    for status, headers, body in answers:
        assert (status, body) == (503, {"error": "Service unavailable"})
        assert headers["retry-after"] == "1"
    assert len({headers["x-request-id"] for _, headers, _ in answers}) == 2


def test_a_connection_that_is_being_accepted_counts_once(monkeypatch):
    two = ConnectionLimits(head_within_s=30, body_within_s=30, connections=2)
    made = Connection.connection_made
    with contextlib.ExitStack() as stack, serving(echo, two) as (address, server):

        def connection_made(self, transport):
            made(self, transport)
            if len(server.server_state.connections) == 1:
                # The listener is ready again before the first accept's task ends.
                stack.enter_context(socket.create_connection(address, timeout=5))

        monkeypatch.setattr(Connection, "connection_made", connection_made)
        stack.enter_context(socket.create_connection(address, timeout=5))

        assert eventually(lambda: len(server.server_state.connections) == 2)


def test_idle_connections_are_closed_when_connections_run_out():
    with contextlib.ExitStack() as stack, serving(echo, FEW) as (address, server):
        (resting,) = connected(stack, address, server, 1)
        resting.sendall(b"GET /x HTTP/1.1\r\n\r\n")
        assert resting.recv(65536)
        connected(stack, address, server, 15)

        assert resting.recv(65536) == b""
        assert answer(told(address, request()))[0] == 200
