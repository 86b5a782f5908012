"""`GET /payment/{transaction_id}/events`: every status once, for the owner alone, to the last."""

import time

import pytest
from live_edge import changed, next_status

from gateway.clients.statuses import StatusFeed
from service_runtime.push import StreamLimits


async def test_a_stream_shows_the_present_status_and_every_later_one_to_the_last(live):
    live.store(changed(3))
    async with live.stream() as (response, events):
        first = await next_status(events)
        live.publish(changed(4, settlement_status="SENT"))
        live.publish(changed(5, settlement_status="SETTLED"))
        rest = [await next_status(events) for _ in range(3)]

    assert response.headers["content-type"].startswith("text/event-stream")
    assert first == (3, "SUCCESS", "PENDING")
    assert rest == [(4, "SUCCESS", "SENT"), (5, "SUCCESS", "SETTLED"), None]
    assert live.edge.streams.count == 0


async def test_a_status_has_the_body_of_a_read(live):
    live.store(changed(3))
    read = await live.edge.read()
    live.store(changed(5, settlement_status="SETTLED"))
    settled = await live.edge.read()

    async with live.stream() as (_, events):
        received = [event["data"] async for event in events if event.get("event") == "status"]
    live.store(changed(3))
    async with live.stream() as (_, events):
        received.append((await anext(events_with_data(events)))["data"])
        live.publish(changed(5, settlement_status="SETTLED"))
        received.append((await anext(events_with_data(events)))["data"])

    assert received == [settled.text, read.text, settled.text]
    assert settled.headers["etag"] == '"5"'


async def events_with_data(events):
    async for event in events:
        if event.get("event") == "status":
            yield event


async def test_a_change_during_the_first_read_is_neither_lost_nor_repeated(live):
    live.store(changed(3))

    async def change():
        live.publish(changed(3))
        live.publish(changed(4, settlement_status="SENT"))

    live.edge.reads.while_reading = change
    async with live.stream() as (_, events):
        assert [(await next_status(events))[0] for _ in range(2)] == [3, 4]


async def test_a_record_that_arrives_late_shows_no_former_status(live):
    live.store(changed(4, settlement_status="SENT"))
    async with live.stream() as (_, events):
        received = [await next_status(events)]
        live.publish(changed(3))
        live.publish(changed(5, settlement_status="SETTLED"))
        received.append(await next_status(events))

    assert [number for number, *_ in received] == [4, 5]


async def test_a_client_that_reconnects_gets_what_it_missed_and_nothing_twice(live):
    live.store(changed(4, settlement_status="SENT"))
    async with live.stream(last=3) as (_, events):
        assert (await next_status(events))[0] == 4
    async with live.stream(last=4) as (_, events):
        await live.opened()
        live.publish(changed(4, settlement_status="SENT"))
        live.publish(changed(5, settlement_status="SETTLED"))
        assert (await next_status(events))[0] == 5


async def test_an_id_that_was_never_sent_hides_nothing(live):
    live.store(changed(3))
    async with live.stream(last=99) as (_, events):
        received = [await next_status(events)]
        live.publish(changed(4, settlement_status="SENT"))
        received.append(await next_status(events))

    assert [number for number, *_ in received] == [3, 4]


async def test_after_the_last_status_a_client_is_told_not_to_reconnect(live):
    live.store(changed(5, settlement_status="REJECTED"))
    async with live.stream(last=5) as (response, events):
        assert response.status_code == 204
    async with live.stream() as (response, events):
        assert [await next_status(events) for _ in range(2)] == [(5, "SUCCESS", "REJECTED"), None]


@pytest.mark.parametrize(
    ("claims", "status", "body"),
    [
        ({"user": "usr-457"}, 404, '{"error":"Unknown payment: tx-987"}'),
        ({"transaction_id": "tx-988"}, 404, '{"error":"Unknown payment: tx-988"}'),
        ({"scope": "payment.read"}, 403, '{"error":"Forbidden","details":"Scope payment.confirm'),
        ({"aud": "another"}, 401, '{"error":"Unauthorized"'),
    ],
)
async def test_a_stream_is_refused_as_a_read_is(live, claims, status, body):
    live.store(changed(3))
    async with live.stream(**claims) as (response, _):
        text = (await response.aread()).decode()

    assert (response.status_code, text[: len(body)]) == (status, body)
    assert live.edge.streams.count == 0


async def test_a_stream_without_confirm_is_503_and_keeps_no_place(live):
    live.edge.reads.reachable = False
    async with live.stream() as (response, _):
        assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert live.edge.streams.count == 0


async def test_another_users_changes_are_never_shown(live):
    live.store(changed(3))
    async with live.stream() as (_, events):
        await next_status(events)
        live.publish(changed(9, user_id="usr-457"))
        live.publish(changed(9, transaction_id="tx-988"))
        live.publish(changed(4, settlement_status="SENT"))
        assert (await next_status(events))[0] == 4


async def test_the_eleventh_stream_of_a_user_is_429_and_another_user_is_served(live):
    live.edge.streams._limits = StreamLimits(per_user=1)
    live.store(changed(3))
    live.store(changed(3, user_id="usr-457"))
    async with live.stream() as (_, events):
        await next_status(events)
        async with live.stream() as (response, _):
            assert (response.status_code, response.headers["retry-after"]) == (429, "1")
        async with live.stream(user="usr-457") as (response, _):
            assert response.status_code == 200


async def test_a_stream_ends_when_the_token_expires(live):
    live.store(changed(3))
    async with live.stream(exp=time.time() + 1) as (_, events):
        received = [await next_status(events) for _ in range(3)]

    assert received[1:] == [("closing", "expired"), None]


async def test_streams_are_told_that_the_broker_is_silent_and_later_that_it_is_not(
    live, monkeypatch
):
    live.store(changed(3))
    async with live.stream() as (_, events):
        await next_status(events)
        comments = comments_of(events)
        await live.feed.watch()
        received = [await anext(comments)]
        monkeypatch.setattr(StatusFeed, "is_current", True)
        await live.feed.watch()
        received.append(await anext(comments))

    assert "interrupted" in received[0]
    assert "go on" in received[1]


async def test_a_stream_that_opens_while_the_broker_is_silent_says_so_at_once(live):
    live.store(changed(3))
    await live.feed.watch()
    async with live.stream() as (_, events):
        assert "interrupted" in await anext(comments_of(events))


async def comments_of(events):
    async for event in events:
        if "" in event:
            yield event[""]


async def test_records_that_were_deleted_unread_end_the_streams(live):
    live.store(changed(3))
    async with live.stream() as (_, events):
        await next_status(events)
        live.feed.missed()
        assert await next_status(events) == ("closing", "gap")
