"""The stand-in for a language model: its shapes, its refusals, and its replies on demand."""

import json

import pytest

from mocks.model.app import create
from mocks.settings import ModelSettings

KEY = {"Authorization": "Bearer the-key"}
PATH = "/v1/chat/completions"
DATA = {
    "task": "explain",
    "score": 40,
    "level": "medium",
    "factors": [{"name": "new_payee", "points": 40, "meaning": "the first payment"}],
    "sanctions": "clear",
    "kyc": "verified",
    "recommendations": ["verify_payee"],
}


@pytest.fixture
async def http(serve, secret_file, clock):
    settings = ModelSettings(profile="dev", MODEL_API_KEY_FILE=secret_file("key", "the-key"))
    async with serve(create(settings, clock)) as client:
        yield client


def asked(data=DATA, **fields):
    content = data if isinstance(data, str) else json.dumps(data)
    return {"model": "m", "messages": [{"role": "user", "content": content}], **fields}


async def reply(http, **fields):
    response = await http.post(PATH, json=asked(**fields), headers=KEY)
    assert response.status_code == 200, response.text
    return response.json()["choices"][0]["message"]["content"]


async def test_a_reply_follows_from_the_data_and_is_the_same_again(http):
    found = json.loads(await reply(http))
    assert found["factors"] == ["new_payee"]
    assert found["recommendations"] == ["verify_payee"]
    assert "new_payee adds 40 points" in found["summary"]
    assert found == json.loads(await reply(http))


async def test_a_question_gets_one_of_the_offered_queries(http):
    data = {"task": "choose", "question": "how many payments", "queries": {"counts": "payments"}}
    assert json.loads(await reply(http, data=data)) == {"choice": "counts"}
    nothing = data | {"question": "what does it mean"}
    assert json.loads(await reply(http, data=nothing)) == {"choice": "documents"}


@pytest.mark.parametrize(
    ("kind", "words"), [("invented", "9,731"), ("injected", "Ignore all previous instructions")]
)
async def test_bad_replies_come_on_demand(http, kind, words):
    await http.put("/faults", json={"kind": kind})
    assert words in await reply(http)
    await http.delete("/faults")
    assert words not in await reply(http)


async def test_half_a_reply_comes_on_demand(http):
    await http.put("/faults", json={"kind": "malformed"})
    with pytest.raises(json.JSONDecodeError):
        json.loads(await reply(http))


@pytest.mark.parametrize(("kind", "status"), [("rate_limit", 429), ("error", 500), ("down", 503)])
async def test_it_refuses_on_demand(http, kind, status):
    await http.put("/faults", json={"kind": kind})
    assert (await http.post(PATH, json=asked(), headers=KEY)).status_code == status


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (asked(), {}, 401),
        (asked(), {"Authorization": "Bearer other"}, 401),
        ({"model": "m"}, KEY, 400),
        ({"messages": []}, KEY, 400),
        ({"messages": [{"role": "user", "content": None}]}, KEY, 400),
        ([], KEY, 400),
    ],
)
async def test_a_wrong_key_or_body_is_refused_as_openai_refuses(http, body, headers, status):
    response = await http.post(PATH, json=body, headers=headers)
    assert response.status_code == status
    assert response.json()["error"]["code"]


async def test_a_stream_ends_with_the_usage_and_done(http):
    body = asked(stream=True, stream_options={"include_usage": True})
    response = await http.post(PATH, json=body, headers=KEY)
    events = [line.removeprefix("data: ") for line in response.text.split("\n\n") if line]
    assert events[-1] == "[DONE]"
    assert json.loads(events[-2])["usage"]["total_tokens"] > 0
    parts = [json.loads(one)["choices"] for one in events[:-1]]
    text = "".join(part[0]["delta"].get("content", "") for part in parts if part)
    assert json.loads(text)["factors"] == ["new_payee"]


async def test_free_text_gets_a_reply_and_the_latest_requests_are_listed(http):
    assert await reply(http, data="hello")
    listed = (await http.get("/messages")).json()["messages"]
    assert listed[-1][0]["content"] == "hello"
