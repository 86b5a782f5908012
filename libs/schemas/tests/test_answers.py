"""The contract's table, byte for byte."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payment_schemas import answers


@pytest.mark.parametrize(
    ("answer", "status", "body", "headers"),
    [
        (
            answers.success("tx-987", "7K2M9QX4TD", "ACH"),
            200,
            (
                '{"status":"SUCCESS","transaction_id":"tx-987","reference":"7K2M9QX4TD",'
                '"settlement_method":"ACH"}'
            ),
            {},
        ),
        (
            answers.otp_required(300),
            403,
            (
                '{"status":"OTP_REQUIRED","message":"Please verify your identity with a one-time '
                'code.","expires_in":300}'
            ),
            {},
        ),
        (
            answers.invalid_otp(),
            401,
            '{"error":"Invalid OTP","details":"Code does not match or expired"}',
            {},
        ),
        (
            answers.in_progress(),
            409,
            '{"error":"Request in progress","details":"Retry with the same idempotency key"}',
            {"Retry-After": "1"},
        ),
        (
            answers.key_reused(),
            422,
            '{"error":"Idempotency key reused","details":"The key belongs to a different request"}',
            {},
        ),
        (
            answers.other_key("PENDING", "tx-987"),
            409,
            '{"status":"PENDING","transaction_id":"tx-987"}',
            {},
        ),
        (
            answers.declined("tx-987", "insufficient_funds"),
            403,
            '{"status":"DECLINED","transaction_id":"tx-987","reason":"insufficient_funds"}',
            {},
        ),
        (
            answers.missing_field("idempotency_key"),
            400,
            '{"error":"Missing field: idempotency_key"}',
            {},
        ),
        (
            answers.invalid_field("amount", "must be positive, with at most 2 decimals"),
            400,
            (
                '{"error":"Invalid field: amount","details":"must be positive, with at most 2 '
                'decimals"}'
            ),
            {},
        ),
        (answers.unknown_field("foo"), 400, '{"error":"Unknown field: foo"}', {}),
        (answers.malformed_json(), 400, '{"error":"Malformed JSON"}', {}),
        (
            answers.unauthorized("expired"),
            401,
            '{"error":"Unauthorized","details":"expired"}',
            {"WWW-Authenticate": "Bearer"},
        ),
        (
            answers.forbidden("payment.confirm"),
            403,
            '{"error":"Forbidden","details":"Scope payment.confirm required"}',
            {},
        ),
        (answers.unknown_account("acc-9"), 404, '{"error":"Unknown account: acc-9"}', {}),
        (answers.unknown_payment("tx-1"), 404, '{"error":"Unknown payment: tx-1"}', {}),
        (
            answers.too_many_requests(23),
            429,
            '{"error":"Too many requests"}',
            {"Retry-After": "23"},
        ),
        (answers.body_too_large(), 413, '{"error":"Body too large"}', {}),
        (answers.unsupported_media_type(), 415, '{"error":"Unsupported media type"}', {}),
        (
            answers.pending("tx-987"),
            202,
            '{"status":"PENDING","transaction_id":"tx-987"}',
            {"Location": "/payment/tx-987", "Retry-After": "1"},
        ),
        (
            answers.unavailable(),
            503,
            '{"error":"Service unavailable"}',
            {"Retry-After": "1"},
        ),
    ],
)
def test_every_answer_has_the_contracts_exact_body(answer, status, body, headers):
    assert (answer.status, answer.body, dict(answer.headers)) == (status, body, headers)


@given(st.text())
def test_client_text_in_a_body_is_quoted_as_json(text):
    assert json.loads(answers.unknown_field(text).body) == {"error": f"Unknown field: {text}"}


def test_adding_headers_does_not_change_the_original_answer():
    answer = answers.in_progress()

    replayed = answer.with_headers(Idempotent_Replayed="true")

    assert dict(replayed.headers) == {"Retry-After": "1", "Idempotent-Replayed": "true"}
    assert dict(answer.headers) == {"Retry-After": "1"}


@pytest.mark.parametrize(("wait_s", "shown"), [(0, "1"), (0.2, "1"), (22.1, "23")])
def test_seconds_to_wait_are_rounded_up_to_at_least_one(wait_s, shown):
    headers = dict(answers.over_limit(10, wait_s).headers)

    assert headers["Retry-After"] == shown
    assert headers["RateLimit"] == f'"user";r=0;t={shown}'
