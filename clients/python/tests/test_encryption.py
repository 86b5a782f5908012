"""Encrypted confirmations: under which key, for whom, and what happens where they are refused."""

import base64
import json
import time

import pytest
from contract_cases import PAYMENT, done
from scripted_gateway import SUBJECT, ScriptedGateway

from countersign_client import (
    EncryptionRefused,
    EncryptionRequired,
    UnexpectedAnswer,
    UnknownPayment,
)
from countersign_client.encryption import subject_of

CONFIRMED = {
    "status": 200,
    "body": {
        "status": "SUCCESS",
        "transaction_id": "tx-1",
        "reference": "7",
        "settlement_method": "",
    },
}
REFUSED = {"status": 400, "body": {"error": "Encrypted request refused", "details": "…"}}
both = pytest.mark.parametrize("kind", ["Client", "AsyncClient"])


def token_of(subject):
    payload = base64.urlsafe_b64encode(json.dumps({"sub": subject}).encode()).decode().rstrip("=")
    return f"e30.{payload}.c2ln"


@both
async def test_a_request_is_for_the_tokens_subject_and_names_its_transaction_outside(kind):
    gateway = ScriptedGateway([CONFIRMED])
    (kid,) = gateway.publish("EC")
    client = gateway.client(kind, token_of("usr-é"), encryption=True)
    await done(client.confirm, **PAYMENT, otp_code="123456")

    [(header, content)] = gateway.opened
    assert (header["alg"], header["enc"], header["kid"]) == ("ECDH-ES+A256KW", "A256GCM", kid)
    assert header["transaction_id"] == "tx-1"
    assert header.keys() == {"alg", "enc", "kid", "transaction_id", "iat", "exp", "epk"}
    assert content["sub"] == "usr-é"
    assert content["body"] == {**PAYMENT, "otp_code": "123456"}
    assert (content["iat"], content["exp"]) == (header["iat"], header["exp"])
    assert content["exp"] - content["iat"] == 300
    assert abs(content["iat"] - time.time()) < 5
    (request,) = gateway.requests
    assert request.headers["Idempotency-Key"]
    assert b"acc-1" not in request.content


@pytest.mark.parametrize(
    ("kinds", "chosen"), [(("RSA", "EC"), 1), (("EC", "EC"), 0), (("RSA",), 0)], ids=str
)
def test_the_first_ec_key_is_used_and_rsa_where_there_is_none(kinds, chosen):
    gateway = ScriptedGateway([CONFIRMED])
    kids = gateway.publish(*kinds)
    gateway.client("Client", encryption=SUBJECT).confirm(**PAYMENT)
    assert gateway.opened[0][0]["kid"] == kids[chosen]


def test_a_key_is_read_once_in_five_minutes():
    gateway = ScriptedGateway([CONFIRMED] * 3)
    gateway.publish("EC")
    client = gateway.client("Client", encryption=SUBJECT)
    client.confirm(**PAYMENT)
    client.confirm(**PAYMENT)
    assert gateway.keys_read == 1
    gateway.now_s += 300
    client.confirm(**PAYMENT)
    assert gateway.keys_read == 2


@both
async def test_after_a_refusal_the_keys_are_read_again_once(kind):
    gateway = ScriptedGateway([REFUSED, CONFIRMED])
    gateway.publish("EC")
    await done(gateway.client(kind, encryption=SUBJECT).confirm, **PAYMENT)
    assert gateway.keys_read == 2
    assert len(set(gateway.keys)) == 1

    gateway.answers = [REFUSED, REFUSED]
    with pytest.raises(EncryptionRefused):
        await done(gateway.client(kind, encryption=SUBJECT).confirm, **PAYMENT)


def test_without_a_key_that_can_be_used_nothing_is_sent():
    gateway = ScriptedGateway([])
    with pytest.raises(UnexpectedAnswer):
        gateway.client("Client", encryption=SUBJECT).confirm(**PAYMENT)
    assert gateway.requests == []


def test_a_gateway_that_demands_encryption_is_a_clear_error():
    gateway = ScriptedGateway([{"status": 415, "body": {"error": "Encryption required"}}])
    with pytest.raises(EncryptionRequired):
        gateway.client("Client").confirm(**PAYMENT)


def test_reads_are_not_encrypted():
    gateway = ScriptedGateway([{"status": 404, "body": {"error": "Unknown payment: tx-1"}}])
    with pytest.raises(UnknownPayment):
        gateway.client("Client", encryption=SUBJECT).payment("tx-1")
    assert gateway.keys_read == 0


@pytest.mark.parametrize("token", [None, "", "opaque", "a.b.c", "a.e30.c", "a.W10.c"])
def test_a_token_without_a_subject_is_refused_before_anything_is_sent(token):
    with pytest.raises(ValueError, match="names no subject"):
        subject_of(token)
