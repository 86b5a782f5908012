"""The OpenAPI description: real responses of the routes satisfy it."""

import orjson
import pytest
from gateway_edge import BODY, OK
from jsonschema import Draft202012Validator

from gateway.clients.reads import PaymentView
from gateway.routes.description import document
from payment_schemas import answers
from testkit.tokens import token

READ = {
    "transaction_id": "tx-987",
    "status": "SUCCESS",
    "reference": "7K2M9QX4TD",
    "settlement_method": "ACH",
    "settlement_status": "SETTLED",
    "amount": "5200.00",
    "currency": "USD",
    "from_account": "acc-1",
    "to_account": "payee-xyz",
    "reason": None,
    "created_at": "2026-03-02T12:00:00+00:00",
    "updated_at": "2026-03-02T12:00:00+00:00",
}
ANSWERS = [
    OK,
    answers.otp_required(300),
    answers.invalid_otp(),
    answers.in_progress(),
    answers.key_reused(),
    answers.other_key("PENDING", "tx-987"),
    answers.other_key("OTP_REQUIRED", "tx-987"),
    answers.other_key("SUCCESS", "tx-987"),
    answers.other_key("DECLINED", "tx-987"),
    answers.declined("tx-987", "insufficient_funds"),
    answers.unknown_account("acc-9"),
    answers.missing_field("amount"),
    None,
]
REQUESTS = [
    {},
    {"amount": -1},
    {"user": None},
    {"headers": {"Authorization": f"Bearer {token(scope='')}"}},
    {"headers": {"Content-Type": "text/plain"}},
    {"body": b"x" * 20_000},
]


def schema_of(path, method, status):
    responses = document("Countersign gateway")["paths"][path][method]["responses"]
    return responses[str(status)]["content"]["application/json"]["schema"]


def hold(answer, path, method):
    schema = schema_of(path, method, answer.status_code)
    Draft202012Validator(schema).validate(orjson.loads(answer.content))


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda a: a.body[:60] if a else "none in time")
async def test_every_reply_of_confirm_is_described(make_edge, answer):
    hold(await make_edge(answer=answer).post(), "/payment/confirm", "post")


@pytest.mark.parametrize("request_fields", REQUESTS)
async def test_every_refusal_of_the_gateway_is_described(edge, request_fields):
    hold(await edge.post(**request_fields), "/payment/confirm", "post")


async def test_429_500_and_503_are_described(make_edge):
    edge = make_edge(per_minute=2)
    edge.confirmation.reachable = False
    hold(await edge.post(), "/payment/confirm", "post")
    edge.confirmation.ask = None
    hold(await edge.post(), "/payment/confirm", "post")
    hold(await edge.post(), "/payment/confirm", "post")


async def test_reads_are_described(edge):
    edge.reads.payments["usr-456", "tx-987"] = PaymentView(READ, 3)
    forbidden = {"Authorization": f"Bearer {token(scope='')}"}
    for answer in (
        await edge.read(),
        await edge.read("tx-0"),
        await edge.read(user=None),
        await edge.read(user=None, **forbidden),
    ):
        hold(answer, "/payment/{transaction_id}", "get")
    edge.reads.reachable = False
    hold(await edge.read(), "/payment/{transaction_id}", "get")


async def test_the_keys_of_partner_banks_are_described_and_need_no_token(edge):
    path = "/.well-known/partner-jwks.json"
    hold(await edge.http.get(path), path, "get")
    edge.partner_keys.ring = None
    hold(await edge.http.get(path), path, "get")


def test_the_contracts_first_call_is_a_valid_body():
    confirm = document("Countersign gateway")["paths"]["/payment/confirm"]["post"]
    schema = confirm["requestBody"]["content"]["application/json"]["schema"]

    Draft202012Validator(schema).validate(BODY)
    assert not Draft202012Validator(schema).is_valid({**BODY, "foo": 1})


async def test_the_running_gateway_serves_this_description(edge):
    served = (await edge.http.get("/openapi.json")).json()

    assert served == orjson.loads(orjson.dumps(document("Countersign gateway")))
