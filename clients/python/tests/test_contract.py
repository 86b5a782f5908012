"""Both clients treat every case of the contract as the table says."""

import json
from dataclasses import fields
from pathlib import Path

import pytest
from contract_cases import CASES, PAYMENT, arguments, assert_outcome, done
from scripted_gateway import SUBJECT, ScriptedGateway

from countersign_client import CountersignError, MemoryAttempts, Payment
from countersign_client.flows import Order

OPENAPI = json.loads((Path(__file__).parents[3] / "docs/openapi.json").read_text())["paths"]
both = pytest.mark.parametrize("kind", ["Client", "AsyncClient"])
forms = pytest.mark.parametrize("form", ["plain", "encrypted"])


async def outcome_of(client, case):
    call = getattr(client, case.get("call", "confirm"))
    try:
        return await done(call, **arguments(case))
    except CountersignError as error:
        return error


@forms
@both
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
async def test_a_case_of_the_contract_has_its_outcome(case, kind, form):
    gateway, attempts = ScriptedGateway(case["answers"]), MemoryAttempts()
    gateway.publish("EC")
    encryption = SUBJECT if form == "encrypted" else False
    client = gateway.client(kind, attempts=attempts, encryption=encryption)
    outcome = await outcome_of(client, case)
    assert_outcome(case, outcome)
    assert len(gateway.opened) == (len(gateway.keys) if encryption else 0)
    assert len({content["jti"] for _, content in gateway.opened}) == len(gateway.opened)
    assert gateway.sent == case["sent"]
    assert gateway.waited_s >= case.get("waited_s", 0)
    assert not gateway.answers
    assert len(set(gateway.keys)) <= 1
    if isinstance(outcome, CountersignError) and outcome.status:
        assert outcome.request_id.startswith("request-")
        assert outcome.request_id in str(outcome)
    if "key" in case:
        sent = {**PAYMENT, **case.get("with", {})}
        order = Order(**{name: sent[name] for name in PAYMENT})
        is_kept = attempts.key_of(order.transaction_id, order.digest) == gateway.keys[0]
        assert is_kept == (case["key"] == "kept")


def test_the_table_has_every_status_of_the_description():
    for path, prefix in (("/payment/confirm", "POST"), ("/payment/{transaction_id}", "GET")):
        [operation] = OPENAPI[path].values()
        shown = {
            answer["status"]
            for case in CASES
            for answer, sent in zip(case["answers"], case["sent"], strict=True)
            if "status" in answer and (prefix == "GET" or sent.startswith(prefix))
        }
        assert {int(status) for status in operation["responses"]} - shown == set()


def test_a_payment_has_the_fields_of_the_description():
    read = OPENAPI["/payment/{transaction_id}"]["get"]["responses"]["200"]
    schema = read["content"]["application/json"]["schema"]
    assert {field.name for field in fields(Payment)} == set(schema["properties"])


def test_a_confirmation_has_the_fields_of_the_description():
    further = {"to_name": "Ada", "otp_code": "123456", "instrument": "CASH", "branch": "b-1"}
    gateway = ScriptedGateway([{"status": 404, "body": {"error": "Not found"}}])
    with pytest.raises(CountersignError):
        gateway.client("Client").confirm(**PAYMENT, **further)
    body = OPENAPI["/payment/confirm"]["post"]["requestBody"]
    schema = body["content"]["application/json"]["schema"]
    sent = json.loads(gateway.requests[0].content)
    assert set(sent) == set(schema["properties"]) - {"idempotency_key"}
    assert sent == {**PAYMENT, **further}
