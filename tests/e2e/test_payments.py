"""Payments through all services, from the view of a client."""

import asyncio

import httpx
import pytest

from testbed.edge import CODE, Edge

pytestmark = pytest.mark.stack

OTP_REQUIRED = (
    '{"status":"OTP_REQUIRED","message":"Please verify your identity with a one-time code.",'
    '"expires_in":300}'
)
INVALID_OTP = '{"error":"Invalid OTP","details":"Code does not match or expired"}'


async def test_the_four_calls_match_the_contract(edge: Edge):
    first = {
        "transaction_id": "tx-987",
        "idempotency_key": "abc-123",
        "amount": 5200,
        "from_account": "acc-1",
        "to_account": "payee-xyz",
    }
    with_code = {"transaction_id": "tx-987", "idempotency_key": "abc-123", "otp_code": CODE}

    asked = await edge.confirm(None, **first)
    assert (asked.status_code, asked.text) == (403, OTP_REQUIRED)

    confirmed = await edge.confirm(None, **with_code)
    assert confirmed.status_code == 200
    reference = confirmed.json()["reference"]
    assert confirmed.text == (
        f'{{"status":"SUCCESS","transaction_id":"tx-987","reference":"{reference}",'
        '"settlement_method":"ACH"}'
    )

    repeated = await edge.confirm(None, **with_code)
    assert (repeated.status_code, repeated.text) == (200, confirmed.text)
    assert repeated.headers["Idempotent-Replayed"] == "true"

    wrong = await edge.confirm(None, **{**with_code, "otp_code": "000000"})
    assert (wrong.status_code, wrong.text) == (401, INVALID_OTP)
    for answer in (asked, confirmed, repeated, wrong):
        assert answer.headers["X-Request-Id"]


async def test_a_bank_on_kafka_books_once_and_settles_or_rejects(edge: Edge, name: str):
    [customer] = await edge.open_customers(name, 1, 100_00)
    for payee, status in (("south-shop", "SETTLED"), ("south-payee-rejected", "REJECTED")):
        transaction = f"{name}-{payee}"
        answer = await edge.pay(customer, transaction, amount="50.00", to_account=payee)
        assert answer.json()["status"] == "SUCCESS"
        assert (await edge.until(customer, transaction))["settlement_status"] == status
    mine = [one for one in await edge.statement() if one["end_to_end_id"].startswith(name)]
    assert [(one["partner"], one["amount"]) for one in mine] == [("south-bank", "50.00")]
    assert await _balance(edge, customer.account) == 50_00


async def test_a_low_risk_payment_settles_with_the_right_transfers(edge: Edge, name: str):
    [customer] = await edge.open_customers(name, 1, 100_00)
    answer = await edge.pay(customer, name, amount="50.00")
    assert answer.json()["status"] == "SUCCESS"
    settled = await edge.until(customer, name)
    assert settled["settlement_status"] == "SETTLED"
    assert await _balance(edge, customer.account) == 50_00
    [payment] = (await edge.admin("confirm", "/payments", transaction_id=name))["payments"]
    kinds = [entry["kind"] for entry in payment["entries"]]
    assert sorted(kinds) == ["HOLD", "HOLD", "SETTLE", "SETTLE"]
    moved = [entry for entry in await edge.statement() if entry["uetr"] == payment["uetr"]]
    assert [entry["amount"] for entry in moved] == ["50.00"]


async def test_a_rejected_transfer_releases_the_money_and_stays_a_success(edge: Edge, name: str):
    [customer] = await edge.open_customers(name, 1, 100_00)
    answer = await edge.pay(customer, name, to_account="payee-rejected")
    assert answer.status_code == 200
    returned = await edge.until(customer, name)
    assert (returned["status"], returned["settlement_status"]) == ("SUCCESS", "REJECTED")
    assert await _balance(edge, customer.account) == 100_00


async def test_a_payment_at_a_late_partner_settles(edge: Edge, name: str):
    [customer] = await edge.open_customers(name, 1, 100_00)
    await edge.pay(customer, name, to_account="payee-late")
    sent = await edge.until(customer, name, "SENT", within_s=8)
    assert sent["settlement_status"] == "SENT"
    settled = await edge.until(customer, name)
    assert settled["settlement_status"] == "SETTLED"


async def test_a_transfer_at_a_silent_partner_is_enquired_about_and_booked_once(
    edge: Edge, name: str
):
    [customer] = await edge.open_customers(name, 1, 100_00)
    await edge.pay(customer, name, to_account="payee-silent")
    settled = await edge.until(customer, name)
    assert settled["settlement_status"] == "SETTLED"
    moved = [entry for entry in await edge.statement() if entry["end_to_end_id"] == name]
    assert len(moved) == 1


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        pytest.param(
            {"to_account": "payee-sanctioned"},
            403,
            '{"status":"DECLINED","transaction_id":"TX","reason":"not_permitted"}',
            id="a sanctioned payee is declined without a word why",
        ),
        pytest.param(
            {"amount": "100.01"},
            403,
            '{"status":"DECLINED","transaction_id":"TX","reason":"insufficient_funds"}',
            id="more than the balance is declined",
        ),
        pytest.param(
            {"from_account": "acc-1"}, 404, '{"error":"Unknown account: acc-1"}', id="another's"
        ),
        pytest.param(
            {"from_account": "acc-9"}, 404, '{"error":"Unknown account: acc-9"}', id="unknown"
        ),
        pytest.param(
            {"currency": "EUR"},
            400,
            '{"error":"Invalid field: currency","details":"must be the account\'s currency"}',
            id="another currency than the account's",
        ),
    ],
)
async def test_a_refusal_has_the_exact_body(
    edge: Edge, name: str, body: dict[str, str], status: int, text: str
):
    [customer] = await edge.open_customers(name, 1, 100_00)
    base = {
        "transaction_id": name,
        "idempotency_key": name,
        "amount": "50.00",
        "from_account": customer.account,
        "to_account": "payee-known",
    }
    answer = await edge.confirm(customer, **{**base, **body})
    assert (answer.status_code, answer.text) == (status, text.replace("TX", name))


async def test_a_rejected_identity_is_not_permitted_and_a_pending_one_costs_points(edge: Edge):
    tokens = {user: await edge.token(user) for user in ("usr-458", "usr-459")}

    async def pay(user: str, account: str) -> httpx.Response:
        body = {
            "transaction_id": f"kyc-{user}",
            "idempotency_key": f"kyc-{user}",
            "amount": "1000.00",
            "from_account": account,
            "to_account": "payee-xyz",
        }
        headers = {"Authorization": f"Bearer {tokens[user]}"}
        return await edge.http.post("/payment/confirm", json=body, headers=headers)

    rejected = await pay("usr-459", "acc-4")
    assert rejected.json()["reason"] == "not_permitted"
    # 20 for the amount, 40 for a new payee, 30 for the pending document.
    pending = await pay("usr-458", "acc-3")
    assert pending.json()["status"] == "OTP_REQUIRED"


async def test_a_wrong_code_is_refused_and_the_correct_one_confirms(edge: Edge, name: str):
    [customer] = await edge.open_customers(name, 1, 10_000_00)
    asked = await edge.pay(customer, name, amount="5200", to_account="payee-xyz")
    assert asked.json()["status"] == "OTP_REQUIRED"
    wrong = await edge.pay(customer, name, amount="5200", to_account="payee-xyz", otp_code="000001")
    assert (wrong.status_code, wrong.text) == (401, INVALID_OTP)
    right = await edge.pay(customer, name, amount="5200", to_account="payee-xyz", otp_code=CODE)
    assert right.status_code == 200
    assert (await edge.until(customer, name))["settlement_status"] == "SETTLED"


async def test_a_fifth_wrong_code_locks_the_challenge(edge: Edge, name: str):
    [customer] = await edge.open_customers(name, 1, 10_000_00)
    await edge.pay(customer, name, amount="5200", to_account="payee-xyz")
    for _ in range(5):
        wrong = await edge.pay(
            customer, name, amount="5200", to_account="payee-xyz", otp_code="000001"
        )
        assert wrong.status_code == 401
    late = await edge.pay(customer, name, amount="5200", to_account="payee-xyz", otp_code=CODE)
    assert (late.status_code, late.text) == (401, INVALID_OTP)
    again = await edge.pay(customer, name, amount="5200", to_account="payee-xyz")
    assert (again.status_code, again.json()) == (429, {"error": "Too many requests"})
    assert 0 < int(again.headers["Retry-After"]) <= 30


async def test_keys_and_transactions_are_never_mixed_up(edge: Edge, name: str):
    [one, two] = await edge.open_customers(name, 2, 1000_00)
    body = {"amount": "10.00", "to_account": "payee-known"}
    first = await edge.confirm(
        one, transaction_id=name, idempotency_key="a", from_account=one.account, **body
    )
    assert first.status_code == 200
    other_amount = await edge.confirm(
        one, transaction_id=name, idempotency_key="a", from_account=one.account, amount="11.00"
    )
    assert other_amount.status_code == 422
    other_transaction = await edge.confirm(
        one, transaction_id=name + "x", idempotency_key="a", from_account=one.account, **body
    )
    assert other_transaction.status_code == 422
    other_key = await edge.confirm(
        one, transaction_id=name, idempotency_key="b", from_account=one.account, **body
    )
    assert (other_key.status_code, other_key.json()) == (
        409,
        {"status": "SUCCESS", "transaction_id": name},
    )
    # The same transaction and key of another user is another payment.
    stranger = await edge.confirm(
        two, transaction_id=name, idempotency_key="a", from_account=two.account, **body
    )
    assert stranger.status_code == 200
    assert stranger.json()["reference"] != first.json()["reference"]


async def test_equal_concurrent_requests_at_two_gateways_have_one_effect(edge: Edge, name: str):
    [customer] = await edge.open_customers(name, 1, 1000_00)
    second = Edge(edge._stack, gateway=1)
    try:
        answers = await asyncio.gather(
            *(where.pay(customer, name, amount="10.00") for where in (edge, second) * 5)
        )
    finally:
        await second.close()
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert len({answer.text for answer in answers if answer.status_code == 200}) == 1
    await edge.until(customer, name)
    assert await _balance(edge, customer.account) == 990_00


async def test_the_eleventh_request_of_a_minute_is_429(edge: Edge, name: str):
    [customer] = await edge.open_customers(name, 1, 100_00)
    answers = [await edge.confirm(customer, foo=1) for _ in range(10)]
    assert {answer.text for answer in answers} == {'{"error":"Unknown field: foo"}'}
    refused = await edge.confirm(customer, foo=1)
    assert (refused.status_code, refused.json()) == (429, {"error": "Too many requests"})
    assert refused.headers["RateLimit-Policy"] == '"user";q=10;w=60'
    assert refused.headers["RateLimit"] == f'"user";r=0;t={refused.headers["Retry-After"]}'
    read = await edge.http.get(f"/payment/{name}", headers=customer.headers)
    assert read.status_code == 404


async def _balance(edge: Edge, account: str) -> int:
    [found] = (await edge.admin("confirm", "/accounts", prefix=account))["accounts"]
    balance: int = found["balance_minor"]
    return balance
