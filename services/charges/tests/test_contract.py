"""One contract for every provider, by its SDK against its mock: a process of its own."""

import asyncio
import base64
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from charges_world import CARD, Mock

from charges.clients.adyen import AdyenAccount, AdyenProvider
from charges.clients.port import Guard
from charges.clients.stripe import Stripe, StripeAccount
from charges.domain.cards import card_of
from charges.domain.charge import Charge, Goal
from charges.domain.refund import Refund
from charges.domain.replies import Kind
from payment_schemas.money import Money
from service_runtime.compute import Bounds, Executor
from service_runtime.keys import KeyRing, SecretFile

PROVIDERS = ("stripe", "adyen")
WITHIN_S = 0.5


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("providers")
    (folder / "secret").write_text("whsec_test")
    (folder / "key").write_text(base64.b64encode(bytes(32)).decode())
    return folder


@pytest.fixture(scope="module")
def mocks(files):
    names = ("STRIPE_API_KEY_FILE", "STRIPE_WEBHOOK_SECRET_FILE", "ADYEN_API_KEY_FILE")
    environment = {name: str(files / "secret") for name in names}
    environment["ADYEN_HMAC_KEY_FILE"] = str(files / "key")
    started = {name: Mock(name, environment, "") for name in PROVIDERS}
    yield started
    for mock in started.values():
        mock.kill()


@pytest.fixture(params=PROVIDERS)
async def at(request, mocks, files):
    """A provider and its mock."""
    mock, secret = mocks[request.param], SecretFile(files / "secret", str)
    guard = Guard(request.param, WITHIN_S, open_s=60)
    if request.param == "stripe":
        async with Stripe(StripeAccount(mock.url, secret, secret, WITHIN_S), guard) as stripe:
            yield stripe, mock
    else:
        account = AdyenAccount(mock.url, secret, KeyRing(bytes(32)), WITHIN_S)
        async with Executor("adyen", Bounds(8, 8, WITHIN_S)) as threads:
            yield AdyenProvider(account, guard, threads), mock
    mock.heal()


def charge(**fields):
    now = datetime.now(UTC)
    made = Charge(
        uuid4(), "usr-1", Money(1_000, "EUR"), "tok_test", "a@example.com", now, None,
        provider="x", goal=Goal.HOLD, sent_at=now,
    )  # fmt: skip
    return replace(made, **fields)


def at_mock(mock, one):
    return mock.payments(f"txn_{one.id.hex}")


async def test_a_payment_is_authorized_once_under_its_reference(at):
    provider, mock = at
    one = charge()
    replies = [await provider.authorize(one) for _ in range(2)]
    replies.append(await provider.enquire(one, may_execute=True))
    assert {reply.kind for reply in replies} == {Kind.AUTHORIZED}
    assert len({reply.reference for reply in replies}) == 1
    assert len(at_mock(mock, one)) == 1


@pytest.mark.parametrize("source", ["tok_soft", "tok_hard"])
async def test_a_decline_is_read_the_same_way_when_it_is_enquired_about(at, source):
    provider, _ = at
    declined = await provider.authorize(charge(source=source))
    assert (declined.kind, declined.is_soft) == (Kind.DECLINED, source == "tok_soft")
    one = charge(source=source)
    assert (await provider.authorize(one)).kind is Kind.DECLINED
    assert (await provider.enquire(one, may_execute=True)).kind is Kind.DECLINED


async def test_what_is_decided_later_is_pending(at):
    provider, _ = at
    assert (await provider.authorize(charge(source="tok_pending"))).kind is Kind.PENDING


@pytest.mark.parametrize("fault", ["error", "down", "lose_answer", "lose_request"])
async def test_a_call_without_a_reply_is_no_answer_and_its_repeat_has_no_second_effect(at, fault):
    provider, mock = at
    one = charge()
    mock.switch(fault)
    assert (await provider.authorize(one)).kind is Kind.NO_ANSWER
    assert (await provider.enquire(one, may_execute=True)).kind is Kind.NO_ANSWER
    mock.heal()
    await asyncio.sleep(0.05)
    assert (await provider.authorize(one)).kind is Kind.AUTHORIZED
    assert len(at_mock(mock, one)) == 1


async def test_a_refund_is_made_once_and_captures_come_first(at):
    provider, mock = at
    one = charge()
    own = (await provider.authorize(one)).reference
    held = replace(one, provider_reference=own)
    # Adyen says by webhook what becomes of a capture and of a refund.
    assert (await provider.capture(held)).kind in {Kind.CAPTURED, Kind.PENDING}
    refund = Refund(
        uuid4(), one.id, "usr-1", Money(400, "EUR"), "x", one.reference, own, due_at=None
    )
    kinds = {(await provider.refund(refund)).kind for _ in range(2)}
    kinds.add((await provider.enquire_refund(refund)).kind)
    assert kinds <= {Kind.REFUNDED, Kind.PENDING}
    (payment,) = at_mock(mock, one)
    assert payment["refunds"] == {refund.reference: 400}


async def test_a_stored_card_is_deleted_and_then_unknown(at):
    provider, mock = at
    data = card_of(CARD, datetime.now(UTC))
    stored = await provider.store(f"crd-{uuid4().hex}", "usr-1", data)
    assert (stored.kind, len(mock.cards())) == (Kind.AUTHORIZED, 1)
    mock.switch("lose_answer")
    assert (await provider.forget("usr-1", stored.reference)).kind is Kind.NO_ANSWER
    mock.heal()
    assert mock.cards() == []
    assert (await provider.forget("usr-1", stored.reference)).kind is Kind.NOT_FOUND
    again = await provider.store(f"crd-{uuid4().hex}", "usr-1", data)
    assert (await provider.forget("usr-1", again.reference)).kind is Kind.CANCELLED
    assert mock.cards() == []


async def test_an_open_breaker_sends_nothing(at):
    provider, mock = at
    mock.switch("down")
    for _ in range(6):
        await provider.authorize(charge())
    one = charge()
    assert provider.is_open
    assert (await provider.authorize(one)).kind is Kind.NOT_SENT
