"""Asking notification who can receive a code: in chunks, in time, and never in the way."""

import asyncio

import pytest
from aiohttp import web

from otp.clients import CHUNK, HttpContacts


@pytest.fixture
async def notification():
    """Start instances of notification that answer as told; return their addresses."""
    runners = []

    async def start(answer):
        app = web.Application()
        app.router.add_post("/admin/contacts:query", answer)
        runners.append(web.AppRunner(app))
        await runners[-1].setup()
        site = web.TCPSite(runners[-1], "127.0.0.1", 0)
        await site.start()
        return f"http://127.0.0.1:{runners[-1].addresses[0][1]}"

    yield start
    for runner in runners:
        await runner.cleanup()


def saying(*unreachable, asked=None):
    async def answer(request):
        body = await request.json()
        if asked is not None:
            asked.append((request.headers["Authorization"], len(body["user_ids"])))
        found = [
            {"user_id": name, "can_receive_code": name not in unreachable}
            for name in body["user_ids"]
        ]
        return web.json_response({"results": found})

    return answer


async def ask(urls, *users):
    async with HttpContacts(urls, "secret") as contacts:
        return dict(await contacts.reachable(users))


async def test_who_can_receive_a_code_is_asked_with_our_credential(notification):
    asked = []
    url = await notification(saying("usr-2", asked=asked))
    assert await ask([url], "usr-1", "usr-2") == {"usr-1": True, "usr-2": False}
    assert asked == [("Bearer secret", 2)]


async def test_many_users_are_asked_about_in_chunks(notification):
    asked = []
    url = await notification(saying(asked=asked))
    found = await ask([url], *[f"usr-{number}" for number in range(CHUNK + 1)])
    assert (len(found), sorted(count for _, count in asked)) == (CHUNK + 1, [1, CHUNK])


async def test_where_one_instance_is_away_the_next_one_is_asked(notification):
    url = await notification(saying("usr-2"))
    assert await ask(["http://127.0.0.1:1", url], "usr-2") == {"usr-2": False}


@pytest.mark.parametrize(
    "answer",
    [
        {"results": [{"user_id": "usr-1", "can_receive_code": "yes"}]},
        {"results": {"usr-1": False}},
        {"results": ["usr-1"]},
        [],
    ],
)
async def test_a_malformed_answer_says_nothing(notification, answer):
    async def malformed(_request):
        return web.json_response(answer)

    assert await ask([await notification(malformed)], "usr-1") == {}


async def test_a_refusal_says_nothing(notification):
    async def refused(_request):
        return web.json_response({"error": "Unauthorized"}, status=401)

    assert await ask([await notification(refused)], "usr-1") == {}


async def test_a_silent_instance_holds_a_code_up_for_a_second_at_most(notification):
    async def silent(_request):
        await asyncio.sleep(5)

    urls = [await notification(silent) for _ in range(2)]
    before = asyncio.get_running_loop().time()
    assert await ask(urls, "usr-1") == {}
    assert asyncio.get_running_loop().time() - before < 1.5
