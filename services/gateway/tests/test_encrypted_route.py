"""Encrypted confirmations: the gateway reads their header, and forwards them unopened."""

import base64
import json

import pytest

from gateway.settings import Settings
from payment_schemas.answers import not_decrypted
from testkit.events import NOON

NOW_S = int(NOON.timestamp())
HEADER = {
    "alg": "RSA-OAEP-256",
    "enc": "A256GCM",
    "kid": "0123456789abcdef",
    "transaction_id": "tx-987",
    "iat": NOW_S,
    "exp": NOW_S + 300,
}
KEY = {"Idempotency-Key": "abc-123"}
REFUSED = (not_decrypted().status, not_decrypted().body)


def jwe(**changes):
    """A compact JWE whose content nobody can open, with changes of its header."""
    header = {name: value for name, value in {**HEADER, **changes}.items() if value is not ...}
    encoded = base64.urlsafe_b64encode(json.dumps(header).encode()).decode().rstrip("=")
    return f"{encoded}.AAAA.AAAA.AAAA.AAAA"


@pytest.fixture
def post(edge):
    async def post(token=None, headers=KEY, **changes):
        given = {"Content-Type": "application/jose", **headers}
        return await edge.post((token or jwe(**changes)).encode(), headers=given)

    return post


async def test_a_request_is_forwarded_as_it_came(edge, post):
    token = jwe()
    answer = await post(token)

    assert answer.status_code == 200
    (command,) = edge.commands
    assert command.encrypted == token
    assert (command.user_id, command.transaction_id) == ("usr-456", "tx-987")
    assert command.idempotency_key == "abc-123"
    plain = (command.amount, command.currency, command.from_account, command.to_account)
    assert plain == (None, None, None, None)
    assert (command.sealed_code, command.code_tag) == (None, None)


async def test_while_it_is_undecided_202_shows_where_its_state_is(make_edge):
    edge = make_edge(answer=None)
    headers = {"Content-Type": "application/jose", **KEY}
    answer = await edge.post(jwe().encode(), headers=headers)

    assert answer.status_code == 202
    assert answer.headers["location"] == "/payment/tx-987"


@pytest.mark.parametrize(
    "changes",
    [
        {"alg": "RSA1_5"},
        {"alg": "none"},
        {"alg": "ECDH-ES+A256KW"},
        {"enc": "A128GCM"},
        {"zip": "DEF"},
        {"kid": ...},
        {"exp": NOW_S},
        {"exp": NOW_S + 301},
        {"iat": NOW_S + 31, "exp": NOW_S + 300},
        {"epk": {}},
        {"crit": ["exp"]},
    ],
    ids=str,
)
async def test_every_fault_of_the_header_has_the_one_answer(edge, post, changes):
    answer = await post(**changes)

    assert (answer.status_code, answer.text) == REFUSED
    assert edge.commands == []


@pytest.mark.parametrize("token", ["", "x", "a.b.c.d", "é.A.A.A.A", jwe() + ".AAAA", jwe() + "="])
async def test_what_is_no_compact_jwe_has_the_one_answer(edge, post, token):
    answer = await edge.post(token.encode(), headers={"Content-Type": "application/jose", **KEY})

    assert (answer.status_code, answer.text) == REFUSED


@pytest.mark.parametrize(
    ("request_fields", "body"),
    [
        ({"headers": {}}, '{"error":"Missing field: idempotency_key"}'),
        (
            {"headers": {"Idempotency-Key": "4111 1111 1111 1111"}},
            '{"error":"Invalid field: idempotency_key","details":"must not be a card number"}',
        ),
        ({"transaction_id": ...}, '{"error":"Missing field: transaction_id"}'),
        (
            {"transaction_id": ".."},
            '{"error":"Invalid field: transaction_id","details":"must contain a letter or digit"}',
        ),
    ],
)
async def test_what_is_outside_the_encryption_is_refused_by_its_name(
    edge, post, request_fields, body
):
    answer = await post(**request_fields)

    assert (answer.status_code, answer.text) == (400, body)
    assert edge.commands == []


async def test_token_size_and_limits_count_as_for_plain_requests(edge, post):
    assert (await post("A" * (16 * 1024 + 1))).status_code == 413
    headers = {"Content-Type": "application/jose", **KEY}
    assert (await edge.post(jwe().encode(), user=None, headers=headers)).status_code == 401
    for _ in range(10):
        assert (await post()).status_code == 200
    assert (await post()).status_code == 429


async def test_where_encryption_is_demanded_plain_requests_are_refused(make_edge):
    edge = make_edge(demands_encryption=True)

    answer = await edge.post()
    assert answer.status_code == 415
    assert answer.json()["error"] == "Encryption required"
    headers = {"Content-Type": "application/jose", **KEY}
    assert (await edge.post(jwe().encode(), headers=headers)).status_code == 200


@pytest.mark.parametrize(
    ("profile", "given", "demands"),
    [
        ("prod", None, True),
        ("prod", "optional", False),
        ("dev", None, False),
        ("dev", "required", True),
    ],
)
def test_production_demands_encryption_unless_it_is_set_otherwise(profile, given, demands):
    settings = Settings.model_construct(profile=profile, e2e=given)
    assert settings.demands_encryption is demands


async def test_the_keys_are_published_to_anybody(edge):
    answer = await edge.http.get("/.well-known/e2e-jwks.json")
    assert (answer.status_code, answer.json()["keys"][0]["use"]) == (200, "sig")
    edge.encryption_keys.ring = None
    assert (await edge.http.get("/.well-known/e2e-jwks.json")).status_code == 503


def test_no_setting_of_the_gateway_is_a_private_key_of_encrypted_requests():
    """See also tests/e2e/test_encryption.py, which looks into the running process' environment."""
    assert not [name for name in Settings.model_fields if name.startswith("e2e_")]
