"""`GET /ws`: a token first, then the statuses of the payments that the client names."""

import asyncio
import json
import time
from contextlib import suppress

import pytest
from gateway_edge import Edge
from live_edge import WITHIN_S, changed, served
from websockets.exceptions import ConnectionClosed, InvalidStatus

from gateway.clients.statuses import StatusFeed
from gateway.routes import socket as socket_route
from service_runtime.push import StreamLimits
from testkit.tokens import token


async def read(socket):
    async with asyncio.timeout(WITHIN_S):
        return json.loads(await socket.recv())


async def say(socket, **message):
    await socket.send(json.dumps(message))


async def begun(socket, **claims):
    """Authenticate by the first message."""
    await say(socket, token=token(**claims))
    assert await read(socket) == {"event": "authenticated"}
    return socket


async def status(socket):
    """The next message, a status, as transaction, id and settlement status."""
    received = await read(socket)
    assert received["event"] == "status", received
    return received["data"]["transaction_id"], received["id"], received["data"]["settlement_status"]


async def close_of(socket):
    """The code and reason of the close, and the messages before it."""
    received = []
    async with asyncio.timeout(WITHIN_S):
        with suppress(ConnectionClosed):
            while True:
                received.append(json.loads(await socket.recv()))
    return socket.close_code, socket.close_reason, received


async def test_a_socket_follows_several_payments_to_their_last_status(live):
    live.store(changed(3))
    live.store(changed(2, "OTP_REQUIRED", "NONE", transaction_id="tx-988"))
    async with live.socket() as socket:
        await begun(socket)
        await say(socket, subscribe="tx-987")
        await say(socket, subscribe="tx-988")
        present = [await status(socket), await status(socket)]
        live.publish(changed(3, "DECLINED", "NONE", transaction_id="tx-988", reason="timed_out"))
        live.publish(changed(4, settlement_status="SENT"))
        later = [await status(socket), await read(socket), await status(socket)]

    assert present == [("tx-987", "3", "PENDING"), ("tx-988", "2", "NONE")]
    assert later == [
        ("tx-988", "3", "NONE"),
        {"event": "unsubscribed", "transaction_id": "tx-988", "reason": "final"},
        ("tx-987", "4", "SENT"),
    ]
    await live.opened(0)


async def test_a_status_has_the_body_of_a_read(live):
    live.store(changed(3))
    async with live.socket() as socket:
        await begun(socket)
        await say(socket, subscribe="tx-987")
        assert (await read(socket))["data"] == (await live.edge.read()).json()


@pytest.mark.parametrize("how", ["protocol", "header"])
async def test_the_handshake_may_carry_the_token(live, how):
    offered = ["countersign.v1"] + [f"bearer.{token()}"] * (how == "protocol")
    headers = {"Authorization": f"Bearer {token()}"} if how == "header" else None
    async with live.socket(*offered, additional_headers=headers) as socket:
        assert await read(socket) == {"event": "authenticated"}
        assert socket.subprotocol == "countersign.v1"


@pytest.mark.parametrize(
    ("first", "status", "code"),
    [
        ({"token": "no token"}, 401, 4401),
        ({"token": token(exp=1)}, 401, 4401),
        ({"token": token(scope="payment.read")}, 403, 4403),
        ({"subscribe": "tx-987"}, 401, 4401),
        ({"hello": 1}, 400, 1008),
    ],
)
async def test_a_socket_without_a_good_token_gets_the_refusal_and_is_closed(
    live, first, status, code
):
    async with live.socket() as socket:
        await say(socket, **first)
        closed, _, received = await close_of(socket)

    assert (closed, [one["status"] for one in received]) == (code, [status])


async def test_a_socket_that_names_no_token_in_time_is_closed(live, monkeypatch):
    monkeypatch.setattr(socket_route, "TOKEN_WITHIN_S", 0.02)
    async with live.socket() as socket:
        assert await close_of(socket) == (4401, "no token", [])


async def test_a_socket_that_follows_nothing_is_closed(live, monkeypatch):
    monkeypatch.setattr(socket_route, "SUBSCRIBED_WITHIN_S", 0.02)
    async with live.socket() as socket:
        await begun(socket)
        assert await close_of(socket) == (1000, "nothing subscribed", [])


async def test_anothers_payment_is_unknown_and_its_changes_are_never_told(live):
    live.store(changed(3, user_id="usr-457"))
    live.store(changed(3, transaction_id="tx-988"))
    async with live.socket() as socket:
        await begun(socket)
        await say(socket, subscribe="tx-987")
        refused = await read(socket)
        await say(socket, subscribe="tx-988")
        await status(socket)
        live.publish(changed(4, settlement_status="SENT", user_id="usr-457"))
        live.publish(changed(4, settlement_status="SENT", transaction_id="tx-988"))
        received = await status(socket)

    assert refused == {
        "event": "error",
        "status": 404,
        "error": "Unknown payment: tx-987",
        "transaction_id": "tx-987",
    }
    assert received == ("tx-988", "4", "SENT")


async def test_a_change_during_the_first_read_is_neither_lost_nor_repeated(live):
    live.store(changed(3))

    async def change():
        live.publish(changed(4, settlement_status="SENT"))
        await asyncio.sleep(0.02)

    live.edge.reads.while_reading = change
    async with live.socket() as socket:
        await begun(socket)
        await say(socket, subscribe="tx-987", last_event_id="99")
        assert [(await status(socket))[1] for _ in range(2)] == ["3", "4"]


async def test_a_client_resumes_by_the_id_of_the_last_status(live):
    live.store(changed(3))
    async with live.socket() as socket:
        await begun(socket)
        await say(socket, subscribe="tx-987", last_event_id=3)
        await live.opened()
        await asyncio.sleep(0.01)
        live.publish(changed(4, settlement_status="SENT"))
        assert await status(socket) == ("tx-987", "4", "SENT")


async def test_after_unsubscribing_nothing_is_told(live):
    live.store(changed(3))
    async with live.socket() as socket:
        await begun(socket)
        await say(socket, subscribe="tx-987")
        await status(socket)
        await say(socket, unsubscribe="tx-987")
        done = await read(socket)
        live.publish(changed(4, settlement_status="SENT"))
        await say(socket, unsubscribe="tx-987")
        assert done == {"event": "unsubscribed", "transaction_id": "tx-987"}
        assert (await read(socket))["error"] == "Not subscribed: tx-987"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("{", "Malformed JSON"),
        ("[]", "Malformed JSON"),
        ("[" * 9000, "Malformed JSON"),
        (b"{}", "Malformed JSON"),
        ("{}", "Missing field: subscribe"),
        ('{"subscribe": 1}', "Invalid field: subscribe"),
        ('{"subscribe": "\\ud800"}', "Invalid field: subscribe"),
        ('{"subscribe": "a b"}', "Invalid field: subscribe"),
        ('{"subscribe": "a", "x": 1}', "Unknown field: x"),
        ('{"unsubscribe": "a", "last_event_id": 1}', "Unknown field: last_event_id"),
        ('{"subscribe": "a", "last_event_id": []}', "Invalid field: last_event_id"),
    ],
)
async def test_a_faulty_message_gets_an_error_that_names_the_field(live, text, error):
    async with live.socket() as socket:
        await begun(socket)
        await socket.send(text)
        received = await read(socket)

    assert (received["event"], received["status"], received["error"]) == ("error", 400, error)


async def test_a_client_that_sends_only_faults_is_disconnected(live):
    async with live.socket() as socket:
        await begun(socket)
        for _ in range(socket_route.MOST_FAULTS):
            await socket.send("?")
        code, reason, received = await close_of(socket)

    assert (code, reason, len(received)) == (1008, "too many faulty messages", 20)


async def test_a_message_over_16_kib_closes_the_socket(live):
    async with live.socket() as socket:
        await begun(socket)
        await socket.send("x" * 20_000)
        assert (await close_of(socket))[0] == 1009


async def test_the_places_of_a_user_are_shared_by_sockets_and_streams(live):
    live.edge.streams._limits = StreamLimits(per_user=1)
    live.store(changed(3))
    live.store(changed(3, transaction_id="tx-988"))
    async with live.socket() as socket:
        await begun(socket)
        await say(socket, subscribe="tx-987")
        await status(socket)
        await say(socket, subscribe="tx-988")
        refused = await read(socket)
        async with live.stream() as (response, _):
            assert response.status_code == 429

    assert (refused["status"], refused["retry_after"]) == (429, 1)


async def test_reads_of_a_user_are_limited_over_the_socket_too():
    edge = Edge(reads_per_minute=2)
    async with served(edge) as live, edge.http:
        live.store(changed(3))
        async with live.socket() as socket:
            await begun(socket)
            for number in (7, 8):
                await say(socket, subscribe=f"tx-98{number}")
            received = [await status(socket), await read(socket)]

    assert received[1]["status"] == 429


async def test_the_socket_ends_with_its_token_and_goes_on_with_a_newer_one(live):
    live.store(changed(3))
    soon = time.time() + 1
    async with live.socket() as first, live.socket() as second:
        for socket in (first, second):
            await begun(socket, exp=soon)
            await say(socket, subscribe="tx-987")
            await status(socket)
        await begun(second)
        code, reason, received = await close_of(first)
        live.publish(changed(4, settlement_status="SENT"))
        assert await status(second) == ("tx-987", "4", "SENT")

    assert (code, reason) == (4401, "expired")
    assert received == [{"event": "closing", "reason": "expired", "retry": 1000}]


async def test_a_newer_token_of_another_user_closes_the_socket(live):
    async with live.socket() as socket:
        await begun(socket)
        await say(socket, token=token(sub="usr-457"))
        code, _, received = await close_of(socket)

    assert (code, received[0]["details"]) == (4401, "The token is another user's")


async def test_a_stopping_gateway_tells_when_to_come_back(live):
    live.store(changed(3))
    async with live.socket() as socket:
        await begun(socket)
        await say(socket, subscribe="tx-987")
        await status(socket)
        live.edge.streams.close_all("stopping")
        code, reason, received = await close_of(socket)

    assert (code, reason) == (1012, "stopping")
    assert received == [{"event": "closing", "reason": "stopping", "retry": 1000}]


async def test_a_socket_is_told_that_the_broker_is_silent(live, monkeypatch):
    live.store(changed(3))
    async with live.socket() as socket:
        await begun(socket)
        await say(socket, subscribe="tx-987")
        await status(socket)
        monkeypatch.setattr(StatusFeed, "is_current", False)
        await live.feed.watch()
        received = await read(socket)

    assert (received["event"], "interrupted" in received["notice"]) == ("notice", True)


async def test_a_socket_that_opens_while_the_broker_is_silent_is_told_at_once(live):
    await live.feed.watch()
    async with live.socket() as socket:
        await begun(socket)
        assert "interrupted" in (await read(socket))["notice"]


async def test_a_client_that_does_not_read_is_disconnected_and_slows_nobody(live):
    live.store(changed(3))
    async with live.socket() as socket, live.stream() as (_, events):
        await begun(socket)
        await say(socket, subscribe="tx-987")
        await status(socket)
        await live.opened(2)
        await anext(events)
        followed = next(iter(live.edge.streams._all()))
        for number in range(4, 200):
            live.publish(changed(number, settlement_status="SENT"))

        # Both were too far behind before the loop could send: each is received, and reconnects.
        assert followed._is_closing
        assert (await close_of(socket))[1] == "slow"
    await live.opened(0)


async def test_the_development_user_needs_no_token():
    edge = Edge(anonymous="usr-456")
    async with served(edge) as live, edge.http:
        live.store(changed(3))
        async with live.socket() as socket:
            assert await read(socket) == {"event": "authenticated"}
            await say(socket, subscribe="tx-987")
            assert await status(socket) == ("tx-987", "3", "PENDING")


async def test_a_request_that_offers_no_websocket_is_426(live):
    answer = await live.http.get("/ws")

    assert (answer.status_code, answer.text) == (426, '{"error":"WebSocket required"}')
    assert answer.headers["upgrade"] == "websocket"


async def test_a_socket_at_another_path_is_refused(live):
    live.url += "/payment/tx-987"
    with pytest.raises(InvalidStatus, match="HTTP 403"):
        await live.socket()


@pytest.mark.parametrize(
    ("origin", "is_served"),
    [(None, True), ("https://pay.example", True), ("https://evil.example", False)],
)
async def test_a_page_of_another_origin_opens_no_socket(origin, is_served):
    edge = Edge(origins=["https://pay.example"])
    async with served(edge) as live, edge.http:
        opening = live.socket(origin=origin)
        if is_served:
            async with opening as socket:
                await begun(socket)
            return
        with pytest.raises(InvalidStatus, match="HTTP 403"):
            await opening
