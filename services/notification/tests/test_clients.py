"""The real SDKs against a server with valid and invalid provider responses."""

import asyncio
import base64
import json
import sys
import threading
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from uuid import UUID

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import given, settings
from hypothesis import strategies as st

from notification.clients import (
    MOST_MAILS,
    HttpTransport,
    MemoryMessenger,
    SendgridMail,
    ThreadedMessenger,
    TwilioAccount,
    TwilioSms,
    calls_of,
)
from notification.clients.http_transport import MAX_RESPONSE_BYTES
from notification.clients.mail_call import body_of
from notification.domain import NOT_STARTED, Attempt, Kind, Message
from payment_schemas.sealed import Personal

SID = "AC" + "0" * 32


def message(number=1, to="+15550100456"):
    return Message(UUID(int=number), Personal(to), "Payment confirmed", Personal(f"text {number}"))


@asynccontextmanager
async def provider(handle, timeout_s=3.0):
    """Start a provider's server; yield the two clients that call it."""
    app = web.Application()
    app.router.add_post("/{path:.*}", handle)
    async with TestServer(app) as server:
        url, transport = str(server.make_url("/")), HttpTransport(4, timeout_s)
        account = TwilioAccount(url, SID, "token", "+15005550006", "https://here.example/d/")
        yield {
            "sms": TwilioSms(account, transport),
            "email": SendgridMail(url, "key", "payments@countersign.example", transport),
        }
        transport.close()


async def send(sender, *messages):
    return await asyncio.to_thread(sender, messages)


async def test_a_text_message_is_sent_in_twilios_format():
    seen = []

    async def handle(request):
        seen.append((request.path, request.headers, dict(await request.post())))
        return web.json_response({"sid": "SM1"}, status=201)

    async with provider(handle) as senders:
        assert await send(senders["sms"], message()) == Attempt(Kind.TAKEN, provider_id="SM1")
    ((path, headers, form),) = seen
    assert path == f"/2010-04-01/Accounts/{SID}/Messages.json"
    credentials = base64.b64encode(f"{SID}:token".encode()).decode()
    assert headers["Authorization"] == f"Basic {credentials}"
    assert form == {
        "To": "+15550100456",
        "From": "+15005550006",
        "Body": "text 1",
        "StatusCallback": f"https://here.example/d/{UUID(int=1)}",
    }


async def test_a_mail_is_sent_in_sendgrids_format():
    seen = []

    async def handle(request):
        seen.append((request.path, request.headers["Authorization"], await request.json()))
        return web.Response(status=202, headers={"X-Message-Id": "m-1"})

    async with provider(handle) as senders:
        attempt = await send(senders["email"], message(to="usr-456@example.com"))
    assert attempt == Attempt(Kind.TAKEN, provider_id="m-1")
    ((path, authorization, body),) = seen
    assert (path, authorization) == ("/v3/mail/send", "Bearer key")
    assert body["personalizations"] == [
        {
            "to": [{"email": "usr-456@example.com"}],
            "subject": "Payment confirmed",
            "substitutions": {"-text0-": "text 1"},
            "custom_args": {"delivery_id": str(UUID(int=1))},
        }
    ]
    assert body["from"] == {"email": "payments@countersign.example"}
    assert body["content"] == [{"type": "text/plain", "value": "-text0-"}]


async def test_many_mails_are_one_call_whose_id_each_of_them_gets():
    seen = []

    async def handle(request):
        seen.append(await request.json())
        return web.Response(status=202, headers={"X-Message-Id": "m-1"})

    mails = [message(number, f"usr-{number}@example.com") for number in range(100)]
    async with provider(handle) as senders, mailing(senders["email"]) as messenger:
        attempts = await messenger.deliver(mails)
    assert attempts == {mail.delivery_id: Attempt(Kind.TAKEN, provider_id="m-1") for mail in mails}
    ((sent, *others),) = [body["personalizations"] for body in seen]
    assert (sent["custom_args"], len(others)) == ({"delivery_id": str(UUID(int=0))}, 99)
    # SendGrid's limit of custom arguments holds even if it means the whole call.
    assert len(json.dumps([one["custom_args"] for one in (sent, *others)])) < 10_000


TEXTS = st.text("-tex01", max_size=12) | st.sampled_from(["-text0-", "a -text0- and -text1-"])


@given(st.lists(TEXTS, min_size=1, max_size=5), st.lists(TEXTS, min_size=1))
def test_no_mail_contains_the_placeholder_of_its_call(texts, subjects):
    mails = [
        Message(UUID(int=number), Personal(f"{number}@b"), subjects[number % len(subjects)], one)
        for number, one in enumerate(map(Personal, texts))
    ]
    body = body_of(mails, "payments@countersign.example")
    (content,) = body["content"]
    for mail, sent in zip(mails, body["personalizations"], strict=True):
        assert sent["substitutions"] == {content["value"]: mail.text.reveal()}
        assert content["value"] not in mail.text.reveal() + "|" + mail.subject


def test_an_address_is_in_a_call_only_once():
    addresses = ["a@b", "A@b", "c@d", "a@b"]
    mails = [message(number, to) for number, to in enumerate(addresses)]
    first, second, third = mails[0], mails[1], mails[3]
    assert calls_of(mails) == [[first, mails[2]], [second], [third]]


def test_a_call_has_at_most_a_hundred_mails():
    calls = calls_of([message(number, f"{number}@b") for number in range(MOST_MAILS + 1)])
    assert [len(call) for call in calls] == [100, 1]


def mailing(send, threads=4):
    return ThreadedMessenger("mail", send, threads, calls_of)


@dataclass
class Refusing:
    """A provider that refuses each call with one of the bad messages."""

    bad: set[int]
    status: int = 400
    takes_s: float = 0.0
    calls: list[int] = field(default_factory=list)

    def __call__(self, call):
        self.calls.append(len(call))
        time.sleep(self.takes_s)
        if any(one.delivery_id.int in self.bad for one in call):
            return Attempt(Kind.REFUSED, f"provider_{self.status}")
        return Attempt(Kind.TAKEN, provider_id="m-1")


@given(st.sets(st.integers(0, 99), max_size=100))
@settings(max_examples=20, deadline=None)
def test_only_the_mails_that_cause_a_refusal_are_refused(bad):
    async def deliver():
        provider = Refusing(bad)
        async with mailing(provider) as messenger:
            return provider, await messenger.deliver([message(n, f"{n}@b") for n in range(100)])

    provider, attempts = asyncio.run(deliver())
    refused = {name.int for name, one in attempts.items() if one.kind is Kind.REFUSED}
    taken = {name.int for name, one in attempts.items() if one.kind is Kind.TAKEN}
    assert (refused, taken) == (bad, set(range(100)) - bad)
    assert len(provider.calls) <= 2 * 100 - 1


async def test_halves_that_do_not_start_in_time_are_sent_alone_later(monkeypatch):
    monkeypatch.setattr("notification.clients.messengers.START_S", 0.05)
    provider = Refusing({0}, takes_s=0.06)
    mails = [message(number, f"{number}@b") for number in range(10)]
    async with mailing(provider) as messenger:
        attempts = await messenger.deliver(mails)
        assert set(attempts.values()) == {Attempt(Kind.NOT_TAKEN, NOT_STARTED)}
        assert provider.calls == [10]
        again = await messenger.deliver([replace(mail, is_alone=True) for mail in mails[:4]])
    assert provider.calls == [10, 1, 1, 1, 1]
    assert [again[mail.delivery_id].kind for mail in mails[:4]] == [Kind.REFUSED, *[Kind.TAKEN] * 3]


@pytest.mark.parametrize("reason", ["status_429", "status_500", "ReadTimeoutError"])
async def test_a_call_with_an_unknown_or_temporary_failure_is_not_halved(reason):
    calls = []

    def fail(call):
        calls.append(len(call))
        return Attempt(Kind.NOT_TAKEN, reason)

    async with mailing(fail) as messenger:
        attempts = await messenger.deliver([message(n, f"{n}@b") for n in range(10)])
    assert calls == [10]
    assert set(attempts.values()) == {Attempt(Kind.NOT_TAKEN, reason)}


async def test_a_slice_ends_at_its_deadline_however_many_calls_wait_for_a_thread(monkeypatch):
    monkeypatch.setattr("notification.clients.messengers.DEADLINE_S", 0.1)
    over = threading.Event()

    def hang(_call):
        over.wait(5)
        return Attempt(Kind.TAKEN)

    async with mailing(hang, threads=1) as messenger:
        began = time.monotonic()
        mails = [message(number, "same@example.com") for number in range(4)]
        attempts = await messenger.deliver(mails)
        over.set()
    assert time.monotonic() - began < 1
    assert {one.kind for one in attempts.values()} == {Kind.NOT_TAKEN}


@pytest.mark.parametrize("channel", ["sms", "email"])
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Kind.REFUSED),
        (413, Kind.REFUSED),
        (422, Kind.REFUSED),
        (302, Kind.NOT_TAKEN),
        (401, Kind.NOT_TAKEN),
        (404, Kind.NOT_TAKEN),
        (429, Kind.NOT_TAKEN),
        (500, Kind.NOT_TAKEN),
        (503, Kind.NOT_TAKEN),
    ],
)
async def test_only_a_refusal_of_the_message_itself_is_final(channel, status, kind):
    async def handle(_request):
        return web.json_response({"message": "no"}, status=status)

    async with provider(handle) as senders:
        assert (await send(senders[channel], message())).kind is kind


async def test_twilios_error_code_is_the_reason():
    async def handle(_request):
        return web.json_response({"code": 21211, "message": "bad +1555", "status": 400}, status=400)

    async with provider(handle) as senders:
        attempt = await send(senders["sms"], message())
    assert attempt == Attempt(Kind.REFUSED, "provider_21211")


async def _reset(request):
    request.transport.close()
    return web.Response()


async def _html(_request):
    return web.Response(text="<html>", status=201)


async def _list(_request):
    return web.json_response([], status=201)


async def _flood(_request):
    return web.Response(body=b"x" * (MAX_RESPONSE_BYTES + 1), status=201)


@pytest.mark.parametrize("handle", [_reset, _html, _list, _flood])
async def test_an_invalid_response_is_retried(handle):
    async with provider(handle) as senders:
        assert (await send(senders["sms"], message())).kind is Kind.NOT_TAKEN


@pytest.mark.parametrize("handle", [_reset, _flood])
async def test_a_mail_without_a_usable_response_is_retried(handle):
    async with provider(handle) as senders:
        assert (await send(senders["email"], message())).kind is Kind.NOT_TAKEN


@pytest.mark.parametrize("channel", ["sms", "email"])
async def test_a_provider_that_does_not_respond_times_out(channel):
    over = asyncio.Event()

    async def wait(_request):
        await over.wait()
        return web.Response()

    async with provider(wait, timeout_s=0.2) as senders:
        attempt = await send(senders[channel], message())
        over.set()
    assert attempt.kind is Kind.NOT_TAKEN


@pytest.fixture
def frequent_switches():
    """Switch threads as often as possible, so that shared state shows."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


async def test_threads_never_receive_each_others_results(frequent_switches):
    async def handle(request):
        form = await request.post()
        if form["Body"].endswith("7"):
            return web.json_response({"code": 21211, "message": "no"}, status=400)
        return web.json_response({"sid": f"SM-{form['Body'][5:]}"}, status=201)

    messages = [message(number) for number in range(300)]
    async with provider(handle) as senders, ThreadedMessenger("mix", senders["sms"], 8) as many:
        attempts = {}
        for start in range(0, len(messages), 16):
            attempts |= await many.deliver(messages[start : start + 16])
    for number, one in enumerate(messages):
        expected = (
            Attempt(Kind.REFUSED, "provider_21211")
            if number % 10 == 7
            else Attempt(Kind.TAKEN, provider_id=f"SM-{number}")
        )
        assert attempts[one.delivery_id] == expected


async def test_the_shared_transport_keeps_nothing_of_a_message():
    """Twilio's own transport fails this test: it keeps the last response."""

    async def handle(_request):
        return web.json_response({"sid": "SM1"}, status=201)

    async with provider(handle) as senders:
        transport = senders["sms"]._messages._version.domain.twilio.http_client
        before = dict(vars(transport))
        await send(senders["sms"], message())
        assert vars(transport) == before


@pytest.mark.parametrize("channel", ["sms", "email"])
async def test_connections_are_reused(channel):
    peers = set()

    async def handle(request):
        peers.add(request.transport.get_extra_info("peername"))
        return web.json_response({"sid": "SM1"}, status=201)

    async with provider(handle) as senders:
        for number in range(10):
            await send(senders[channel], message(number))
    assert len(peers) == 1


async def test_repeated_failures_open_the_breaker():
    def fail(_message):
        return Attempt(Kind.NOT_TAKEN, "status_503")

    async with ThreadedMessenger("down", fail, 1) as messenger:
        assert not messenger.is_open
        for number in range(5):
            await messenger.deliver([message(number)])
        assert messenger.is_open
        (attempt,) = (await messenger.deliver([message()])).values()
    assert attempt == Attempt(Kind.NOT_TAKEN, "breaker_open")


async def test_a_call_that_hangs_in_its_thread_times_out(monkeypatch):
    over = threading.Event()
    monkeypatch.setattr("notification.clients.messengers.DEADLINE_S", 0.05)

    def hang(_message):
        over.wait(5)
        return Attempt(Kind.TAKEN)

    async with ThreadedMessenger("hangs", hang, 1) as messenger:
        (attempt,) = (await messenger.deliver([message()])).values()
        over.set()
    assert attempt == Attempt(Kind.NOT_TAKEN, "TimeoutError")


async def test_a_provider_that_blocks_its_thread_does_not_block_the_loop():
    free = threading.Event()

    def block(_message):
        # Only the event loop can release this thread.
        return Attempt(Kind.TAKEN if free.wait(30) else Kind.NOT_TAKEN)

    async with ThreadedMessenger("blocks", block, 1) as messenger:
        delivering = asyncio.create_task(messenger.deliver([message()]))
        await asyncio.sleep(0)
        free.set()
        (attempt,) = (await delivering).values()
    assert attempt == Attempt(Kind.TAKEN)


async def test_the_twin_keeps_a_delivery_once():
    twin = MemoryMessenger()
    await twin.deliver([message(), message()])
    assert (len(twin.given), len(twin.kept)) == (2, 1)
