"""The real SDK against the stand-in, in all of its modes; no other server is needed."""

import asyncio
import json
import time

import openai
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from insight_world import KEY

from insight.clients import Account, Completion, Model, ModelError, OpenAiApi, Timing
from insight.clients.openai_api import MOST_BYTES
from insight.domain.explanation import UngroundedError, from_reply
from insight.domain.prompts import to_choose, to_explain
from insight.domain.shape import Contribution, Shape
from service_runtime.breaker import IN_A_ROW, State
from service_runtime.clock import SystemClock

SHAPE = Shape(40, "medium", (Contribution("new_payee", 40),), "clear", "verified")
PROMPT = to_explain(SHAPE)
TIMING = Timing(deadline_s=3.0, try_s=1.0, tries=2, open_s=60, most_tokens=300)


class Purse:
    """A budget that admits calls, and remembers what became of them."""

    def __init__(self, admits=True):
        self.admits, self.open, self.used = admits, 0, []

    async def reserve(self, _prompt, _most_tokens):
        self.open += self.admits
        return self if self.admits else None

    async def settle(self, _reserved, completion):
        self.open -= 1
        self.used.append(completion)


class At:
    """A guarded model at an address."""

    def __init__(self, api, purse, timing):
        self.purse = purse
        self.model = Model(api, purse, timing, SystemClock())

    async def fails(self, **more):
        with pytest.raises(ModelError) as failed:
            await self.model.ask(PROMPT, **more)
        return failed.value.reason


@pytest.fixture
async def at(mock):
    apis = []

    def make(url=f"{mock.url}/v1", key=KEY, admits=True, **timing):
        api = OpenAiApi(Account(url, "stand-in", lambda: key, 5.0))
        apis.append(api)
        return At(api, Purse(admits), Timing(**_fields() | timing))

    yield make
    for api in apis:
        await api.__aexit__()


def _fields():
    return {name: getattr(TIMING, name) for name in TIMING.__dataclass_fields__}


async def test_a_good_reply_is_grounded_and_its_use_is_settled(at):
    one = at()
    found = await one.model.ask(PROMPT)
    assert from_reply(found.text, SHAPE).source == "model"
    assert found.input_tokens > 100
    assert found.output_tokens > 20
    assert (one.purse.used, one.purse.open) == ([found], 0)


@pytest.mark.parametrize("kind", ["malformed", "invented", "injected"])
async def test_a_bad_reply_is_refused(at, mock, kind):
    mock.switch(kind)
    found = await at().model.ask(PROMPT)
    with pytest.raises(UngroundedError):
        from_reply(found.text, SHAPE)


async def test_a_slow_reply_is_waited_for(at, mock):
    mock.switch("slow")
    assert (await at().model.ask(PROMPT)).text


async def test_one_deadline_holds_over_all_tries(at, mock):
    mock.switch("lose_request")
    one, began_s = at(deadline_s=0.8, try_s=0.5, tries=5), time.monotonic()
    assert await one.fails() == "deadline"
    assert time.monotonic() - began_s < 5
    # Nobody knows whether a call that was cut off is billed: it stays reserved.
    assert one.purse.open >= 1


async def test_a_hanging_call_ends_by_its_own_limit(at, mock):
    mock.switch("lose_request")
    one = at(try_s=0.3, tries=1)
    assert await one.fails() == "timeout"
    assert one.purse.open == 1


@pytest.mark.parametrize(
    ("kind", "reason"), [("rate_limit", "rate_limited"), ("error", "server_error")]
)
async def test_a_refused_call_is_tried_again_and_costs_nothing(at, mock, kind, reason):
    mock.switch(kind)
    one = at(tries=3)
    assert await one.fails() == reason
    assert (one.purse.used, one.purse.open) == ([None] * 3, 0)


async def test_a_call_that_fails_now_and_then_succeeds_by_a_retry(at, mock):
    mock.switch("error", 0.5)
    found = await asyncio.gather(*(at(tries=5).model.ask(PROMPT) for _ in range(8)))
    assert all(one.text for one in found)


async def test_a_wrong_key_is_not_tried_again(at):
    one = at(key="wrong", tries=3)
    assert await one.fails() == "refused"
    assert one.purse.used == [None]


async def test_without_budget_nothing_is_sent(at, mock):
    before = mock.count()
    assert await at(admits=False).fails() == "budget"
    assert mock.count() == before


async def test_after_failures_in_a_row_the_breaker_is_open_and_nothing_is_sent(at, mock):
    mock.switch("error")
    one = at(tries=1)
    for _ in range(IN_A_ROW):
        await one.fails()
    assert one.model.state == State.OPEN
    mock.heal()
    before = mock.count()
    assert await one.fails() == "breaker_open"
    assert mock.count() == before


async def test_a_model_that_is_not_there_is_no_answer(at):
    assert await at(url="http://127.0.0.1:9/v1", tries=1).fails() == "no_answer"


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        pytest.param({"body": b"[" + b"1," * MOST_BYTES + b"1]"}, "no_answer", id="too large"),
        pytest.param({"text": "<html>", "content_type": "text/html"}, "unreadable", id="a page"),
        pytest.param({"body": b"{}", "content_type": "application/json"}, "unreadable", id="empty"),
        pytest.param({"status": 302, "headers": {"Location": "/v1"}}, "refused", id="a redirect"),
        pytest.param({"status": 400}, "refused", id="refused"),
    ],
)
async def test_a_response_that_no_api_sends_is_a_named_failure(at, reply, reason):
    async def answer(_request):
        return web.Response(**reply)

    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    async with TestServer(app) as server:
        assert await at(url=str(server.make_url("/v1")), tries=1).fails() == reason


async def test_the_stand_in_streams_the_same_reply(mock):
    messages = [{"role": "user", "content": PROMPT.user}]
    async with openai.AsyncOpenAI(api_key=KEY, base_url=f"{mock.url}/v1") as client:
        whole = await client.chat.completions.create(model="m", messages=messages)
        parts = await client.chat.completions.create(
            model="m", messages=messages, stream=True, stream_options={"include_usage": True}
        )
        chunks = [one async for one in parts]
    text = "".join(one.choices[0].delta.content or "" for one in chunks if one.choices)
    assert text == whole.choices[0].message.content
    assert len(chunks) > 3
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens


async def test_a_model_chooses_one_of_the_offered_queries(at):
    prompt = to_choose("how many payments are there", {"counts": "how many payments", "x": "y"})
    found = await at().model.ask(prompt)
    assert json.loads(found.text) == {"choice": "counts"}
    assert isinstance(found, Completion)
