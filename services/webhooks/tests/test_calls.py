"""Calls of hostile endpoints, over real connections: every result is a success or a reason."""

import asyncio
import socket
import ssl
import time
from ipaddress import ip_address

import pytest
import trustme

from service_runtime.compute import Bounds, Executor
from webhooks.clients.calls import Calls
from webhooks.clients.names import ForbiddenAddressError, checked_address, system_resolver
from webhooks.domain.addresses import target_of

WITHIN_S = 0.4


async def here(_host, _port):
    return [ip_address("127.0.0.1")]


async def called(url, within_s=WITHIN_S, resolve=here, **options):
    return await Calls(resolve, within_s, local=True, **options).post(
        url, {"webhook-id": "m"}, b"{}"
    )


@pytest.mark.parametrize(
    ("path", "status", "reason"),
    [
        ("/good", 204, None),
        ("/interim", 204, None),
        ("/short-body", 200, None),
        ("/trailers", 200, None),
        ("/large-body", 200, None),
        ("/fails", 500, "status_500"),
        ("/gone", 410, "status_410"),
        ("/redirects", 302, "status_302"),
        ("/rubbish", None, "malformed_response"),
        ("/http2", None, "malformed_response"),
        ("/http2-frames", None, "malformed_response"),
        ("/odd-status", None, "malformed_response"),
        ("/interim-only", None, "malformed_response"),
        ("/early-close", None, "closed_early"),
        ("/large-head", None, "head_too_large"),
        ("/hangs", None, "timeout"),
        ("/trickles", None, "timeout"),
    ],
)
async def test_an_endpoint_is_judged_by_its_status_within_every_bound(
    hostile, path, status, reason
):
    began_s = time.monotonic()
    attempt = await called(hostile.url(path))

    assert (attempt.status, attempt.reason) == (status, reason)
    assert time.monotonic() - began_s < WITHIN_S + 0.3
    assert hostile.calls == {path: 1}
    assert hostile.flooded < 10 * 1024 * 1024


async def test_a_server_that_accepts_no_connection_is_a_reason():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        attempt = await called(f"http://127.0.0.1:{free.getsockname()[1]}/")
    assert attempt.reason == "not_connected"


async def test_a_request_has_one_host_one_length_and_no_connection_to_keep(hostile):
    await called(hostile.url("/good?a=b", host="receiver.test"))
    (received,) = hostile.received
    headers, body = received.headers, received.body

    assert headers["Host"] == f"receiver.test:{hostile.port}"
    assert (headers["Content-Length"], headers["Connection"], body) == ("2", "close", b"{}")


@pytest.mark.parametrize(
    "addresses",
    [["10.0.0.1"], ["169.254.169.254"], ["::ffff:127.0.0.1"], ["8.8.8.8", "10.0.0.1"]],
)
async def test_a_name_that_leads_inside_is_not_connected_to(hostile, addresses):
    async def inside(_host, _port):
        return [ip_address(one) for one in addresses]

    attempt = await called(hostile.url("/good", host="evil.test"), resolve=inside)
    assert attempt.reason == "address_forbidden"
    assert not hostile.calls


async def test_a_name_that_turns_is_judged_again_and_the_judged_address_is_connected_to(
    hostile, monkeypatch
):
    answers = iter([["203.0.113.7"], ["127.0.0.1"]])
    asked = []

    async def turning(host, _port):
        asked.append(host)
        return [ip_address(one) for one in next(answers, ["127.0.0.1"])]

    calls = Calls(turning, WITHIN_S, local=False)
    url = f"https://turning.test:{hostile.port}/good"
    found = [(await calls.post(url, {}, b"")).reason for _ in range(2)]

    assert found == ["address_forbidden", "address_forbidden"]
    assert asked == ["turning.test"] * 2
    assert not hostile.calls
    connected = []
    monkeypatch.setattr(
        asyncio, "open_connection", lambda host, *_a, **_k: connected.append(host) or 1 / 0
    )

    async def public_then_inside(_host, _port):
        return [ip_address("8.8.8.8")] if not connected else [ip_address("127.0.0.1")]

    with pytest.raises(ZeroDivisionError):
        await Calls(public_then_inside, WITHIN_S, local=False).post(url, {}, b"")
    assert connected == ["8.8.8.8"]


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "127.1", "017700000001", "localhost"])
async def test_another_spelling_of_this_machine_is_found_by_the_systems_resolver(host):
    async with Executor("names", Bounds(1, 1, 2.0)) as executor:
        target = target_of(f"https://{host}/", local=False)
        with pytest.raises((ForbiddenAddressError, OSError)):
            await checked_address(target, system_resolver(executor), local=False)


async def test_a_name_that_cannot_be_resolved_is_a_reason():
    async with Executor("names", Bounds(1, 1, 2.0)) as executor:
        attempt = await called("http://no-such-name.invalid/", resolve=system_resolver(executor))
    assert attempt.reason == "name_not_resolved"


async def test_a_name_server_that_hangs_ends_at_the_deadline(hostile):
    async def hangs(_host, _port):
        await asyncio.sleep(60)

    assert (await called(hostile.url("/good", host="slow.test"), resolve=hangs)).reason == "timeout"


async def test_http_and_this_machine_are_called_only_where_development_allows_it(hostile):
    calls = Calls(here, WITHIN_S, local=False)
    assert (await calls.post(hostile.url("/good"), {}, b"")).reason == "url_forbidden"
    assert not hostile.calls


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        pytest.param("receiver.test", None, id="the name of the URL"),
        pytest.param("other.test", "tls_failed", id="another name"),
    ],
)
async def test_a_certificate_is_verified_by_name_though_the_address_was_chosen(name, reason):
    authority = trustme.CA()
    server, client = (ssl.SSLContext(p) for p in (ssl.PROTOCOL_TLS_SERVER, ssl.PROTOCOL_TLS_CLIENT))
    authority.issue_cert(name).configure_cert(server)
    authority.configure_trust(client)

    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server) as listening:
        port = listening.sockets[0].getsockname()[1]
        attempt = await called(f"https://receiver.test:{port}/", tls=client)
    assert attempt.reason == reason


async def test_no_proxy_of_the_environment_is_used(hostile, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://192.0.2.1:1")
    assert (await called(hostile.url("/good"))).reason is None
