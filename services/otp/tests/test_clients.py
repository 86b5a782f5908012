"""Queries to notification: in chunks, within a time limit, and never an error."""

import asyncio

import pytest
from aiohttp import web

from otp.clients import CHUNK, HttpContacts


@pytest.fixture
async def notification():
    """Start instances of notification with a given handler; return their addresses."""
    runners = []

    async def start(handler):
        app = web.Application()
        app.router.add_post("/admin/contacts:query", handler)
        runners.append(web.AppRunner(app))
        await runners[-1].setup()
        site = web.TCPSite(runners[-1], "127.0.0.1", 0)
        await site.start()
        return f"http://127.0.0.1:{runners[-1].addresses[0][1]}"

    yield start
    for runner in runners:
        await runner.cleanup()


def contacts_without(*unreachable, calls=None):
    async def handler(request):
        body = await request.json()
        if calls is not None:
            calls.append((request.headers["Authorization"], len(body["user_ids"])))
        found = [
            {"user_id": name, "can_receive_code": name not in unreachable}
            for name in body["user_ids"]
        ]
        return web.json_response({"results": found})

    return handler


async def query(urls, *users):
    async with HttpContacts(urls, lambda: "secret") as contacts:
        return dict(await contacts.reachable(users))


async def test_the_query_carries_the_credential(notification):
    calls = []
    url = await notification(contacts_without("usr-2", calls=calls))
    assert await query([url], "usr-1", "usr-2") == {"usr-1": True, "usr-2": False}
    assert calls == [("Bearer secret", 2)]


async def test_many_users_are_queried_in_chunks(notification):
    calls = []
    url = await notification(contacts_without(calls=calls))
    found = await query([url], *[f"usr-{number}" for number in range(CHUNK + 1)])
    assert (len(found), sorted(count for _, count in calls)) == (CHUNK + 1, [1, CHUNK])


async def test_after_an_unreachable_instance_the_next_one_is_queried(notification):
    url = await notification(contacts_without("usr-2"))
    assert await query(["http://127.0.0.1:1", url], "usr-2") == {"usr-2": False}


@pytest.mark.parametrize(
    "body",
    [
        {"results": [{"user_id": "usr-1", "can_receive_code": "yes"}]},
        {"results": {"usr-1": False}},
        {"results": ["usr-1"]},
        [],
    ],
)
async def test_a_malformed_response_has_no_results(notification, body):
    async def malformed(_request):
        return web.json_response(body)

    assert await query([await notification(malformed)], "usr-1") == {}


async def test_an_error_response_has_no_results(notification):
    async def refused(_request):
        return web.json_response({"error": "Unauthorized"}, status=401)

    assert await query([await notification(refused)], "usr-1") == {}


async def test_slow_instances_delay_a_code_by_at_most_a_second(notification):
    async def silent(_request):
        await asyncio.sleep(5)

    urls = [await notification(silent) for _ in range(2)]
    before = asyncio.get_running_loop().time()
    assert await query(urls, "usr-1") == {}
    assert asyncio.get_running_loop().time() - before < 1.5
